# Home of ada: written by Capsule from the profile everything. Change the profile, not this file.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  home.homeDirectory = "/home/ada";
  home.packages = [
    pkgs.git
    pkgs.curl
    pkgs.wget
    pkgs.vim
    pkgs.htop
    pkgs.unzip
    pkgs.jq
    pkgs.ripgrep
    pkgs.fzf
    pkgs.fd
    pkgs.tree
    pkgs.tmux
    pkgs.httpie
    pkgs.bat
    pkgs.gcc
    pkgs.gnumake
    pkgs.cmake
    pkgs.autoconf
    pkgs.automake
    pkgs.libtool
    pkgs.pkg-config
    pkgs.gdb
    pkgs.strace
    pkgs.valgrind
    pkgs.black
    pkgs.pylint
    pkgs.uv
    pkgs.nodejs_24
    pkgs.pnpm
    pkgs.yarn
    pkgs.rustup
    pkgs.go
    pkgs.gopls
    pkgs.delve
    pkgs.golangci-lint
    pkgs.gh
    pkgs.docker-compose
    pkgs.postgresql_17
    pkgs.redis
    pkgs.nginx
    pkgs.iotop
    pkgs.nethogs
    pkgs.dool
    pkgs.sysstat
    pkgs.ncdu
    pkgs.aide
    pkgs.lynis
    pkgs.unhide
    pkgs.openssl
    pkgs.gnupg
    pkgs.cudaPackages.cudatoolkit
    pkgs.cudaPackages.cudnn
    pkgs.nvtopPackages.nvidia
    pkgs.ollama
    (pkgs.python3.withPackages (python: [
      python.pip
      python.virtualenv
      python.ipython
      python.numpy
      python.pandas
      python.scipy
      python.scikit-learn
      python.matplotlib
      python.notebook
    ]))
  ];
  home.stateVersion = "26.05";
  home.username = "ada";

  nixpkgs.config.allowUnfreePredicate =
    package:
    builtins.elem (lib.getName package) [
      "cuda-merged"
      "cuda_cccl"
      "cuda_compat"
      "cuda_cudart"
      "cuda_cuobjdump"
      "cuda_cupti"
      "cuda_cuxxfilt"
      "cuda_gdb"
      "cuda_nvcc"
      "cuda_nvdisasm"
      "cuda_nvml_dev"
      "cuda_nvprune"
      "cuda_nvrtc"
      "cuda_nvtx"
      "cuda_profiler_api"
      "cuda_sanitizer_api"
      "cudnn"
      "libcublas"
      "libcufft"
      "libcurand"
      "libcusolver"
      "libcusparse"
      "libnpp"
      "libnvjitlink"
      "nvidia-persistenced"
      "nvidia-settings"
      "nvidia-x11"
    ];

  programs.bash.enable = true;
  programs.bat.enable = true;
  programs.direnv.enable = true;
  programs.direnv.nix-direnv.enable = true;
  programs.fd.enable = true;
  programs.fzf.enable = true;
  programs.gh.enable = true;
  programs.git.enable = true;
  programs.git.settings.init.defaultBranch = "main";
  programs.git.settings.user.email = "ada@example.org";
  programs.git.settings.user.name = "Ada Lovelace";
  programs.go.enable = true;
  programs.gpg.enable = true;
  programs.home-manager.enable = true;
  programs.jq.enable = true;
  programs.ripgrep.enable = true;
  programs.tmux.enable = true;
  programs.uv.enable = true;
}

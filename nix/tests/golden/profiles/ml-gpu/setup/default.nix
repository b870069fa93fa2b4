# Profile ml-gpu: Machine learning workstation with an NVIDIA card
# Stacks: base, python, machine-learning, ollama, cuda
{
  pkgs ? import <nixpkgs> {
    config.allowUnfreePredicate =
      package:
      builtins.elem (package.pname or (builtins.parseDrvName package.name).name) [
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
  },
}:
pkgs.buildEnv {
  name = "capsule-profile";
  paths = [
    pkgs.git
    pkgs.curl
    pkgs.wget
    pkgs.vim
    pkgs.htop
    pkgs.unzip
    pkgs.black
    pkgs.pylint
    pkgs.uv
    pkgs.ollama
    pkgs.cudaPackages.cudatoolkit
    pkgs.cudaPackages.cudnn
    pkgs.nvtopPackages.nvidia
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
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

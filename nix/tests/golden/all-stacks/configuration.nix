# web-1: written by Capsule from the profile everything. It is written anew with the next `nixos generate`:
# change the profile, not this file.
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:
{
  imports = [ ./hardware-configuration.nix ];

  boot.loader.grub.configurationLimit = 10;
  boot.loader.grub.device = "/dev/vda";
  boot.loader.grub.efiInstallAsRemovable = true;
  boot.loader.grub.efiSupport = true;
  boot.loader.grub.enable = true;

  environment.systemPackages = [
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

  hardware.graphics.enable = true;
  hardware.nvidia.nvidiaPersistenced = true;
  hardware.nvidia.nvidiaSettings = false;
  hardware.nvidia.open = true;
  hardware.nvidia-container-toolkit.enable = true;

  i18n.defaultLocale = "en_US.UTF-8";

  networking.firewall.allowedTCPPorts = [
    80
    443
  ];
  networking.firewall.enable = true;
  networking.hostName = "web-1";

  nix.gc.automatic = true;
  nix.gc.dates = "weekly";
  nix.gc.options = "--delete-older-than 30d";
  nix.optimise.automatic = true;
  nix.settings.experimental-features = [
    "nix-command"
    "flakes"
  ];

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

  programs.direnv.enable = true;
  programs.fzf.keybindings = true;
  programs.git.enable = true;
  programs.gnupg.agent.enable = true;
  programs.nix-ld.enable = true;
  programs.npm.enable = true;
  programs.npm.package = pkgs.nodejs_24;
  programs.tmux.enable = true;

  security.acme.acceptTerms = true;
  security.acme.defaults.email = "ada@example.org";
  security.auditd.enable = true;
  security.sudo.execWheelOnly = true;
  security.sudo.wheelNeedsPassword = false;

  services.fail2ban.bantime-increment.enable = true;
  services.fail2ban.enable = true;
  services.fail2ban.ignoreIP = [ "192.0.2.1" ];
  services.fail2ban.maxretry = 5;
  services.grafana.enable = true;
  services.grafana.provision.datasources.settings.datasources = [
    {
      access = "proxy";
      name = "Prometheus";
      type = "prometheus";
      url = "http://127.0.0.1:9090";
    }
  ];
  services.grafana.provision.enable = true;
  services.grafana.settings.security.admin_password = "$__file{/var/lib/grafana/admin_password}";
  services.grafana.settings.security.secret_key = "$__file{/var/lib/grafana/secret_key}";
  services.grafana.settings.server.http_addr = "127.0.0.1";
  services.nginx.enable = true;
  services.nginx.recommendedGzipSettings = true;
  services.nginx.recommendedOptimisation = true;
  services.nginx.recommendedProxySettings = true;
  services.nginx.recommendedTlsSettings = true;
  services.nginx.virtualHosts."www.example.org".enableACME = true;
  services.nginx.virtualHosts."www.example.org".forceSSL = true;
  services.ollama.enable = true;
  services.ollama.host = "127.0.0.1";
  services.ollama.package = pkgs.ollama-cuda;
  services.openssh.enable = true;
  services.openssh.settings.KbdInteractiveAuthentication = false;
  services.openssh.settings.PasswordAuthentication = false;
  services.openssh.settings.PermitRootLogin = "prohibit-password";
  services.postgresql.enable = true;
  services.postgresql.package = pkgs.postgresql_17;
  services.prometheus.enable = true;
  services.prometheus.exporters.node.enable = true;
  services.prometheus.exporters.node.enabledCollectors = [ "systemd" ];
  services.prometheus.exporters.node.listenAddress = "127.0.0.1";
  services.prometheus.listenAddress = "127.0.0.1";
  services.prometheus.retentionTime = "15d";
  services.prometheus.scrapeConfigs = [
    {
      job_name = "node";
      static_configs = [ { targets = [ "127.0.0.1:9100" ]; } ];
    }
  ];
  services.redis.servers."".enable = true;
  services.redis.servers."".port = 6379;
  services.sysstat.enable = true;
  services.xserver.videoDrivers = [ "nvidia" ];

  system.stateVersion = "26.05";

  systemd.services.grafana.preStart = lib.mkBefore ''
    umask 077
    for secret in secret_key admin_password; do
      [ -s /var/lib/grafana/$secret ] || ${pkgs.openssl}/bin/openssl rand -hex 32 >/var/lib/grafana/$secret
    done
  '';

  time.timeZone = "Europe/Berlin";

  users.users.ada.extraGroups = [
    "docker"
    "wheel"
  ];
  users.users.ada.isNormalUser = true;
  users.users.ada.openssh.authorizedKeys.keys = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3mXQ0T0F7E1qf0mQm4y1iG0e4QeR5bqk8u2m3q9xYv ada@example"
  ];
  users.users.root.openssh.authorizedKeys.keys = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3mXQ0T0F7E1qf0mQm4y1iG0e4QeR5bqk8u2m3q9xYv capsule"
  ];

  virtualisation.docker.autoPrune.dates = "weekly";
  virtualisation.docker.autoPrune.enable = true;
  virtualisation.docker.enable = true;
  virtualisation.vmVariant.hardware.nvidia-container-toolkit.suppressNvidiaDriverAssertion = true;
}

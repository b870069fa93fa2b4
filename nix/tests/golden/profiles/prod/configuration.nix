# web-1: written by Capsule from the profile prod. It is written anew with the next `nixos generate`:
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
    pkgs.nginx
    pkgs.aide
    pkgs.lynis
    pkgs.unhide
    pkgs.openssl
    pkgs.gnupg
    pkgs.iotop
    pkgs.nethogs
    pkgs.dool
    pkgs.sysstat
    pkgs.ncdu
    pkgs.fail2ban
  ];

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

  programs.git.enable = true;
  programs.gnupg.agent.enable = true;
  programs.vim.defaultEditor = true;
  programs.vim.enable = true;

  security.auditd.enable = true;
  security.sudo.execWheelOnly = true;
  security.sudo.wheelNeedsPassword = false;

  services.fail2ban.bantime-increment.enable = true;
  services.fail2ban.enable = true;
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
  services.openssh.enable = true;
  services.openssh.settings.KbdInteractiveAuthentication = false;
  services.openssh.settings.PasswordAuthentication = false;
  services.openssh.settings.PermitRootLogin = "prohibit-password";
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
  services.sysstat.enable = true;

  system.stateVersion = "26.05";

  systemd.services.grafana.preStart = lib.mkBefore ''
    umask 077
    for secret in secret_key admin_password; do
      [ -s /var/lib/grafana/$secret ] || ${pkgs.openssl}/bin/openssl rand -hex 32 >/var/lib/grafana/$secret
    done
  '';

  time.timeZone = "Europe/Berlin";

  users.users.ada.extraGroups = [ "wheel" ];
  users.users.ada.isNormalUser = true;
  users.users.ada.openssh.authorizedKeys.keys = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3mXQ0T0F7E1qf0mQm4y1iG0e4QeR5bqk8u2m3q9xYv ada@example"
  ];
  users.users.root.openssh.authorizedKeys.keys = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3mXQ0T0F7E1qf0mQm4y1iG0e4QeR5bqk8u2m3q9xYv capsule"
  ];
}

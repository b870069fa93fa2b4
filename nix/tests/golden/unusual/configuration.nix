# rack-7: written by Capsule from the profile prod. It is written anew with the next `nixos generate`:
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

  boot.kernelParams = [
    "console=tty0"
    "console=ttyS1,115200n8"
  ];
  boot.loader.efi.canTouchEfiVariables = true;
  boot.loader.systemd-boot.configurationLimit = 10;
  boot.loader.systemd-boot.enable = true;

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

  i18n.defaultLocale = "en_GB.UTF-8";

  networking.domain = "dc.example.org";
  networking.firewall.allowedTCPPorts = [
    80
    443
    8080
  ];
  networking.firewall.enable = true;
  networking.hostName = "rack-7";
  networking.useDHCP = false;
  networking.useNetworkd = true;

  nix.gc.automatic = true;
  nix.gc.dates = "weekly";
  nix.gc.options = "--delete-older-than 30d";
  nix.optimise.automatic = true;
  nix.settings.experimental-features = [
    "nix-command"
    "flakes"
  ];
  nix.settings.trusted-users = [ "ada" ];

  programs.git.enable = true;
  programs.gnupg.agent.enable = true;
  programs.vim.defaultEditor = true;
  programs.vim.enable = true;

  security.auditd.enable = true;
  security.sudo.execWheelOnly = true;

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
  services.openssh.ports = [ 2222 ];
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

  system.stateVersion = "25.11";

  systemd.network.netdevs."10-bond0".bondConfig.MIIMonitorSec = "100ms";
  systemd.network.netdevs."10-bond0".bondConfig.Mode = "802.3ad";
  systemd.network.netdevs."10-bond0".bondConfig.TransmitHashPolicy = "layer3+4";
  systemd.network.netdevs."10-bond0".netdevConfig.Kind = "bond";
  systemd.network.netdevs."10-bond0".netdevConfig.Name = "bond0";
  systemd.network.networks."10-bond0-member".matchConfig.PermanentMACAddress =
    "0c:42:a1:00:00:01 0c:42:a1:00:00:02";
  systemd.network.networks."10-bond0-member".networkConfig.Bond = "bond0";
  systemd.network.networks."20-uplink".address = [
    "198.51.100.7/31"
    "2001:db8::7/127"
  ];
  systemd.network.networks."20-uplink".dns = [ "147.75.207.207" ];
  systemd.network.networks."20-uplink".matchConfig.Name = "bond0";
  systemd.network.networks."20-uplink".routes = [
    {
      Gateway = "198.51.100.6";
      GatewayOnLink = true;
    }
    {
      Gateway = "2001:db8::6";
      GatewayOnLink = true;
    }
  ];
  systemd.services.grafana.preStart = lib.mkBefore ''
    umask 077
    for secret in secret_key admin_password; do
      [ -s /var/lib/grafana/$secret ] || ${pkgs.openssl}/bin/openssl rand -hex 32 >/var/lib/grafana/$secret
    done
  '';

  time.timeZone = "America/New_York";

  users.users.ada.extraGroups = [ "wheel" ];
  users.users.ada.hashedPasswordFile = "/var/lib/secrets/ada.hash";
  users.users.ada.isNormalUser = true;
  users.users.ada.openssh.authorizedKeys.keys = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3mXQ0T0F7E1qf0mQm4y1iG0e4QeR5bqk8u2m3q9xYv ada@example"
  ];
}

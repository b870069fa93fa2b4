# web-1: written by Capsule from the profile machine-learning. It is written anew with the next `nixos generate`:
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
    pkgs.black
    pkgs.pylint
    pkgs.uv
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

  i18n.defaultLocale = "en_US.UTF-8";

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
  programs.nix-ld.enable = true;

  security.sudo.wheelNeedsPassword = false;

  services.openssh.enable = true;
  services.openssh.settings.KbdInteractiveAuthentication = false;
  services.openssh.settings.PasswordAuthentication = false;
  services.openssh.settings.PermitRootLogin = "prohibit-password";

  system.stateVersion = "26.05";

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

# Home of ada: written by Capsule from the profile prod. Change the profile, not this file.
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
  home.stateVersion = "25.11";
  home.username = "ada";

  programs.bash.enable = true;
  programs.gpg.enable = true;
  programs.home-manager.enable = true;
  programs.vim.defaultEditor = true;
  programs.vim.enable = true;
}

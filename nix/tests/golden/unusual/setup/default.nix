# Profile prod: Production web server with security
# Stacks: base, webserver, security, monitoring
{
  pkgs ? import <nixpkgs> { },
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
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

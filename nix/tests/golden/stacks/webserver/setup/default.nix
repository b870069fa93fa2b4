# Profile webserver:
# Stacks: base, webserver
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
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

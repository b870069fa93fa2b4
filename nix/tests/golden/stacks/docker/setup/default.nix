# Profile docker:
# Stacks: base, docker
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
    pkgs.docker-compose
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

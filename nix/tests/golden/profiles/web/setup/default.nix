# Profile web: Web development environment
# Stacks: base, nodejs, docker, github
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
    pkgs.nodejs_24
    pkgs.pnpm
    pkgs.yarn
    pkgs.docker-compose
    pkgs.gh
    pkgs.tmux
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

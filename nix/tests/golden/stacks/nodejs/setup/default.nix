# Profile nodejs:
# Stacks: base, nodejs
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
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

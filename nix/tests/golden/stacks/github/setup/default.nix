# Profile github:
# Stacks: base, github
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
    pkgs.gh
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

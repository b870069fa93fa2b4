# Profile golang:
# Stacks: base, golang
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
    pkgs.go
    pkgs.gopls
    pkgs.delve
    pkgs.golangci-lint
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

# Profile rust:
# Stacks: base, rust
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
    pkgs.rustup
    pkgs.gcc
    pkgs.pkg-config
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

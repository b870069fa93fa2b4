# Profile devtools:
# Stacks: base, devtools
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
    pkgs.gcc
    pkgs.gnumake
    pkgs.cmake
    pkgs.autoconf
    pkgs.automake
    pkgs.libtool
    pkgs.pkg-config
    pkgs.gdb
    pkgs.strace
    pkgs.valgrind
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

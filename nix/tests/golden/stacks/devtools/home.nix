# Home of ada: written by Capsule from the profile devtools. Change the profile, not this file.
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
  home.stateVersion = "26.05";
  home.username = "ada";

  programs.bash.enable = true;
  programs.direnv.enable = true;
  programs.direnv.nix-direnv.enable = true;
  programs.home-manager.enable = true;
}

# Profile minimal: Essential tools only
# Stacks: base
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
    pkgs.tmux
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

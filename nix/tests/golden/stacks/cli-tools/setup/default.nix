# Profile cli-tools:
# Stacks: base, cli-tools
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
    pkgs.jq
    pkgs.ripgrep
    pkgs.fzf
    pkgs.fd
    pkgs.tree
    pkgs.tmux
    pkgs.httpie
    pkgs.bat
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

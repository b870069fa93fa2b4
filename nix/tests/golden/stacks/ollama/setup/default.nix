# Profile ollama:
# Stacks: base, ollama
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
    pkgs.ollama
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

# Profile database:
# Stacks: base, database
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
    pkgs.postgresql_17
    pkgs.redis
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

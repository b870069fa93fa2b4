# Profile python:
# Stacks: base, python
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
    pkgs.black
    pkgs.pylint
    pkgs.uv
    (pkgs.python3.withPackages (python: [
      python.pip
      python.virtualenv
      python.ipython
    ]))
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

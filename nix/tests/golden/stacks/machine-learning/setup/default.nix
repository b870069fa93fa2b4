# Profile machine-learning:
# Stacks: base, python, machine-learning
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
      python.numpy
      python.pandas
      python.scipy
      python.scikit-learn
      python.matplotlib
      python.notebook
    ]))
  ];
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

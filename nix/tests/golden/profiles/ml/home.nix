# Home of ada: written by Capsule from the profile ml. Change the profile, not this file.
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
    pkgs.htop
    pkgs.unzip
    pkgs.black
    pkgs.pylint
    pkgs.uv
    pkgs.ollama
    pkgs.nvtopPackages.amd
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
  home.stateVersion = "26.05";
  home.username = "ada";

  programs.bash.enable = true;
  programs.home-manager.enable = true;
  programs.uv.enable = true;
  programs.vim.defaultEditor = true;
  programs.vim.enable = true;
}

# Home of ada: written by Capsule from the profile minimal. Change the profile, not this file.
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
    pkgs.tmux
  ];
  home.stateVersion = "26.05";
  home.username = "ada";

  programs.bash.enable = true;
  programs.home-manager.enable = true;
  programs.vim.defaultEditor = true;
  programs.vim.enable = true;
}

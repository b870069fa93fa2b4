# Home of ada: written by Capsule from the profile github. Change the profile, not this file.
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
    pkgs.gh
  ];
  home.stateVersion = "26.05";
  home.username = "ada";

  programs.bash.enable = true;
  programs.gh.enable = true;
  programs.git.enable = true;
  programs.git.settings.init.defaultBranch = "main";
  programs.home-manager.enable = true;
}

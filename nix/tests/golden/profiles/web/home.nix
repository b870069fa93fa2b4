# Home of ada: written by Capsule from the profile web. Change the profile, not this file.
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
    pkgs.nodejs_24
    pkgs.pnpm
    pkgs.yarn
    pkgs.docker-compose
    pkgs.gh
    pkgs.tmux
  ];
  home.stateVersion = "26.05";
  home.username = "ada";

  programs.bash.enable = true;
  programs.gh.enable = true;
  programs.git.enable = true;
  programs.git.settings.init.defaultBranch = "main";
  programs.home-manager.enable = true;
  programs.vim.defaultEditor = true;
  programs.vim.enable = true;
}

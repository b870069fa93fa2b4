# Home of ada: written by Capsule from the profile golang. Change the profile, not this file.
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
    pkgs.go
    pkgs.gopls
    pkgs.delve
    pkgs.golangci-lint
  ];
  home.stateVersion = "26.05";
  home.username = "ada";

  programs.bash.enable = true;
  programs.go.enable = true;
  programs.home-manager.enable = true;
}

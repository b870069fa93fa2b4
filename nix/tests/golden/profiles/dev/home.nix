# Home of ada: written by Capsule from the profile dev. Change the profile, not this file.
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
    pkgs.nodejs_24
    pkgs.pnpm
    pkgs.yarn
    pkgs.docker-compose
    pkgs.gh
    pkgs.jq
    pkgs.ripgrep
    pkgs.fzf
    pkgs.fd
    pkgs.tree
    pkgs.tmux
    pkgs.httpie
    pkgs.bat
    (pkgs.python3.withPackages (python: [
      python.pip
      python.virtualenv
      python.ipython
    ]))
  ];
  home.stateVersion = "26.05";
  home.username = "ada";

  programs.bash.enable = true;
  programs.bat.enable = true;
  programs.fd.enable = true;
  programs.fzf.enable = true;
  programs.gh.enable = true;
  programs.git.enable = true;
  programs.git.settings.init.defaultBranch = "main";
  programs.home-manager.enable = true;
  programs.jq.enable = true;
  programs.ripgrep.enable = true;
  programs.tmux.enable = true;
  programs.uv.enable = true;
  programs.vim.defaultEditor = true;
  programs.vim.enable = true;
}

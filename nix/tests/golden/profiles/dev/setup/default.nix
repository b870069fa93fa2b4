# Profile dev: Full-stack development environment
# Stacks: base, python, nodejs, docker, github, cli-tools
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
  extraOutputsToInstall = [
    "man"
    "info"
  ];
}

# web-1: what a machine of this kind (digitalocean) has. If the machine has a file of this name already, that one knows
# better and is kept.
{
  config,
  lib,
  modulesPath,
  ...
}:
{
  fileSystems."/".autoResize = true;
  fileSystems."/".device = "/dev/disk/by-label/nixos";
  fileSystems."/".fsType = "ext4";

  nixpkgs.hostPlatform = "x86_64-linux";
}

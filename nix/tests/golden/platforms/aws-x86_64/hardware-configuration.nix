# web-1: what a machine of this kind (aws) has. If the machine has a file of this name already, that one knows
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
  fileSystems."/boot".device = "/dev/disk/by-label/ESP";
  fileSystems."/boot".fsType = "vfat";
  fileSystems."/boot".options = [ "umask=0077" ];

  nixpkgs.hostPlatform = "x86_64-linux";
}

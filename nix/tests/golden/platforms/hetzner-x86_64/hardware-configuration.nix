# web-1: what a machine of this kind (hetzner) has. If the machine has a file of this name already, that one knows
# better and is kept.
{
  config,
  lib,
  modulesPath,
  ...
}:
{
  imports = [ (modulesPath + "/profiles/qemu-guest.nix") ];

  boot.initrd.availableKernelModules = [
    "virtio_pci"
    "virtio_scsi"
    "virtio_blk"
    "ahci"
    "sd_mod"
    "sr_mod"
    "xhci_pci"
  ];

  fileSystems."/".device = "/dev/disk/by-partlabel/disk-main-root";
  fileSystems."/".fsType = "ext4";
  fileSystems."/boot".device = "/dev/disk/by-partlabel/disk-main-ESP";
  fileSystems."/boot".fsType = "vfat";
  fileSystems."/boot".options = [ "umask=0077" ];

  nixpkgs.hostPlatform = "x86_64-linux";
}

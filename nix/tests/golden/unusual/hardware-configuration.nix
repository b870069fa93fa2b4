# rack-7: what a machine of this kind (equinix) has. If the machine has a file of this name already, that one knows
# better and is kept.
{
  config,
  lib,
  modulesPath,
  ...
}:
{
  imports = [ (modulesPath + "/installer/scan/not-detected.nix") ];

  boot.initrd.availableKernelModules = [
    "nvme"
    "ahci"
    "xhci_pci"
    "megaraid_sas"
    "mpt3sas"
    "sd_mod"
    "usbhid"
    "usb_storage"
  ];

  fileSystems."/".device = "/dev/disk/by-partlabel/disk-main-root";
  fileSystems."/".fsType = "ext4";
  fileSystems."/boot".device = "/dev/disk/by-partlabel/disk-main-ESP";
  fileSystems."/boot".fsType = "vfat";
  fileSystems."/boot".options = [ "umask=0077" ];

  nixpkgs.hostPlatform = "x86_64-linux";
}

# rack-7: the layout of /dev/disk/by-id/nvme-first. Running disko with this file ERASES that disk.
{
  disko.devices.disk.main.content.partitions.ESP.content.format = "vfat";
  disko.devices.disk.main.content.partitions.ESP.content.mountOptions = [ "umask=0077" ];
  disko.devices.disk.main.content.partitions.ESP.content.mountpoint = "/boot";
  disko.devices.disk.main.content.partitions.ESP.content.type = "filesystem";
  disko.devices.disk.main.content.partitions.ESP.size = "1G";
  disko.devices.disk.main.content.partitions.ESP.type = "EF00";
  disko.devices.disk.main.content.partitions.root.content.format = "ext4";
  disko.devices.disk.main.content.partitions.root.content.mountpoint = "/";
  disko.devices.disk.main.content.partitions.root.content.type = "filesystem";
  disko.devices.disk.main.content.partitions.root.size = "100%";
  disko.devices.disk.main.content.type = "gpt";
  disko.devices.disk.main.device = "/dev/disk/by-id/nvme-first";
  disko.devices.disk.main.type = "disk";
}

//! What a machine runs on: how it boots, where its disk is, and what nixpkgs has for it already.
//!
//! The table of platforms is `PLATFORMS`. Three clouds have a module in nixpkgs that knows everything (DigitalOcean,
//! Linode, EC2); everywhere else we say what the disk looks like, twice: as a layout for disko, which makes it, and as
//! file systems by the labels that layout gives, which the running system mounts. So the configuration
//! evaluates without disko.

use serde::{Deserialize, Serialize};

use super::host::{Disk, Host};
use crate::{
    options::{OptionPath, Origin},
    value::Value,
};

/// Declares a closed set of words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every word of the set.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words!(
    /// A processor, as Nix names it.
    System {
        /// x86-64.
        #[default]
        X86_64 = "x86_64-linux",
        /// 64-bit ARM.
        Aarch64 = "aarch64-linux",
    }
);

words!(
    /// What a machine runs on: a cloud, or what is known of it otherwise.
    Platform {
        /// A virtual machine of which no more is known: boots by BIOS and by EFI.
        #[default]
        VirtualMachine = "vm",
        /// Own hardware of which no more is known.
        BareMetal = "metal",
        /// DigitalOcean.
        DigitalOcean = "digitalocean",
        /// Linode.
        Linode = "linode",
        /// Amazon EC2.
        Aws = "aws",
        /// Vultr.
        Vultr = "vultr",
        /// Scaleway.
        Scaleway = "scaleway",
        /// Hetzner Cloud.
        Hetzner = "hetzner",
        /// Hivelocity.
        Hivelocity = "hivelocity",
        /// Equinix Metal.
        Equinix = "equinix",
    }
);

/// How a machine boots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BootLoader {
    /// GRUB in the first sectors of `disk`.
    Bios {
        /// Where GRUB is written.
        disk: Disk,
    },
    /// GRUB where every EFI firmware looks without having been told.
    Efi,
    /// Both, for a machine of which it is not known.
    BiosAndEfi {
        /// Where GRUB is written.
        disk: Disk,
    },
    /// systemd-boot, on firmware of our own that may be told.
    SystemdBoot,
}

/// One line of the table.
struct Line {
    platform: Platform,
    /// What nixpkgs has for it, below `nixos/modules`.
    module: &'static str,
    /// The usual disk; a platform whose module knows it has none.
    disk: Option<&'static str>,
    boot: Boot,
    /// Whether it has machines with ARM processors.
    arm: bool,
    kernel_modules: &'static [&'static str],
    /// The kernel's parameter for the serial console, where the provider shows one.
    console: Option<&'static str>,
}

/// How the platform's machines boot when nobody says otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Boot {
    /// The module of nixpkgs knows.
    Module,
    Bios,
    Efi,
    Both,
}

const VIRTIO: &[&str] = &["virtio_pci", "virtio_scsi", "virtio_blk", "ahci", "sd_mod", "sr_mod", "xhci_pci"];
const METAL: &[&str] =
    &["nvme", "ahci", "xhci_pci", "megaraid_sas", "mpt3sas", "sd_mod", "usbhid", "usb_storage"];

const fn line(platform: Platform, module: &'static str, boot: Boot, disk: Option<&'static str>) -> Line {
    Line { platform, module, disk, boot, arm: false, kernel_modules: VIRTIO, console: None }
}

const GUEST: &str = "/profiles/qemu-guest.nix";
const SCANNED: &str = "/installer/scan/not-detected.nix";

const PLATFORMS: &[Line] = &[
    Line { arm: true, ..line(Platform::VirtualMachine, GUEST, Boot::Both, Some("/dev/vda")) },
    Line {
        arm: true,
        kernel_modules: METAL,
        ..line(Platform::BareMetal, SCANNED, Boot::Both, Some("/dev/sda"))
    },
    line(Platform::DigitalOcean, "/virtualisation/digital-ocean-config.nix", Boot::Module, None),
    line(Platform::Linode, "/virtualisation/linode-config.nix", Boot::Module, None),
    Line { arm: true, ..line(Platform::Aws, "/virtualisation/amazon-image.nix", Boot::Module, None) },
    line(Platform::Vultr, GUEST, Boot::Bios, Some("/dev/vda")),
    Line {
        arm: true,
        console: Some("console=ttyS0"),
        ..line(Platform::Scaleway, GUEST, Boot::Efi, Some("/dev/sda"))
    },
    Line { arm: true, ..line(Platform::Hetzner, GUEST, Boot::Both, Some("/dev/sda")) },
    Line { kernel_modules: METAL, ..line(Platform::Hivelocity, SCANNED, Boot::Both, Some("/dev/sda")) },
    Line {
        arm: true,
        kernel_modules: METAL,
        console: Some("console=ttyS1,115200n8"),
        ..line(Platform::Equinix, SCANNED, Boot::Both, Some("/dev/sda"))
    },
];

/// What the table says for a host, with what the host says otherwise.
pub(super) struct Machine<'a> {
    line: &'static Line,
    host: &'a Host,
}

impl<'a> Machine<'a> {
    pub(super) fn of(host: &'a Host) -> Self {
        let line = PLATFORMS.iter().find(|line| line.platform == host.platform);
        Self { line: line.expect("a line for every platform: a test reads them all"), host }
    }

    /// Whether such machines come with the host's processor.
    pub(super) fn has_system(&self) -> bool {
        self.line.arm || self.host.system == System::X86_64
    }

    pub(super) fn origin(&self) -> Origin {
        Origin::Platform(self.line.platform.as_str())
    }

    /// What a file imports from nixpkgs. A cloud's module belongs to the configuration, because a hardware file the
    /// machine has already is kept and may not have it.
    pub(super) fn imports(&self, file: Importing) -> Option<Value> {
        let belongs =
            if self.line.boot == Boot::Module { Importing::Configuration } else { Importing::Hardware };
        (file == belongs).then(|| Value::expression(format!("modulesPath + \"{}\"", self.line.module)))
    }

    /// The disk that is laid out by us; `None` where an image of the provider brings its own.
    pub(super) fn disk(&self) -> Option<Disk> {
        let usual = self.line.disk.map(|disk| disk.parse().expect("a disk of the table"));
        usual.map(|usual| self.host.disk.clone().unwrap_or(usual))
    }

    /// How it boots; `None` where the module of nixpkgs knows.
    pub(super) fn boot_loader(&self) -> Option<BootLoader> {
        if let Some(told) = &self.host.boot {
            return Some(told.clone());
        }
        let disk = self.disk()?;
        Some(match (self.line.boot, self.host.system) {
            (Boot::Module, _) => return None,
            (Boot::Bios, _) => BootLoader::Bios { disk },
            // There is no BIOS on ARM.
            (Boot::Efi, _) | (Boot::Both, System::Aarch64) => BootLoader::Efi,
            (Boot::Both, System::X86_64) => BootLoader::BiosAndEfi { disk },
        })
    }

    /// Options of the hardware file.
    pub(super) fn hardware(&self) -> Vec<(OptionPath, Value)> {
        let mut set = vec![(path("nixpkgs.hostPlatform"), self.host.system.as_str().into())];
        if self.disk().is_some() {
            set.push((path("boot.initrd.availableKernelModules"), self.line.kernel_modules.to_vec().into()));
        }
        for system in self.file_systems() {
            let at = path("fileSystems").below(system.mount);
            set.push((at.below("device"), system.device.into()));
            set.push((at.below("fsType"), system.kind.into()));
            if system.grows {
                set.push((at.below("autoResize"), true.into()));
            }
            if system.kind == "vfat" {
                set.push((at.below("options"), vec!["umask=0077"].into()));
            }
        }
        set
    }

    fn file_systems(&self) -> Vec<FileSystem> {
        let root = |device, grows| FileSystem { mount: "/", device, kind: "ext4", grows };
        let boot = |device| FileSystem { mount: "/boot", device, kind: "vfat", grows: false };
        match self.line.platform {
            // What the images of these have, as the modules of nixpkgs have it.
            Platform::DigitalOcean => vec![root("/dev/disk/by-label/nixos", true)],
            Platform::Aws => vec![root("/dev/disk/by-label/nixos", true), boot("/dev/disk/by-label/ESP")],
            Platform::Linode => vec![root("/dev/sda", true)],
            _ => {
                let mut layout = vec![root("/dev/disk/by-partlabel/disk-main-root", false)];
                layout.extend(self.has_esp().then(|| boot("/dev/disk/by-partlabel/disk-main-ESP")));
                layout
            }
        }
    }

    /// Options of the boot loader and the console.
    pub(super) fn boot(&self) -> Vec<(OptionPath, Value)> {
        let mut set = Vec::new();
        if self.line.platform == Platform::Aws {
            // ARM and the newer machines have no BIOS.
            set.push((path("ec2.efi"), true.into()));
        }
        if let Some(console) = self.line.console {
            set.push((path("boot.kernelParams"), vec!["console=tty0", console].into()));
        }
        let Some(loader) = self.boot_loader() else { return set };
        let grub = |name: &str| path(&format!("boot.loader.grub.{name}"));
        let (device, efi) = match &loader {
            BootLoader::SystemdBoot => {
                set.push((path("boot.loader.systemd-boot.enable"), true.into()));
                set.push((path("boot.loader.systemd-boot.configurationLimit"), GENERATIONS.into()));
                set.push((path("boot.loader.efi.canTouchEfiVariables"), true.into()));
                return set;
            }
            BootLoader::Bios { disk } => (Value::from(disk), false),
            BootLoader::Efi => ("nodev".into(), true),
            BootLoader::BiosAndEfi { disk } => (disk.into(), true),
        };
        set.push((grub("enable"), true.into()));
        set.push((grub("device"), device));
        set.push((grub("configurationLimit"), GENERATIONS.into()));
        if efi {
            set.push((grub("efiSupport"), true.into()));
            set.push((grub("efiInstallAsRemovable"), true.into()));
        }
        set
    }

    /// Whether the disk has a partition for EFI.
    pub(super) fn has_esp(&self) -> bool {
        !matches!(self.boot_loader(), None | Some(BootLoader::Bios { .. }))
    }

    /// Whether the disk has the partition in which GRUB lives on a GPT disk under BIOS.
    pub(super) fn has_bios_partition(&self) -> bool {
        matches!(self.boot_loader(), Some(BootLoader::Bios { .. } | BootLoader::BiosAndEfi { .. }))
    }
}

/// Which file imports something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Importing {
    Configuration,
    Hardware,
}

/// A file system of the running machine. Those we lay out have the labels disko gives: `disk-NAME-PARTITION`.
struct FileSystem {
    mount: &'static str,
    device: &'static str,
    kind: &'static str,
    grows: bool,
}

/// Generations in the boot menu. Every one keeps a kernel, and a full `/boot` stops the next apply.
const GENERATIONS: u16 = 10;

/// An option path of our own.
pub(super) fn path(text: &str) -> OptionPath {
    text.parse().expect("an option path of our own")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_has_a_line() {
        for platform in Platform::ALL {
            assert_eq!(PLATFORMS.iter().filter(|line| line.platform == *platform).count(), 1, "{platform}");
        }
    }
}

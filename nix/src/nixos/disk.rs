//! The layout of the disk, for disko. The running system does not read this file: it mounts by the labels that disko
//! gives, which are in `hardware-configuration.nix`.

use super::{
    host::Host,
    machine::{Machine, path},
};
use crate::{
    file::{File, module},
    options::{Conflict, Options},
    value::Value,
};

/// `None` where an image of the provider brings its own layout.
pub(super) fn file(host: &Host, machine: &Machine) -> Result<Option<File>, Conflict> {
    let Some(disk) = machine.disk() else { return Ok(None) };
    let main = path("disko.devices.disk.main");
    let partitions = main.below("content").below("partitions");
    let mut set = vec![
        (main.below("type"), "disk".into()),
        (main.below("device"), Value::from(&disk)),
        (main.below("content").below("type"), "gpt".into()),
    ];
    let mut partition = |name: &'static str, size: &'static str, kind: Option<&'static str>| {
        let partition = partitions.below(name);
        set.push((partition.below("size"), size.into()));
        if let Some(kind) = kind {
            set.push((partition.below("type"), kind.into()));
        }
        partition.below("content")
    };
    if machine.has_bios_partition() {
        partition("boot", "1M", Some("EF02"));
    }
    let esp = machine.has_esp().then(|| partition("ESP", "1G", Some("EF00")));
    let root = partition("root", "100%", None);
    let mounts = [(esp, "vfat", "/boot"), (Some(root), "ext4", "/")];
    for (content, format, mountpoint) in mounts {
        let Some(content) = content else { continue };
        set.push((content.below("type"), "filesystem".into()));
        set.push((content.below("format"), format.into()));
        set.push((content.below("mountpoint"), mountpoint.into()));
        if format == "vfat" {
            set.push((content.below("mountOptions"), vec!["umask=0077"].into()));
        }
    }
    let mut options = Options::default();
    for (path, value) in set {
        options.set(path, value, machine.origin())?;
    }
    let header =
        format!("{}: the layout of {disk}. Running disko with this file ERASES that disk.", host.name);
    Ok(Some(module("disko.nix", &header, "", Vec::new(), options)))
}

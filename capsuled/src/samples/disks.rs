//! File systems: which of them are real, and how full they are.
//!
//! Real means that a local block device, UBI volume or ZFS pool stands behind it: asking a network or FUSE
//! file system how full it is can hang for ever, and memory, overlay and image file systems say nothing
//! about a disk. A device that is mounted several times (bind mounts, Btrfs subvolumes) counts once, where
//! it was mounted first.

use std::collections::HashSet;

use capsule_api::DiskUse;

use super::parse::{MAX_ITEMS, name, number, percent};

/// Types that are skipped although a device stands behind them: images that are always full, clusters and
/// FUSE, which can hang.
const SKIPPED_TYPES: &[&str] = &["autofs", "cramfs", "erofs", "gfs2", "iso9660", "ocfs2", "squashfs", "udf"];

/// What is mounted where; both names as they are, escapes resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) device: String,
    pub(super) path: String,
}

/// How full a file system is, in blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space {
    pub(super) block_bytes: u64,
    pub(super) blocks: u64,
    pub(super) free: u64,
    /// Free for everyone; `free` includes what is reserved for root.
    pub(super) available: u64,
    pub(super) inodes: u64,
    pub(super) inodes_free: u64,
}

/// The file systems of a reading: `/proc/mounts` says which, `space` (from `stat -f`) or else `df` (from
/// `df -kP`) how full.
pub(super) fn read(mounts: &str, space: &str, df: &str) -> Vec<DiskUse> {
    let mut rows: Vec<(&str, Space)> = df.lines().filter_map(df_row).collect();
    // Later rows win, and `stat` knows more than `df`.
    rows.extend(space.lines().filter_map(space_row));
    let rows: std::collections::HashMap<&str, Space> = rows.into_iter().collect();
    let used = |mount: Mount| disk_use(&mount, *rows.get(mount.path.as_str())?);
    real_mounts(mounts).filter_map(used).take(MAX_ITEMS).collect()
}

/// The mounts of `/proc/mounts` that are real, each device once.
pub(super) fn real_mounts(mounts: &str) -> impl Iterator<Item = Mount> {
    let mut seen = HashSet::new();
    mounts.lines().filter_map(move |line| {
        let mut words = line.split(' ');
        let (device, path, kind) = (words.next()?, words.next()?, words.next()?);
        let skipped = kind.starts_with("fuse") || SKIPPED_TYPES.contains(&kind);
        let real = !skipped && (device.starts_with("/dev/") || device.starts_with("ubi") || kind == "zfs");
        (real && seen.insert(device)).then(|| Mount { device: unescape(device), path: unescape(path) })
    })
}

/// `mount` in the words of a sample; `None` when the numbers make no sense or the file system has no size.
pub(super) fn disk_use(mount: &Mount, space: Space) -> Option<DiskUse> {
    let used = space.blocks.checked_sub(space.free)?;
    let usable = used.checked_add(space.available)?;
    Some(DiskUse {
        mount: name(&mount.path),
        device: name(&mount.device),
        total_bytes: space.blocks.checked_mul(space.block_bytes)?,
        used_bytes: used.checked_mul(space.block_bytes)?,
        used_percent: percent(used, usable)?,
        inodes_used_percent: percent(space.inodes.saturating_sub(space.inodes_free), space.inodes),
    })
}

/// `4096 1000 500 450 100 75 /srv`: block size, blocks, free, available, inodes, free inodes, path.
fn space_row(line: &str) -> Option<(&str, Space)> {
    let mut words = line.splitn(7, ' ');
    let mut next = || number(words.next());
    let space = Space {
        block_bytes: next()?,
        blocks: next()?,
        free: next()?,
        available: next()?,
        inodes: next()?,
        inodes_free: next()?,
    };
    Some((words.next()?, space))
}

/// `/dev/sda1  1000  500  450  53%  /srv`: device, KiB, used, available, share, path.
fn df_row(line: &str) -> Option<(&str, Space)> {
    let mut rest = line;
    let mut word = || {
        let (word, after) = rest.trim_start().split_once(' ')?;
        rest = after;
        Some(word)
    };
    let _device = word()?;
    let (blocks, used, available) = (number(word())?, number(word())?, number(word())?);
    let _share = word()?;
    let free = u64::checked_sub(blocks, used)?;
    Some((rest.trim_start(), Space { block_bytes: 1024, blocks, free, available, inodes: 0, inodes_free: 0 }))
}

/// `/proc/mounts` writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        match (code, part.get(3..)) {
            (Some(code), Some(rest)) => {
                plain.push(char::from(code));
                plain.push_str(rest);
            }
            _ => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_the_kernel_are_resolved() {
        assert_eq!(unescape(r"/a\040b\134c"), r"/a b\c");
        assert_eq!(unescape(r"/odd\9\"), r"/odd\9\");
    }

    #[test]
    fn what_can_hang_or_says_nothing_is_not_real() {
        let mounts = "server:/x /nfs nfs4 rw 0 0\n//server/x /cifs cifs rw 0 0\noverlay /o overlay rw 0 0\n\
                      tmpfs /run tmpfs rw 0 0\n/dev/sdb1 /ntfs fuseblk rw 0 0\n/dev/loop0 /snap/x squashfs ro 0 0\n\
                      sshfs#a:/ /s fuse.sshfs rw 0 0\n/dev/sda1 / ext4 rw 0 0\n/dev/sda1 /bind ext4 rw 0 0\n";
        let real: Vec<_> = real_mounts(mounts).map(|mount| mount.path).collect();
        assert_eq!(real, ["/"]);
    }

    #[test]
    fn numbers_that_contradict_each_other_give_no_disk() {
        let mount = Mount { device: "/dev/a".to_owned(), path: "/".to_owned() };
        let space =
            |blocks, free| Space { block_bytes: 4096, blocks, free, available: 0, inodes: 0, inodes_free: 0 };
        assert_eq!(disk_use(&mount, space(10, 11)), None);
        assert_eq!(disk_use(&mount, space(0, 0)), None);
        assert_eq!(disk_use(&mount, space(u64::MAX, 0)), None);
    }

    #[test]
    fn a_path_with_spaces_survives_both_tables() {
        assert_eq!(space_row("1 2 3 4 5 6 /my data").map(|row| row.0), Some("/my data"));
        assert_eq!(df_row("/dev/a   20  10  10  50%   /my data").map(|row| row.0), Some("/my data"));
        assert!(df_row("Filesystem 1024-blocks Used Available Capacity Mounted on").is_none());
    }
}

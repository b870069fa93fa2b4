//! What only ever grows on a node, and the rates between two readings of it.

use std::collections::HashSet;

use capsule_api::{CpuUse, DiskRate, NetworkRate};
use jiff::Timestamp;

use super::parse::{MAX_ITEMS, name, number, percent};

/// Readings closer together than this give no rates: the kernel's ticks are too coarse.
const SHORTEST_SECONDS: f64 = 0.1;

/// Boot times further apart than this are two boots; less is the node's clock being corrected.
const SAME_BOOT_SECONDS: u64 = 60;

/// A sector in `/proc/diskstats`, whatever the device's own sectors are.
const SECTOR_BYTES: u64 = 512;

/// Interfaces whose bytes also pass through another one that is listed, or never leave the machine:
/// loopback, containers and virtual machines, bridges, bonds and tunnels. Counting them would count twice.
const VIRTUAL_INTERFACES: &[&str] = &[
    "bond",
    "br",
    "cali",
    "cilium",
    "cni",
    "docker",
    "dummy",
    "flannel",
    "gre",
    "ifb",
    "incusbr",
    "ip6tnl",
    "kube",
    "lxc",
    "lxd",
    "nodelocaldns",
    "podman",
    "sit",
    "tailscale",
    "tap",
    "team",
    "tun",
    "utun",
    "veth",
    "virbr",
    "vmnet",
    "vnet",
    "vxlan",
    "wg",
    "zt",
];

/// Block devices that stand on others which are listed, or on none.
const VIRTUAL_DEVICES: &[&str] = &["dm-", "fd", "loop", "md", "ram", "sr", "zram"];

/// The counters of one reading, kept until the next. Opaque to the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Counters {
    at: Timestamp,
    uptime_seconds: Option<f64>,
    /// Seconds since the epoch by the node's own clock.
    booted_at: Option<u64>,
    cpu: Option<CpuTimes>,
    network: Vec<Traffic>,
    block_devices: Vec<Traffic>,
}

/// Processor time in ticks, all cores together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CpuTimes {
    /// user, nice, system, idle, iowait, irq, softirq, steal. `guest` is contained in `user` and
    /// `guest_nice` in `nice` (kernel, `account_guest_time`), so neither is read.
    ticks: [u64; 8],
    cores: u32,
}

/// Bytes that came in and went out, of an interface or a device.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Traffic {
    name: String,
    bytes_in: u64,
    bytes_out: u64,
}

/// What happened between two readings.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Change {
    pub(super) cpu: Option<CpuUse>,
    pub(super) network: Vec<NetworkRate>,
    pub(super) disk_io: Vec<DiskRate>,
}

impl Counters {
    pub(super) const fn begin(at: Timestamp, uptime_seconds: Option<f64>) -> Self {
        Self {
            at,
            uptime_seconds,
            booted_at: None,
            cpu: None,
            network: Vec::new(),
            block_devices: Vec::new(),
        }
    }

    /// `/proc/stat`: processor time and when the node was started.
    pub(super) fn read_cpu(&mut self, stat: &str) {
        let is_core =
            |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(char::is_numeric));
        let cores = stat.lines().filter(is_core).count();
        self.booted_at = stat.lines().find_map(|line| number(line.strip_prefix("btime ")));
        let all = stat.lines().find_map(|line| line.strip_prefix("cpu "));
        self.cpu = all
            .and_then(ticks)
            .zip(u32::try_from(cores).ok().filter(|cores| 0 < *cores))
            .map(|(ticks, cores)| CpuTimes { ticks, cores });
    }

    /// `/proc/net/dev`: after the colon 8 columns of receiving, then 8 of sending.
    pub(super) fn read_network(&mut self, net_dev: &str) {
        let row = |line: &str| {
            let (interface, columns) = line.split_once(':')?;
            let interface = interface.trim();
            let mut columns = columns.split_whitespace();
            let bytes_in = number(columns.next())?;
            let bytes_out = number(columns.nth(7))?;
            let vlan = interface.contains('.');
            let counted = interface != "lo" && !vlan && !starts_with_any(interface, VIRTUAL_INTERFACES);
            counted.then(|| Traffic { name: name(interface), bytes_in, bytes_out })
        };
        self.network = net_dev.lines().filter_map(row).take(MAX_ITEMS).collect();
    }

    /// `/proc/diskstats`: major, minor, name, reads, merged, sectors read, ms, writes, merged, sectors written.
    pub(super) fn read_block_devices(&mut self, diskstats: &str) {
        let row = |line: &str| {
            let mut words = line.split_whitespace().skip(2);
            let device = words.next()?;
            let bytes_in = number::<u64>(words.nth(2))?.checked_mul(SECTOR_BYTES)?;
            let bytes_out = number::<u64>(words.nth(3))?.checked_mul(SECTOR_BYTES)?;
            Some((device.to_owned(), bytes_in, bytes_out))
        };
        let rows: Vec<_> = diskstats.lines().filter_map(row).take(4 * MAX_ITEMS).collect();
        let names: HashSet<&str> = rows.iter().map(|row| row.0.as_str()).collect();
        let whole = |device: &str| !starts_with_any(device, VIRTUAL_DEVICES) && !is_partition(device, &names);
        let counted = rows.iter().filter(|row| whole(&row.0)).take(MAX_ITEMS);
        self.block_devices = counted
            .map(|(device, i, o)| Traffic { name: name(device), bytes_in: *i, bytes_out: *o })
            .collect();
    }

    /// What happened since `before`; `None` when the node restarted between the two or they are too close.
    pub(super) fn since(&self, before: &Self) -> Option<Change> {
        let seconds = match (before.uptime_seconds, self.uptime_seconds) {
            // The node's own clock knows nothing of network delays.
            (Some(before), Some(now)) => now - before,
            _ => self.at.duration_since(before.at).as_secs_f64(),
        };
        let boots = self.booted_at.zip(before.booted_at);
        if boots.is_some_and(|(now, before)| now.abs_diff(before) > SAME_BOOT_SECONDS) {
            return None;
        }
        if !seconds.is_finite() || seconds < SHORTEST_SECONDS {
            return None;
        }
        let network = rates(&before.network, &self.network, seconds).map(|(interface, received, sent)| {
            NetworkRate { interface, received_bytes_per_second: received, sent_bytes_per_second: sent }
        });
        let disk_io =
            rates(&before.block_devices, &self.block_devices, seconds).map(|(device, read, written)| {
                DiskRate { device, read_bytes_per_second: read, written_bytes_per_second: written }
            });
        Some(Change {
            cpu: before.cpu.zip(self.cpu).and_then(|(before, now)| now.used_since(before)),
            network: network.collect(),
            disk_io: disk_io.collect(),
        })
    }
}

impl CpuTimes {
    fn used_since(self, before: Self) -> Option<CpuUse> {
        let mut spent = self.ticks;
        for (spent, before) in spent.iter_mut().zip(before.ticks) {
            // `iowait` and `idle` may go back a little (proc(5)); that is no time spent, not an error.
            *spent = spent.saturating_sub(before);
        }
        let [_user, _nice, _system, idle, iowait, _irq, _softirq, steal] = spent;
        let total = spent.iter().try_fold(0u64, |sum, ticks| sum.checked_add(*ticks))?;
        let share = |ticks| percent(ticks, total);
        Some(CpuUse {
            total_percent: share(total - idle - iowait)?,
            iowait_percent: share(iowait)?,
            steal_percent: share(steal)?,
            cores: self.cores,
        })
    }
}

/// The first eight columns; kernels before 2.6.11 have no `steal`, which then is none.
fn ticks(columns: &str) -> Option<[u64; 8]> {
    let mut columns = columns.split_whitespace();
    let mut ticks = [0; 8];
    for (index, ticks) in ticks.iter_mut().enumerate() {
        match columns.next() {
            Some(column) => *ticks = column.parse().ok()?,
            // Idle and waiting are the fourth and fifth.
            None if 4 < index => break,
            None => return None,
        }
    }
    Some(ticks)
}

/// Name, incoming and outgoing bytes per second of everything in both readings whose counters did not go
/// back, as they do when a device is replaced or a 32 bit counter wraps.
#[expect(clippy::cast_precision_loss, reason = "a rate does not need more than 52 bits")]
fn rates(before: &[Traffic], now: &[Traffic], seconds: f64) -> impl Iterator<Item = (String, f64, f64)> {
    now.iter().filter_map(move |now| {
        let before = before.iter().find(|before| before.name == now.name)?;
        let bytes_in = now.bytes_in.checked_sub(before.bytes_in)?;
        let bytes_out = now.bytes_out.checked_sub(before.bytes_out)?;
        Some((now.name.clone(), bytes_in as f64 / seconds, bytes_out as f64 / seconds))
    })
}

/// Whether another device in `names` is the disk that `device` is a part of: `sda` of `sda1`, `nvme0n1` of
/// `nvme0n1p2`.
fn is_partition(device: &str, names: &HashSet<&str>) -> bool {
    let disk = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if disk == device {
        return false;
    }
    let numbered = disk.strip_suffix('p').filter(|disk| disk.ends_with(|c: char| c.is_ascii_digit()));
    names.contains(disk) || numbered.is_some_and(|disk| names.contains(disk))
}

fn starts_with_any(text: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(uptime: f64, stat: &str, net_dev: &str, diskstats: &str) -> Counters {
        let mut counters = Counters::begin(Timestamp::UNIX_EPOCH, Some(uptime));
        counters.read_cpu(stat);
        counters.read_network(net_dev);
        counters.read_block_devices(diskstats);
        counters
    }

    #[test]
    fn a_node_that_restarted_and_ran_for_longer_than_before_has_no_rates() {
        let before =
            reading(60.0, "btime 1000\ncpu 1 1 1 1 1 1 1 1\ncpu0 1\n", "eth0: 1 0 0 0 0 0 0 0 1\n", "");
        let after =
            reading(90.0, "btime 5000\ncpu 9 9 9 9 9 9 9 9\ncpu0 9\n", "eth0: 9 0 0 0 0 0 0 0 9\n", "");
        assert_eq!(after.since(&before), None);
    }

    #[test]
    fn a_counter_that_went_back_has_no_rate_and_the_others_do() {
        let before = reading(1.0, "", "eth0: 100 0 0 0 0 0 0 0 1\neth1: 5 0 0 0 0 0 0 0 5\n", "");
        let after = reading(2.0, "", "eth0: 50 0 0 0 0 0 0 0 9\neth1: 6 0 0 0 0 0 0 0 7\n", "");
        let change = after.since(&before).expect("the node did not restart");
        let rates: Vec<_> =
            change.network.iter().map(|rate| (rate.interface.as_str(), rate.sent_bytes_per_second)).collect();
        assert_eq!(rates, [("eth1", 2.0)]);
    }

    #[test]
    fn time_of_guests_is_not_counted_twice() {
        let before = reading(1.0, "cpu 0 0 0 0 0 0 0 0 0 0\ncpu0 0\n", "", "");
        let after = reading(2.0, "cpu 50 0 0 50 0 0 0 0 50 0\ncpu0 0\n", "", "");
        let cpu = after.since(&before).and_then(|change| change.cpu).expect("processor use");
        assert_eq!(cpu.total_percent, 50.0);
    }

    #[test]
    fn idle_time_that_goes_back_is_no_time() {
        let before = reading(1.0, "cpu 0 0 0 100 100 0 0 0\ncpu0 0\n", "", "");
        let after = reading(2.0, "cpu 50 0 0 150 99 0 0 0\ncpu0 0\n", "", "");
        let cpu = after.since(&before).and_then(|change| change.cpu).expect("processor use");
        assert_eq!((cpu.total_percent, cpu.iowait_percent), (50.0, 0.0));
    }

    #[test]
    fn disks_count_and_their_partitions_do_not() {
        let names =
            ["sda", "sda1", "nvme0n1", "nvme0n1p2", "mmcblk0", "mmcblk0p1", "vdb1", "dm-0", "loop1", "md127"];
        let rows: String = names.iter().map(|name| format!("8 0 {name} 1 0 8 0 1 0 8 0\n")).collect();
        let counters = reading(1.0, "", "", &rows);
        let devices: Vec<_> = counters.block_devices.iter().map(|device| device.name.as_str()).collect();
        assert_eq!(devices, ["sda", "nvme0n1", "mmcblk0", "vdb1"]);
    }

    #[test]
    fn interfaces_that_repeat_the_bytes_of_others_do_not_count() {
        let names =
            ["lo", "eth0", "eth0.100", "enp1s0", "docker0", "veth12ab", "br-1a2b", "wg0", "wlan0", "ppp0"];
        let rows: String = names.iter().map(|name| format!("{name}: 1 0 0 0 0 0 0 0 1\n")).collect();
        let counters = reading(1.0, "", &rows, "");
        let interfaces: Vec<_> = counters.network.iter().map(|interface| interface.name.as_str()).collect();
        assert_eq!(interfaces, ["eth0", "enp1s0", "wlan0", "ppp0"]);
    }
}

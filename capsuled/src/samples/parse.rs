//! The text of one reading, taken apart. Pure, and suspicious: the text comes from a machine that may be
//! hostile, so every number is checked, every list is bounded and every name is made printable.

use std::{collections::HashMap, str::FromStr};

use capsule_api::{Pressure, Sample};
use jiff::Timestamp;

use super::{counters::Counters, disks, memory};
use crate::ssh::printable;

/// File systems, network interfaces and block devices in one sample, each.
pub(super) const MAX_ITEMS: usize = 64;

/// Characters in the name of any of them.
const MAX_NAME_CHARS: usize = 255;

/// Why a text gives no reading.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// None of the kernel's files is in it: not a Linux node, or something else answered.
    #[error("the node printed no readings")]
    NoReadings,
}

/// Takes apart what the collecting script printed. `previous` is the reading before this one of the same
/// node: without it, or when the node has restarted since, processor use and rates are absent. `now` stands
/// in the sample and measures time when the node does not tell its uptime.
///
/// # Errors
/// [`ParseError::NoReadings`]: the text holds none of the files that every Linux has.
pub fn parse(
    text: &str,
    previous: Option<&Counters>,
    now: Timestamp,
) -> Result<(Sample, Counters), ParseError> {
    let sections = sections(text);
    let section = |name: &str| sections.get(name).copied().unwrap_or_default();
    if ["stat", "meminfo", "uptime"].iter().all(|name| section(name).trim().is_empty()) {
        return Err(ParseError::NoReadings);
    }
    let uptime_seconds = positive(section("uptime").split_whitespace().next());
    let mut counters = Counters::begin(now, uptime_seconds);
    counters.read_cpu(section("stat"));
    counters.read_network(section("net/dev"));
    counters.read_block_devices(section("diskstats"));
    let change = previous.and_then(|previous| counters.since(previous));
    let change = change.unwrap_or_default();
    let memory = memory::read(section("meminfo"));
    let sample = Sample {
        at: now,
        uptime_seconds,
        cpu: change.cpu,
        memory: memory.main,
        swap: memory.swap,
        load: load(section("loadavg")),
        disks: disks::read(section("mounts"), section("space"), section("df")),
        network: change.network,
        disk_io: change.disk_io,
        processes: processes(section("processes"), section("mounts")),
        pressure: pressure(section),
    };
    Ok((sample, counters))
}

/// The text between the headers `==> NAME <==`, as `tail` prints them for several files; of two sections
/// with one name the first counts. What stands before the first header (a noisy shell profile) is dropped.
fn sections(text: &str) -> HashMap<&str, &str> {
    let mut sections = HashMap::new();
    let mut open: Option<(&str, usize)> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let header = line.trim_end().strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <=="));
        if let Some(name) = header {
            if let Some((name, start)) = open.take() {
                sections.entry(name).or_insert(text.get(start..offset).unwrap_or_default());
            }
            open = Some((name, offset + line.len()));
        }
        offset += line.len();
    }
    if let Some((name, start)) = open {
        sections.entry(name).or_insert(text.get(start..).unwrap_or_default());
    }
    sections
}

fn load(text: &str) -> Option<[f64; 3]> {
    let mut words = text.split_whitespace();
    let mut next = || positive(words.next());
    Some([next()?, next()?, next()?])
}

/// The number of processes, unless the node hides those of other users from us (`hidepid`).
fn processes(text: &str, mounts: &str) -> Option<u32> {
    let hidden = mounts.lines().any(|line| {
        let mut words = line.split(' ').skip(1);
        words.next() == Some("/proc") && line.contains("hidepid=") && !line.contains("hidepid=0")
    });
    if hidden { None } else { number(text.split_whitespace().next()) }
}

fn pressure<'a>(section: impl Fn(&str) -> &'a str) -> Option<Pressure> {
    let pressure = Pressure {
        cpu_percent: waited(section("pressure/cpu")),
        memory_percent: waited(section("pressure/memory")),
        io_percent: waited(section("pressure/io")),
    };
    let any = pressure.cpu_percent.or(pressure.memory_percent).or(pressure.io_percent);
    any.map(|_| pressure)
}

fn waited(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let average = some.split_whitespace().find_map(|word| word.strip_prefix("avg10="));
    positive(average).map(|share| share.min(100.0))
}

/// A number, when the word is one.
pub(super) fn number<T: FromStr>(word: Option<&str>) -> Option<T> {
    word?.parse().ok()
}

/// A finite number that is not negative.
pub(super) fn positive(word: Option<&str>) -> Option<f64> {
    number(word).filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

/// `part` of `whole` in percent, 0–100; `None` of nothing.
#[expect(clippy::cast_precision_loss, reason = "a percentage does not need more than 52 bits")]
pub(super) fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 100.0).clamp(0.0, 100.0))
}

/// A name as it may be shown.
pub(super) fn name(raw: &str) -> String {
    printable(raw.as_bytes(), MAX_NAME_CHARS)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    const DEBIAN: &str = include_str!("fixtures/debian.txt");
    const DEBIAN_LATER: &str = include_str!("fixtures/debian-later.txt");
    const BUSYBOX: &str = include_str!("fixtures/busybox.txt");

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn read(text: &str) -> (Sample, Counters) {
        parse(text, None, now()).expect("a reading")
    }

    #[test]
    fn a_first_reading_has_levels_but_no_rates() {
        let (sample, _) = read(DEBIAN);
        assert_eq!((sample.cpu, &sample.network[..], &sample.disk_io[..]), (None, &[][..], &[][..]));
        assert_eq!(sample.uptime_seconds, Some(86_400.0));
        assert_eq!(sample.load, Some([0.5, 0.25, 0.125]));
        assert_eq!(sample.processes, Some(123));
        let memory = sample.memory.expect("memory");
        assert_eq!(
            (memory.total_bytes, memory.used_bytes, memory.used_percent),
            (4_096_000, 1_024_000, 25.0)
        );
        assert_eq!(sample.pressure.expect("pressure").io_percent, Some(1.5));
    }

    #[test]
    fn a_second_reading_has_rates() {
        let (_, before) = read(DEBIAN);
        let (sample, _) = parse(DEBIAN_LATER, Some(&before), now()).expect("a reading");
        let cpu = sample.cpu.expect("processor use");
        // 10 s on two cores: 2,000 ticks, of which 1,000 idle, 300 waiting and 100 stolen.
        assert_eq!(
            (cpu.total_percent, cpu.iowait_percent, cpu.steal_percent, cpu.cores),
            (35.0, 15.0, 5.0, 2)
        );
        let eth0 = &sample.network[0];
        assert_eq!((eth0.interface.as_str(), eth0.received_bytes_per_second), ("eth0", 1000.0));
        assert_eq!((sample.network.len(), eth0.sent_bytes_per_second), (1, 200.0));
        let vda = &sample.disk_io[0];
        assert_eq!((vda.device.as_str(), vda.read_bytes_per_second), ("vda", 5120.0));
        assert_eq!((sample.disk_io.len(), vda.written_bytes_per_second), (1, 10_240.0));
    }

    #[test]
    fn after_a_restart_rates_are_absent_not_negative() {
        let (_, later) = read(DEBIAN_LATER);
        let (sample, _) = parse(DEBIAN, Some(&later), now()).expect("a reading");
        assert_eq!((sample.cpu, sample.network.len(), sample.disk_io.len()), (None, 0, 0));
        assert!(sample.memory.is_some());
    }

    #[test]
    fn every_real_mount_is_there_once_and_nothing_else() {
        let (sample, _) = read(DEBIAN);
        let mounts: Vec<_> = sample.disks.iter().map(|disk| disk.mount.as_str()).collect();
        assert_eq!(mounts, ["/", "/srv/my data", "/tank"]);
        let root = &sample.disks[0];
        assert_eq!(
            (root.device.as_str(), root.total_bytes, root.used_bytes),
            ("/dev/vda1", 4_096_000, 2_048_000)
        );
        // 500 blocks used, 450 free for us: `df` rounds 52.63 up to 53.
        assert_eq!((root.used_percent * 100.0).round(), 5263.0);
        assert_eq!(root.inodes_used_percent, Some(25.0));
        assert_eq!(sample.disks[1].inodes_used_percent, None);
    }

    #[test]
    fn a_busybox_node_without_stat_is_read_through_df() {
        let (sample, _) = read(BUSYBOX);
        let disk = &sample.disks[0];
        assert_eq!((disk.mount.as_str(), disk.device.as_str()), ("/overlay", "/dev/ubi0_1"));
        assert_eq!((disk.total_bytes, disk.used_bytes), (20_480 * 1024, 10_240 * 1024));
        assert_eq!(disk.inodes_used_percent, None);
        assert_eq!((sample.swap, sample.pressure), (None, None));
        let memory = sample.memory.expect("an old kernel has no MemAvailable");
        assert_eq!(memory.used_bytes, 60 * 1024 * 1024);
    }

    #[test]
    fn what_is_no_reading_is_an_error() {
        for text in ["", "Welcome!\n", "==> mounts <==\n", "==> stat <==\n==> uptime <==\n"] {
            assert_eq!(parse(text, None, now()).map(drop), Err(ParseError::NoReadings), "{text:?}");
        }
    }

    #[test]
    fn hidden_processes_are_not_counted() {
        let text = "==> mounts <==\nproc /proc proc rw,hidepid=invisible 0 0\n==> uptime <==\n1.0 1.0\n==> processes <==\n3\n";
        assert_eq!(read(text).0.processes, None);
    }

    /// Everything that must hold for a sample of whatever origin.
    fn check(sample: &Sample) -> Result<(), TestCaseError> {
        let cpu = sample.cpu.iter().flat_map(|c| [c.total_percent, c.iowait_percent, c.steal_percent]);
        let memory = sample.memory.iter().chain(&sample.swap).map(|pool| pool.used_percent);
        let disks = sample.disks.iter().flat_map(|d| [Some(d.used_percent), d.inodes_used_percent]).flatten();
        let waits =
            sample.pressure.iter().flat_map(|p| [p.cpu_percent, p.memory_percent, p.io_percent]).flatten();
        for share in cpu.chain(memory).chain(disks).chain(waits) {
            prop_assert!((0.0..=100.0).contains(&share), "{share}");
        }
        let network =
            sample.network.iter().flat_map(|n| [n.received_bytes_per_second, n.sent_bytes_per_second]);
        let blocks =
            sample.disk_io.iter().flat_map(|d| [d.read_bytes_per_second, d.written_bytes_per_second]);
        for rate in
            network.chain(blocks).chain(sample.load.into_iter().flatten()).chain(sample.uptime_seconds)
        {
            prop_assert!(rate.is_finite() && 0.0 <= rate, "{rate}");
        }
        prop_assert!(sample.disks.len() <= MAX_ITEMS && sample.network.len() <= MAX_ITEMS);
        prop_assert!(sample.disk_io.len() <= MAX_ITEMS);
        let names = sample.disks.iter().flat_map(|d| [&d.mount, &d.device]);
        let names = names.chain(sample.network.iter().map(|n| &n.interface));
        for name in names.chain(sample.disk_io.iter().map(|d| &d.device)) {
            prop_assert!(
                name.chars().count() <= MAX_NAME_CHARS && !name.contains(char::is_control),
                "{name:?}"
            );
        }
        Ok(())
    }

    /// A real reading in which some words were replaced by what breaks careless parsers.
    fn mangled() -> impl Strategy<Value = String> {
        let evil = prop_oneof![
            Just("18446744073709551615".to_owned()),
            Just("-1".to_owned()),
            Just("NaN".to_owned()),
            Just("1e999".to_owned()),
            Just("99999999999999999999999".to_owned()),
            Just("0".to_owned()),
            Just("\\040\\012\\777\\".to_owned()),
            "\\PC{0,12}",
            any::<u64>().prop_map(|number| number.to_string()),
        ];
        let source = prop_oneof![Just(DEBIAN), Just(DEBIAN_LATER), Just(BUSYBOX)];
        (source, prop::collection::vec((any::<prop::sample::Index>(), evil), 0..40)).prop_map(
            |(text, changes)| {
                let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
                for (index, evil) in changes {
                    let index = index.index(words.len());
                    words[index] = evil;
                }
                words.join(" ")
            },
        )
    }

    proptest! {
        #[test]
        fn any_text_gives_a_bounded_sample_or_an_error(first in "(?s).{0,400}", second in "(?s).{0,400}") {
            let text = format!("==> stat <==\n{first}\n==> net/dev <==\n{second}\n==> mounts <==\n{second}");
            if let Ok((_, counters)) = parse(&text, None, now()) {
                let later = now() + SignedDuration::from_secs(60);
                check(&parse(&text, Some(&counters), later).expect("it was a reading").0)?;
            }
        }

        #[test]
        fn mangled_readings_stay_within_bounds(before in mangled(), after in mangled(), millis in 0i64..100_000) {
            let Ok((sample, counters)) = parse(&before, None, now()) else { return Ok(()) };
            check(&sample)?;
            let later = now() + SignedDuration::from_millis(millis);
            if let Ok((sample, _)) = parse(&after, Some(&counters), later) {
                check(&sample)?;
            }
        }

        #[test]
        fn endless_lists_are_cut(count in 65usize..300) {
            let mounts: String = (0..count).map(|i| format!("/dev/x{i} /m{i} ext4 rw 0 0\n")).collect();
            let space: String = (0..count).map(|i| format!("4096 10 5 5 10 5 /m{i}\n")).collect();
            let network: String = (0..count).map(|i| format!("eth{i}: {i} 0 0 0 0 0 0 0 {i}\n")).collect();
            let text = format!("==> uptime <==\n5 5\n==> mounts <==\n{mounts}==> space <==\n{space}==> net/dev <==\n{network}");
            let (sample, counters) = read(&text);
            prop_assert_eq!(sample.disks.len(), MAX_ITEMS);
            let later = text.replace("5 5\n==>", "6 5\n==>");
            prop_assert_eq!(parse(&later, Some(&counters), now()).expect("a reading").0.network.len(), MAX_ITEMS);
        }
    }
}

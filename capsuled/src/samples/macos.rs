//! A macOS host as the text of a reading. The numbers come from the system's own tools, which read what
//! has no stable interface of its own; processor use, rates and processes are absent.

use std::fmt::Write;

use jiff::Timestamp;

/// Runs the tools, each within `deadline`.
#[cfg(target_os = "macos")]
pub(super) async fn read(now: Timestamp, deadline: std::time::Duration) -> std::io::Result<String> {
    const VALUES: &[&str] = &["-n", "hw.memsize", "kern.boottime", "vm.loadavg", "vm.swapusage"];
    let run = async |program: &str, arguments: &[&str]| -> std::io::Result<String> {
        let mut command = tokio::process::Command::new(program);
        let output = command.args(arguments).env("LC_ALL", "C").kill_on_drop(true).output();
        let output = tokio::time::timeout(deadline, output).await??;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let sysctl = run("/usr/sbin/sysctl", VALUES).await?;
    let vm_stat = run("/usr/bin/vm_stat", &[]).await?;
    let df = run("/bin/df", &["-klP"]).await.unwrap_or_default();
    Ok(sections(&sysctl, &vm_stat, &df, now))
}

/// The tools' output in the form in which a Linux node would have said it; what is not understood is left
/// out.
fn sections(sysctl: &str, vm_stat: &str, df: &str, now: Timestamp) -> String {
    let mut values = sysctl.lines();
    let mut value = || values.next().unwrap_or_default();
    let (memory, booted, load, swap) = (value(), value(), value(), value());
    let mut text = String::from("==> meminfo <==\n");
    if let Ok(total) = memory.trim().parse::<u64>() {
        let _ = writeln!(text, "MemTotal: {} kB", total / 1024);
        if let Some(used) = used_bytes(vm_stat) {
            let _ = writeln!(text, "MemAvailable: {} kB", total.saturating_sub(used) / 1024);
        }
    }
    if let (Some(total), Some(free)) = (megabytes(swap, "total"), megabytes(swap, "free")) {
        let _ = writeln!(text, "SwapTotal: {total:.0} kB\nSwapFree: {free:.0} kB");
    }
    if let Some(booted) = after(booted, "sec = ").and_then(|seconds| seconds.parse::<i64>().ok()) {
        let _ = writeln!(text, "==> uptime <==\n{}", now.as_second().saturating_sub(booted));
    }
    let _ = writeln!(text, "==> loadavg <==\n{}", load.trim_matches(|c: char| "{} ".contains(c)));
    let _ = writeln!(text, "==> mounts <==\n{}==> df <==\n{df}", mounts(df));
    text
}

/// What Activity Monitor calls used: memory of programs, wired memory, and what the compressor occupies.
fn used_bytes(vm_stat: &str) -> Option<u64> {
    let page: u64 = after(vm_stat, "page size of ")?.parse().ok()?;
    let pages = |name: &str| after(vm_stat, name)?.trim_end_matches('.').parse::<u64>().ok();
    let programs = pages("Anonymous pages:")?.saturating_sub(pages("Pages purgeable:")?);
    let wired = pages("Pages wired down:")?.checked_add(pages("Pages occupied by compressor:")?)?;
    programs.checked_add(wired)?.checked_mul(page)
}

/// A value such as `total = 2048.00M` in KiB.
fn megabytes(swap: &str, name: &str) -> Option<f64> {
    let number: f64 = after(swap, name)?.trim_start_matches("= ").trim_end_matches('M').parse().ok()?;
    Some(number * 1024.0)
}

/// The word after `key`.
fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(key)?;
    rest.trim_start_matches([' ', '=']).split([' ', ',', '\n']).next()
}

/// A mount table of the volumes that hold people's data: the others of an APFS container are the system's
/// own and share its space.
fn mounts(df: &str) -> String {
    let row = |line: &str| {
        let device = line.split(' ').next().filter(|device| device.starts_with("/dev/"))?;
        let path = line.split_once("% ")?.1.trim();
        let data = path == "/System/Volumes/Data" || !path.starts_with("/System/");
        data.then(|| format!("{device} {} apfs\n", path.replace('\\', r"\134").replace(' ', r"\040")))
    };
    df.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    const SYSCTL: &str = "17179869184\n{ sec = 1795000000, usec = 123456 } Wed Nov 18 11:06:40 2026\n\
        { 1.50 2.25 3.00 }\ntotal = 2048.00M  used = 512.00M  free = 1536.00M  (encrypted)\n";
    const VM_STAT: &str = "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n\
        Pages free:                               10000.\nPages purgeable:                           4288.\n\
        Pages wired down:                        100000.\nAnonymous pages:                         266432.\n\
        Pages occupied by compressor:            162144.\n";
    const DF: &str = "Filesystem     1024-blocks      Used Available Capacity  Mounted on\n\
        /dev/disk3s1s1   482797652  10000000 200000000     5%    /\n\
        /dev/disk3s6     482797652   2097152 200000000     2%    /System/Volumes/VM\n\
        /dev/disk3s5     482797652 200000000 200000000    50%    /System/Volumes/Data\n\
        /dev/disk4s1        100000     50000     50000    50%    /Volumes/My Disk\n\
        map auto_home            0         0         0   100%    /System/Volumes/Data/home\n";

    #[test]
    fn the_tools_of_macos_give_a_reading() {
        let now = Timestamp::from_second(1_795_000_600).expect("a time");
        let (sample, _) = parse(&sections(SYSCTL, VM_STAT, DF, now), None, now).expect("a reading");
        assert_eq!((sample.uptime_seconds, sample.load), (Some(600.0), Some([1.5, 2.25, 3.0])));
        let memory = sample.memory.expect("memory");
        assert_eq!((memory.total_bytes, memory.used_percent), (16 << 30, 50.0));
        assert_eq!(sample.swap.map(|swap| swap.used_percent), Some(25.0));
        let disks: Vec<_> =
            sample.disks.iter().map(|disk| (disk.mount.as_str(), disk.used_percent.round())).collect();
        assert_eq!(disks, [("/", 5.0), ("/System/Volumes/Data", 50.0), ("/Volumes/My Disk", 50.0)]);
        assert_eq!((sample.cpu, sample.processes), (None, None));
    }

    #[test]
    fn what_the_tools_do_not_say_is_absent() {
        let now = Timestamp::UNIX_EPOCH;
        assert!(parse(&sections("", "", "", now), None, now).is_err());
        let (sample, _) = parse(&sections("1024000\n", "", "", now), None, now).expect("a reading");
        assert_eq!((sample.memory, sample.load, sample.disks.len()), (None, None, 0));
    }
}

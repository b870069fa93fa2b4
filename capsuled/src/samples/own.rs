//! The daemon's own host, read without SSH: on Linux the very files that nodes print, on macOS what its
//! tools say, both brought into the text that [`super::parse`] takes apart.

use std::{io, time::Duration};

use capsule_api::Sample;
use jiff::Timestamp;
use tokio::time::timeout;

use super::{CollectError, Counters, parse};

/// The machine the daemon runs on. One value serves all readings: it remembers whether a disk hangs.
#[derive(Debug, Default)]
pub struct OwnHost {
    #[cfg(not(target_os = "macos"))]
    linux: linux::Host,
}

impl OwnHost {
    /// Reads nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a reading within `deadline`; see [`super::collect`] for `previous`. A disk that does not answer
    /// in time costs the file systems of the reading, not the rest of it.
    ///
    /// # Errors
    /// [`CollectError::Own`], [`CollectError::Parse`]: under systemd the unit needs `ProcSubset=all`.
    pub async fn collect(
        &self,
        previous: Option<&Counters>,
        now: Timestamp,
        deadline: Duration,
    ) -> Result<(Sample, Counters), CollectError> {
        #[cfg(not(target_os = "macos"))]
        let text = self.linux.read(deadline);
        #[cfg(target_os = "macos")]
        let text = super::macos::read(now, deadline);
        let text = timeout(deadline + GRACE, text).await.map_err(|_| io::ErrorKind::TimedOut.into());
        let text = text.flatten().map_err(CollectError::Own)?;
        Ok(parse(&text, previous, now)?)
    }
}

/// What the reading itself may take beyond the deadline of its slowest part.
const GRACE: Duration = Duration::from_millis(500);

#[cfg(not(target_os = "macos"))]
mod linux {
    //! `/proc` and `statvfs`.

    use std::{fmt::Write, fs::File, io, io::Read, sync::Arc, time::Duration};

    use nix::sys::statvfs::statvfs;
    use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

    use super::super::{disks::real_mounts, parse::MAX_ITEMS};

    /// No file of `/proc` that we read is longer: 4,096 cores take half of it.
    const MAX_FILE_BYTES: u64 = 1024 * 1024;

    const FILES: &[&str] = &[
        "mounts",
        "stat",
        "meminfo",
        "loadavg",
        "uptime",
        "net/dev",
        "diskstats",
        "pressure/cpu",
        "pressure/memory",
        "pressure/io",
    ];

    #[derive(Debug)]
    pub(super) struct Host {
        /// Held while the file systems are asked. A disk that hangs blocks its thread for good, and must not
        /// take another one at every reading.
        asking: Arc<Semaphore>,
    }

    impl Default for Host {
        fn default() -> Self {
            Self { asking: Arc::new(Semaphore::new(1)) }
        }
    }

    impl Host {
        pub(super) async fn read(&self, deadline: Duration) -> io::Result<String> {
            let (mut text, mounts) = spawn_blocking(kernel_files).await??;
            if let Ok(permit) = Arc::clone(&self.asking).try_acquire_owned() {
                let asking = spawn_blocking(move || {
                    let space = space(&mounts);
                    drop(permit);
                    space
                });
                match timeout(deadline, asking).await {
                    Ok(space) => text.push_str(&space?),
                    Err(_) => {
                        tracing::warn!("a file system of this host does not answer, disks are not read")
                    }
                }
            }
            Ok(text)
        }
    }

    /// The files with their headers, and the mount table once more on its own.
    fn kernel_files() -> io::Result<(String, String)> {
        let mut text = String::new();
        let mut mounts = String::new();
        for file in FILES {
            // An old kernel lacks some of them, and a container may hide others.
            let Ok(content) = read_bounded(file) else { continue };
            let _ = write!(text, "==> {file} <==\n{content}\n");
            if *file == "mounts" {
                mounts = content;
            }
        }
        let _ = write!(text, "==> processes <==\n{}\n", count_processes()?);
        Ok((text, mounts))
    }

    fn read_bounded(file: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        File::open(format!("/proc/{file}"))?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn count_processes() -> io::Result<usize> {
        let is_process = |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        Ok(std::fs::read_dir("/proc")?.flatten().filter(|entry| is_process(&entry.file_name())).count())
    }

    /// The rows that `stat -f` prints on a node.
    fn space(mounts: &str) -> String {
        let mut text = "\n==> space <==\n".to_owned();
        for mount in real_mounts(mounts).take(MAX_ITEMS) {
            // A mount point that we may not reach is absent.
            let Ok(space) = statvfs(mount.path.as_str()) else { continue };
            let (size, blocks, free) = (space.fragment_size(), space.blocks(), space.blocks_free());
            let (available, inodes, inodes_free) =
                (space.blocks_available(), space.files(), space.files_free());
            let _ =
                writeln!(text, "{size} {blocks} {free} {available} {inodes} {inodes_free} {}", mount.path);
        }
        text
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[tokio::test]
    async fn this_host_tells_levels_at_once_and_rates_from_the_second_reading_on() {
        let host = OwnHost::new();
        let (deadline, now) = (Duration::from_secs(10), Timestamp::UNIX_EPOCH);
        let (first, counters) = host.collect(None, now, deadline).await.expect("a reading");
        assert!(first.cpu.is_none() && first.network.is_empty());
        assert!(
            first
                .memory
                .is_some_and(|memory| 0 < memory.used_bytes && memory.used_bytes < memory.total_bytes)
        );
        assert!(first.uptime_seconds.is_some_and(|uptime| 0.0 < uptime));
        assert!(first.processes.is_some_and(|processes| 1 < processes));
        let mut later = now;
        let until = tokio::time::Instant::now() + deadline;
        loop {
            later += SignedDuration::from_secs(1);
            let (second, _) = host.collect(Some(&counters), later, deadline).await.expect("a reading");
            if let Some(cpu) = second.cpu {
                assert!((0.0..=100.0).contains(&cpu.total_percent) && 1 <= cpu.cores);
                return;
            }
            assert!(tokio::time::Instant::now() < until, "the kernel's ticks did not move");
        }
    }
}

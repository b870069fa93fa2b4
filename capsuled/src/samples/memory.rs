//! Main memory and swap from `/proc/meminfo`.

use std::collections::HashMap;

use capsule_api::MemoryUse;

use super::parse::{number, percent};

/// Both pools.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Memory {
    pub(super) main: Option<MemoryUse>,
    /// `None` also when the machine has no swap.
    pub(super) swap: Option<MemoryUse>,
}

pub(super) fn read(meminfo: &str) -> Memory {
    let fields: HashMap<&str, u64> = meminfo.lines().filter_map(field).collect();
    let get = |name: &str| fields.get(name).copied();
    let available = get("MemAvailable").or_else(|| {
        // Kernels before 3.14 do not say; this is what `free` computed for them.
        let sum = ["MemFree", "Buffers", "Cached", "SReclaimable"].iter().filter_map(|name| get(name));
        let sum = sum.fold(0u64, u64::saturating_add);
        get("MemFree").map(|_| sum.saturating_sub(get("Shmem").unwrap_or(0)))
    });
    let pool = |total: Option<u64>, free: Option<u64>| pool_use(total?, total?.saturating_sub(free?));
    Memory { main: pool(get("MemTotal"), available), swap: pool(get("SwapTotal"), get("SwapFree")) }
}

/// A pool of `total` bytes; `None` of an empty one.
pub(super) fn pool_use(total: u64, used: u64) -> Option<MemoryUse> {
    let used_percent = percent(used, total)?;
    Some(MemoryUse { total_bytes: total, used_bytes: used, used_percent })
}

/// Name and bytes of a line such as `MemTotal:        4000 kB`.
fn field(line: &str) -> Option<(&str, u64)> {
    let (name, value) = line.split_once(':')?;
    let kib: u64 = number(value.split_whitespace().next())?;
    Some((name, kib.checked_mul(1024)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_do_not_count_as_used() {
        let memory = read("MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 800 kB\nCached: 700 kB\n");
        assert_eq!(memory.main.map(|main| main.used_percent), Some(20.0));
    }

    #[test]
    fn a_machine_without_swap_has_none_of_it() {
        assert_eq!(read("SwapTotal: 0 kB\nSwapFree: 0 kB\n").swap, None);
        let swap = read("SwapTotal: 100 kB\nSwapFree: 25 kB\n").swap;
        assert_eq!(swap.map(|swap| swap.used_percent), Some(75.0));
    }

    #[test]
    fn memory_that_is_not_told_is_absent() {
        assert_eq!(read("MemTotal: 1000 kB\n"), Memory::default());
        assert_eq!(read("MemTotal: 99999999999999999999 kB\nMemFree: 1 kB\n"), Memory::default());
    }
}

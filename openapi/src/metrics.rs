//! Resource readings of an xNode. What a machine cannot say is absent, never zero.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{XNodeId, XNodeName, words};

/// One reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// When it was taken.
    pub at: Timestamp,
    /// Seconds since boot.
    pub uptime_seconds: Option<f64>,
    /// Processor use since the previous reading; absent on the first.
    pub cpu: Option<CpuUse>,
    /// Main memory.
    pub memory: Option<MemoryUse>,
    /// Swap; absent where there is none.
    pub swap: Option<MemoryUse>,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// Every real file system.
    pub disks: Vec<DiskUse>,
    /// Network traffic since the previous reading, by interface.
    pub network: Vec<NetworkRate>,
    /// Block device traffic since the previous reading, by device.
    pub disk_io: Vec<DiskRate>,
    /// Number of processes.
    pub processes: Option<u32>,
    /// Pressure stall information, where the kernel has it.
    pub pressure: Option<Pressure>,
}

/// Processor use in percent of all cores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CpuUse {
    /// Everything but idle and waiting for I/O, 0–100.
    pub total_percent: f64,
    /// Waiting for I/O, 0–100.
    pub iowait_percent: f64,
    /// Taken by the hypervisor, 0–100.
    pub steal_percent: f64,
    /// Number of cores.
    pub cores: u32,
}

/// A memory pool.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemoryUse {
    /// Size in bytes.
    pub total_bytes: u64,
    /// Bytes in use: for memory what is not available, so caches do not count.
    pub used_bytes: u64,
    /// Share in use, 0–100.
    pub used_percent: f64,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DiskUse {
    /// Where it is mounted.
    pub mount: String,
    /// What is mounted.
    pub device: String,
    /// Size in bytes.
    pub total_bytes: u64,
    /// Bytes in use.
    pub used_bytes: u64,
    /// Share in use as `df` counts it (reserved blocks are not free), 0–100.
    pub used_percent: f64,
    /// Share of inodes in use, 0–100; absent where the file system has no fixed number.
    pub inodes_used_percent: Option<f64>,
}

/// Traffic of a network interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NetworkRate {
    /// Interface.
    pub interface: String,
    /// Bytes received per second.
    pub received_bytes_per_second: f64,
    /// Bytes sent per second.
    pub sent_bytes_per_second: f64,
}

/// Traffic of a block device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DiskRate {
    /// Device.
    pub device: String,
    /// Bytes read per second.
    pub read_bytes_per_second: f64,
    /// Bytes written per second.
    pub written_bytes_per_second: f64,
}

/// Share of time in which some task waited, averaged over 10 seconds, 0–100.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Pressure {
    /// Waiting for a processor.
    pub cpu_percent: Option<f64>,
    /// Waiting for memory.
    pub memory_percent: Option<f64>,
    /// Waiting for I/O.
    pub io_percent: Option<f64>,
}

/// The newest reading of an xNode and how collecting goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct XNodeMetrics {
    /// The xNode.
    pub xnode_id: XNodeId,
    /// Its name.
    pub name: XNodeName,
    /// The newest reading; absent before the first.
    pub latest: Option<Sample>,
    /// Why the newest attempt failed; absent when it did not.
    pub error: Option<String>,
    /// When the next reading is due; absent when none is collected.
    pub next_at: Option<Timestamp>,
}

words! {
    /// A series of readings.
    Series("series") {
        /// Processor use in percent.
        Cpu = "cpu",
        /// Memory use in percent.
        Memory = "memory",
        /// Swap use in percent.
        Swap = "swap",
        /// The fullest file system in percent.
        Disk = "disk",
        /// Load over one minute.
        Load = "load",
        /// Bytes received per second, all interfaces.
        NetworkReceived = "network_received",
        /// Bytes sent per second, all interfaces.
        NetworkSent = "network_sent",
        /// Bytes read per second, all devices.
        DiskRead = "disk_read",
        /// Bytes written per second, all devices.
        DiskWritten = "disk_written",
    }
}

/// One point of a series: a reading or a roll-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SeriesPoint {
    /// Beginning of the stretch.
    pub at: Timestamp,
    /// Smallest value.
    pub min: f64,
    /// Mean value.
    pub avg: f64,
    /// Largest value.
    pub max: f64,
}

/// History of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SeriesHistory {
    /// Which series.
    pub series: Series,
    /// Length of one point in milliseconds; 0: raw readings.
    pub step_ms: i64,
    /// Oldest first.
    pub points: Vec<SeriesPoint>,
}

/// A stretch of history to read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryFilter {
    /// Oldest moment, RFC 3339; default 24 hours ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Newest moment, RFC 3339; default now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only this check (probe history).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// Only this series (metrics history); default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
    /// At most this many points per series, 1 to 5,000, default 300; raw readings are merged to fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

//! Values people type: times such as `5m`, shares such as `75%`, waiting for long-running work.

use std::time::Duration;

use capsule_api::{ThresholdOverride, ThresholdOverrides};
use clap::Args;

/// Reads `250ms`, `30s`, `5m`, `2h`, `1d`; a bare number is seconds, as the older tools had it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("`{text}` is not a time such as 30s, 5m or 2h");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| invalid())?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(invalid()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(invalid)
}

/// Like [`duration`], in milliseconds.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    let duration = duration(text)?;
    u64::try_from(duration.as_millis()).map_err(|_| format!("`{text}` is too long"))
}

/// Reads a share such as `75`, `75.5` or `75%`.
pub fn share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    number
        .parse::<f64>()
        .ok()
        .filter(|value| value.is_finite())
        .ok_or_else(|| format!("`{text}` is not a share in percent such as 75"))
}

/// Whether to wait for long-running work.
#[derive(Debug, Clone, Args)]
pub struct WaitArgs {
    /// Wait until the work is done (the default)
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,
    /// Return at once and print the operation
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    pub timeout: Duration,
}

/// Thresholds, each optional.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Thresholds")]
pub struct ThresholdArgs {
    /// Processor use that is a warning
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    pub cpu_warning: Option<f64>,
    /// Processor use that is critical
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    pub cpu_critical: Option<f64>,
    /// Percentage points below the threshold before the alert ends
    #[arg(long, value_name = "POINTS", value_parser = share)]
    pub cpu_hysteresis: Option<f64>,
    /// How long processor use must stay there first
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub cpu_for: Option<u64>,
    /// Memory use that is a warning
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    pub memory_warning: Option<f64>,
    /// Memory use that is critical
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    pub memory_critical: Option<f64>,
    /// Percentage points below the threshold before the alert ends
    #[arg(long, value_name = "POINTS", value_parser = share)]
    pub memory_hysteresis: Option<f64>,
    /// How long memory use must stay there first
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub memory_for: Option<u64>,
    /// Disk use that is a warning
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    pub disk_warning: Option<f64>,
    /// Disk use that is critical
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    pub disk_critical: Option<f64>,
    /// Percentage points below the threshold before the alert ends
    #[arg(long, value_name = "POINTS", value_parser = share)]
    pub disk_hysteresis: Option<f64>,
    /// How long disk use must stay there first
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub disk_for: Option<u64>,
}

impl ThresholdArgs {
    /// The given parts.
    pub const fn overrides(&self) -> ThresholdOverrides {
        ThresholdOverrides {
            cpu: ThresholdOverride {
                warning: self.cpu_warning,
                critical: self.cpu_critical,
                hysteresis: self.cpu_hysteresis,
                for_ms: self.cpu_for,
            },
            memory: ThresholdOverride {
                warning: self.memory_warning,
                critical: self.memory_critical,
                hysteresis: self.memory_hysteresis,
                for_ms: self.memory_for,
            },
            disk: ThresholdOverride {
                warning: self.disk_warning,
                critical: self.disk_critical,
                hysteresis: self.disk_hysteresis,
                for_ms: self.disk_for,
            },
        }
    }

    /// Whether any part was given.
    pub fn any(&self) -> bool {
        self.overrides() != ThresholdOverrides::default()
    }
}

/// `base` with the given parts of `change` in place of its own.
pub fn merge(base: ThresholdOverrides, change: ThresholdOverrides) -> ThresholdOverrides {
    let part = |base: ThresholdOverride, change: ThresholdOverride| ThresholdOverride {
        warning: change.warning.or(base.warning),
        critical: change.critical.or(base.critical),
        hysteresis: change.hysteresis.or(base.hysteresis),
        for_ms: change.for_ms.or(base.for_ms),
    };
    ThresholdOverrides {
        cpu: part(base.cpu, change.cpu),
        memory: part(base.memory, change.memory),
        disk: part(base.disk, change.disk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_unit_and_bare_numbers_are_seconds() {
        for (text, ms) in
            [("250ms", 250), ("30", 30_000), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000)]
        {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        for bad in ["", "m", "5x", "-5s", "5 m", "1.5h", "99999999999999999999d", "18446744073709551615d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn merging_keeps_what_is_not_mentioned() {
        let mut base = ThresholdOverrides::default();
        base.cpu.warning = Some(60.0);
        base.disk.critical = Some(90.0);
        let change = ThresholdArgs { cpu_warning: Some(70.0), ..ThresholdArgs::default() }.overrides();
        let merged = merge(base, change);
        assert_eq!((merged.cpu.warning, merged.disk.critical), (Some(70.0), Some(90.0)));
    }
}

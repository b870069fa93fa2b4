//! `cost-report`, `discount`, `history`, `stats`, `cleanup`.

use capsule_api::{CostGrouping, DiscountScope};
use clap::{Args, Subcommand};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::styles::examples;

/// `cost-report`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl cost-report" => "the present rate and this month, by provider",
    "capsulectl cost-report --by tag" => "by tag; a server with several counts under each",
    "capsulectl cost-report --month 2026-10 --by xnode -o csv" => "a month that is over, for a spreadsheet",
    "capsulectl cost-report --discounts" => "the discounts that are taken off",
))]
pub struct CostReportArgs {
    /// Add up by provider, region, tag or xnode
    #[arg(long, value_name = "WHAT", default_value_t = CostGrouping::Provider)]
    pub by: CostGrouping,
    /// Calendar month in UTC; absent: this one
    #[arg(long, value_name = "YYYY-MM")]
    pub month: Option<String>,
    /// List own discounts instead
    #[arg(long)]
    pub discounts: bool,
}

/// `discount`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl discount" => "list them",
    "capsulectl discount set 12.5 --provider hetzner" => "12.5 % off everything there",
    "capsulectl discount set 30 --tag batch --from 2026-12-01 --until 2027-03-01" => "for three months",
    "capsulectl discount remove --tag batch" => "the listed price again",
))]
pub struct DiscountArgs {
    /// What to do; absent: list.
    #[command(subcommand)]
    pub action: Option<DiscountAction>,
}

/// What can be done with discounts.
#[derive(Debug, Subcommand)]
pub enum DiscountAction {
    /// List the discounts
    #[command(after_help = examples!("capsulectl discount list -o csv" => "for a spreadsheet"))]
    List,
    /// Set a discount
    #[command(after_help = examples!("capsulectl discount set 12.5 --provider hetzner" => "12.5 % off everything there"))]
    Set {
        /// Percent taken off, such as 12.5
        #[arg(value_name = "PERCENT", value_parser = basis_points)]
        percent: u32,
        /// What it applies to.
        #[command(flatten)]
        scope: DiscountScopeArgs,
        /// From this day (UTC) or moment on; absent: always
        #[arg(long, value_name = "DATE", value_parser = moment)]
        from: Option<Timestamp>,
        /// Up to, and without, this day (UTC) or moment; absent: for ever
        #[arg(long, value_name = "DATE", value_parser = moment)]
        until: Option<Timestamp>,
    },
    /// Take a discount away
    #[command(after_help = examples!("capsulectl discount remove --tag batch" => "asks first"))]
    Remove {
        /// What it applies to.
        #[command(flatten)]
        scope: DiscountScopeArgs,
    },
}

/// What a discount applies to.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct DiscountScopeArgs {
    /// Servers with this provider label
    #[arg(long)]
    pub provider: Option<String>,
    /// Servers billed to this provider account
    #[arg(long)]
    pub account: Option<String>,
    /// Servers with this tag
    #[arg(long)]
    pub tag: Option<String>,
}

impl DiscountScopeArgs {
    /// The scope and name as the daemon takes them.
    pub fn scope(&self) -> (DiscountScope, &str) {
        match (&self.provider, &self.account, &self.tag) {
            (Some(provider), ..) => (DiscountScope::Provider, provider),
            (None, Some(account), _) => (DiscountScope::Account, account),
            (None, None, tag) => (DiscountScope::Tag, tag.as_deref().unwrap_or_default()),
        }
    }
}

/// `history`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl history" => "the newest deployments",
    "capsulectl history --xnode-id web-1" => "one server, also when it is gone",
    "capsulectl history --provider vultr --limit 10 -o csv" => "for a spreadsheet",
))]
pub struct HistoryArgs {
    /// Only this server: name, id, or unique beginning or end of an id
    #[arg(long, value_name = "ID")]
    pub xnode_id: Option<String>,
    /// Only this provider label
    #[arg(long, value_name = "LABEL")]
    pub provider: Option<String>,
    /// How many rows
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

/// `stats`.
#[derive(Debug, Args)]
#[command(after_help = examples!("capsulectl stats" => "how many, where, and what they have cost"))]
pub struct StatsArgs {}

/// `cleanup`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl cleanup" => "forget servers that were removed more than 90 days ago; asks first",
    "capsulectl cleanup 365 --yes" => "a year, without a question",
))]
pub struct CleanUpArgs {
    /// Days since a server was removed
    #[arg(default_value_t = 90)]
    pub days: u32,
}

/// A percentage with at most two decimals as hundredths of a percent.
fn basis_points(text: &str) -> Result<u32, String> {
    let unfit = || format!("`{text}` is no percentage such as 12.5, above 0 and at most 100");
    let (whole, fraction) =
        text.trim_end_matches('%').split_once('.').unwrap_or((text.trim_end_matches('%'), ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || 3 < whole.len() || 2 < fraction.len() || !digits(whole) || !digits(fraction) {
        return Err(unfit());
    }
    let points: u32 = format!("{whole}{fraction:0<2}").parse().map_err(|_| unfit())?;
    if (1..=10_000).contains(&points) { Ok(points) } else { Err(unfit()) }
}

/// A moment, or a day's beginning in UTC.
fn moment(text: &str) -> Result<Timestamp, String> {
    let day = || -> Option<Timestamp> {
        let date: Date = text.parse().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let is_date = !text.contains(['T', ' ']);
    let found = if is_date { day() } else { text.parse().ok() };
    found.ok_or_else(|| {
        format!("`{text}` is neither a day such as 2026-12-01 nor a moment such as 2026-12-01T12:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_exact() {
        for (text, points) in [("12.5", 1_250), ("100", 10_000), ("0.01", 1), ("7%", 700)] {
            assert_eq!(basis_points(text), Ok(points));
        }
        for bad in ["", "0", "100.01", "-1", "1.234", "a", "."] {
            assert!(basis_points(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        assert_eq!(moment("2026-12-01").map(|at| at.to_string()).as_deref(), Ok("2026-12-01T00:00:00Z"));
        assert_eq!(
            moment("2026-12-01T12:00:00+01:00").map(|at| at.to_string()).as_deref(),
            Ok("2026-12-01T11:00:00Z")
        );
        assert!(moment("soon").is_err());
    }
}

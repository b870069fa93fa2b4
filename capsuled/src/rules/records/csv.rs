//! The inventory as CSV, written and read.
//!
//! The first nine columns are those of earlier tools. A cell that a spreadsheet would take for a formula gets
//! an apostrophe before it, and loses it when it is read. A column that is missing says nothing; an empty
//! cell says that there is none.

use std::{fmt::Display, net::IpAddr, str::FromStr};

use capsule_api::{Tag, XNode};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{
    faults::{Fault, Spot, clip},
    record::{Reading, Record},
};

/// The columns, in the order in which they are written.
const COLUMNS: [&str; 14] = [
    "id",
    "name",
    "provider",
    "status",
    "ip_address",
    "region",
    "deployed_at",
    "cost_hourly",
    "tags",
    "ssh_user",
    "ssh_port",
    "ssh_jump",
    "ipv4",
    "ipv6",
];
/// What a spreadsheet takes for the beginning of a formula, and the apostrophe itself.
const ESCAPED: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\''];

/// The inventory with when each xNode was deployed, as CSV.
pub fn write<'a>(xnodes: impl IntoIterator<Item = (&'a XNode, Timestamp)>) -> String {
    let mut text = COLUMNS.join(",") + "\n";
    for (xnode, deployed_at) in xnodes {
        let cells = cells(xnode, deployed_at);
        let line: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        text.push_str(&line.join(","));
        text.push('\n');
    }
    text
}

fn cells(xnode: &XNode, deployed_at: Timestamp) -> [String; 14] {
    fn text(value: Option<impl ToString>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let tags: Vec<&str> = xnode.tags.iter().map(Tag::as_str).collect();
    [
        xnode.id.to_string(),
        xnode.name.to_string(),
        text(xnode.provider.as_ref()),
        xnode.status.to_string(),
        xnode.address.to_string(),
        text(xnode.region.as_ref()),
        deployed_at.to_string(),
        text(xnode.hourly_cost_micros),
        tags.join(","),
        text(xnode.ssh.user.as_ref()),
        xnode.ssh.port.to_string(),
        text(xnode.ssh.jump.as_ref()),
        text(xnode.ipv4),
        text(xnode.ipv6),
    ]
}

/// A cell as it is written: no formula, and quoted where RFC 4180 wants it.
fn quoted(cell: &str) -> String {
    let escape = if cell.starts_with(ESCAPED) { "'" } else { "" };
    if cell.contains([',', '"', '\n', '\r']) {
        return format!("\"{escape}{}\"", cell.replace('"', "\"\""));
    }
    format!("{escape}{cell}")
}

fn unescaped(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(ESCAPED) => rest,
        _ => cell,
    }
}

/// Reads CSV with a heading; columns may stand in any order.
///
/// # Errors
/// Everything that is wrong with it; then nothing of it should be used.
pub fn read(text: &str) -> Result<Reading, Vec<Fault>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = reader.records().enumerate().map(|(at, row)| (at + 1, row));
    let heading = match rows.next() {
        Some((_, Ok(heading))) => heading,
        Some((row, Err(error))) => return Err(vec![unreadable(row, &error)]),
        None => {
            return Err(vec![Fault::new(Spot::Row(1), "", "the heading is missing")]);
        }
    };
    let heading: Vec<String> = heading.iter().map(|cell| cell.trim().to_ascii_lowercase()).collect();
    let faults = heading_faults(&heading);
    if !faults.is_empty() {
        return Err(faults);
    }
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    for (row, cells) in rows {
        match cells {
            Ok(cells) if cells.iter().all(|cell| cell.trim().is_empty()) => {}
            Ok(cells) => records.push(record(row, &heading, &cells, &mut faults)),
            Err(error) => faults.push(unreadable(row, &error)),
        }
    }
    if faults.is_empty() { Ok(Reading { records, ..Reading::default() }) } else { Err(faults) }
}

fn unreadable(row: usize, error: &csv::Error) -> Fault {
    Fault::new(Spot::Row(row), "", format!("it cannot be read: {error}"))
}

fn heading_faults(heading: &[String]) -> Vec<Fault> {
    let fault = |column: &str, reason: &str| Fault::new(Spot::Row(1), clip(column), reason);
    let mut faults = Vec::new();
    for (at, column) in heading.iter().enumerate() {
        if !COLUMNS.contains(&column.as_str()) {
            faults.push(fault(column, "there is no such column"));
        } else if heading[..at].contains(column) {
            faults.push(fault(column, "the column stands twice"));
        }
    }
    if !heading.iter().any(|column| column == "name") {
        faults.push(fault("name", "the column is missing"));
    }
    faults
}

fn record(row: usize, heading: &[String], cells: &csv::StringRecord, faults: &mut Vec<Fault>) -> Record {
    let mut record = Record::at(Spot::Row(row));
    if cells.len() != heading.len() {
        let reason = format!("it has {} cells and the heading {}", cells.len(), heading.len());
        faults.push(Fault::new(Spot::Row(row), "", reason));
        return record;
    }
    for (column, cell) in heading.iter().zip(cells) {
        if let Err(reason) = set(&mut record, column, unescaped(cell.trim())) {
            faults.push(Fault::new(Spot::Row(row), column, reason));
        }
    }
    record
}

fn set(record: &mut Record, column: &str, cell: &str) -> Result<(), String> {
    let some = (!cell.is_empty()).then_some(cell);
    match column {
        "id" => record.id = some.map(str::to_owned),
        "name" => record.name = Some(parse(cell)?),
        "provider" => record.provider = Some(some.map(parse).transpose()?),
        "status" => record.status = some.map(parse).transpose()?,
        "ip_address" => record.address = Some(parse(cell)?),
        "region" => record.region = Some(some.map(parse).transpose()?),
        "deployed_at" => record.deployed_at = some.map(moment).transpose()?,
        "cost_hourly" => record.hourly_cost = Some(some.map(parse).transpose()?),
        "tags" => {
            let words = cell.split(',').map(str::trim).filter(|word| !word.is_empty());
            let mut tags = words.map(parse).collect::<Result<Vec<Tag>, _>>()?;
            tags.sort();
            tags.dedup();
            record.tags = Some(tags);
        }
        "ssh_user" => record.ssh_user = Some(some.map(str::to_owned)),
        "ssh_port" => {
            let port = |text: &str| text.parse().ok().filter(|port| *port != 0);
            let port = |text| port(text).ok_or_else(|| format!("`{}` is no port", clip(text)));
            record.ssh_port = some.map(port).transpose()?;
        }
        "ssh_jump" => record.ssh_jump = Some(some.map(str::to_owned)),
        "ipv4" => record.ipv4 = Some(some.map(address).transpose()?),
        "ipv6" => record.ipv6 = Some(some.map(address).transpose()?),
        _ => {}
    }
    Ok(())
}

fn parse<T: FromStr<Err: Display>>(cell: &str) -> Result<T, String> {
    if cell.is_empty() {
        return Err("it must not be empty".to_owned());
    }
    cell.parse().map_err(|error: T::Err| error.to_string())
}

fn address<T: FromStr>(cell: &str) -> Result<T, String> {
    let what = if cell.parse::<IpAddr>().is_ok() { "of the other family" } else { "not valid" };
    cell.parse().map_err(|_| format!("the address `{}` is {what}", clip(cell)))
}

/// A moment; one without a zone is in UTC.
fn moment(cell: &str) -> Result<Timestamp, String> {
    let in_utc = |at: DateTime| at.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    let found = cell.parse().ok().or_else(|| in_utc(cell.parse().ok()?));
    found.ok_or_else(|| format!("`{}` is no moment such as 2026-11-21T12:00:00Z", clip(cell)))
}

#[cfg(test)]
mod tests {
    use capsule_api::UsdMicros;

    use super::*;

    const HEADING: &str = "id,name,provider,status,ip_address,region,deployed_at,cost_hourly,tags\n";

    fn faults(text: &str) -> Vec<String> {
        read(text).expect_err("faults").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_earlier_tools_wrote_is_read() {
        let row =
            "xnode-17,web-1,hetzner,running,192.0.2.1,fsn1,2024-05-01T10:00:00.123456,0.015,\"web,eu\"\n";
        let records = read(&format!("\u{feff}{HEADING}{row}\r\n\n")).expect("fine").records;
        assert_eq!(records.len(), 1);
        let record = &records[0];
        assert_eq!((&record.spot, record.id.as_deref()), (&Spot::Row(2), Some("xnode-17")));
        assert_eq!(record.hourly_cost, Some(Some(UsdMicros(15_000))));
        assert_eq!(record.tags.as_ref().map(Vec::len), Some(2));
        assert_eq!(
            record.deployed_at.map(|at| at.to_string()).as_deref(),
            Some("2024-05-01T10:00:00.123456Z")
        );
        assert_eq!(record.ssh_user, None);
    }

    #[test]
    fn every_fault_is_named_with_row_and_column() {
        let rows = ",web 1,hetzner,running,192.0.2.1,,,0.015,\n,web-2,,asleep,,,soon,free,a b\n,web-3\n";
        let faults = faults(&format!("{HEADING}{rows}"));
        let starts = [
            "row 2, name: ",
            "row 3, status: ",
            "row 3, ip_address: it must not be empty",
            "row 3, deployed_at: ",
            "row 3, cost_hourly: ",
            "row 3, tags: ",
            "row 4: it has 2 cells and the heading 9",
        ];
        assert_eq!(faults.len(), starts.len(), "{faults:#?}");
        for (fault, start) in faults.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault} should start with {start}");
        }
    }

    #[test]
    fn a_heading_that_is_not_ours_is_refused() {
        assert_eq!(faults(""), ["row 1: the heading is missing"]);
        let found = faults("name,colour,name\n");
        assert_eq!(found, ["row 1, colour: there is no such column", "row 1, name: the column stands twice"]);
        assert_eq!(faults("id\n"), ["row 1, name: the column is missing"]);
    }

    #[test]
    fn no_cell_is_a_formula_and_each_is_read_back_as_it_was() {
        for cell in ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "'", "'=x", "'abc", "a,\"b\"\nc", "\tx", "plain"]
        {
            let written = quoted(cell);
            let inner = written.trim_start_matches('"');
            assert!(!inner.starts_with(['=', '+', '-', '@', '\t']), "{written}");
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(written.as_bytes());
            let row = reader.records().next().expect("a row").expect("readable");
            assert_eq!(unescaped(&row[0]), cell);
        }
    }
}

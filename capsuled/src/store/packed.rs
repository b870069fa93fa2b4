//! One hour of a check's results in one blob: five or six bytes each instead of a row.
//!
//! Per result: milliseconds since the previous one (the first: since the hour began) as LEB128, a byte of
//! flags (bits 0–1 outcome, bit 2 latency follows, bit 3 detail follows), the latency in microseconds as
//! LEB128, the detail as LEB128 length and UTF-8 bytes.

use capsule_api::Outcome;

use super::probes::RawResult;

const HAS_LATENCY: u8 = 0b100;
const HAS_DETAIL: u8 = 0b1000;

/// Packs results of one check, oldest first, none before `start_ms`.
pub(super) fn pack(start_ms: i64, results: &[RawResult]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(results.len() * 6);
    let mut previous = start_ms;
    for result in results {
        put(&mut bytes, u64::try_from(result.at_ms - previous).unwrap_or(0));
        previous = previous.max(result.at_ms);
        let latency = result.latency_us.map_or(0, |_| HAS_LATENCY);
        let detail = result.detail.as_ref().map_or(0, |_| HAS_DETAIL);
        bytes.push(outcome_code(result.outcome) | latency | detail);
        if let Some(latency) = result.latency_us {
            put(&mut bytes, latency);
        }
        if let Some(detail) = &result.detail {
            put(&mut bytes, detail.len() as u64);
            bytes.extend_from_slice(detail.as_bytes());
        }
    }
    bytes
}

/// The results in a blob; what is damaged ends them early.
pub(super) fn unpack(start_ms: i64, mut bytes: &[u8]) -> Vec<RawResult> {
    let mut results = Vec::new();
    let mut at_ms = start_ms;
    while let Some(result) = take_result(&mut bytes, &mut at_ms) {
        results.push(result);
    }
    results
}

fn take_result(bytes: &mut &[u8], at_ms: &mut i64) -> Option<RawResult> {
    *at_ms = at_ms.checked_add(i64::try_from(take(bytes)?).ok()?)?;
    let (flags, rest) = bytes.split_first()?;
    *bytes = rest;
    let latency_us = if flags & HAS_LATENCY == 0 { None } else { Some(take(bytes)?) };
    let detail = if flags & HAS_DETAIL == 0 { None } else { Some(take_text(bytes)?) };
    Some(RawResult { at_ms: *at_ms, outcome: outcome_from(flags & 0b11)?, latency_us, detail })
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(take(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The outcome as stored.
pub(super) const fn outcome_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Up => 0,
        Outcome::Down => 1,
        Outcome::Blind => 2,
    }
}

/// A stored outcome.
pub(super) const fn outcome_from(code: u8) -> Option<Outcome> {
    match code {
        0 => Some(Outcome::Up),
        1 => Some(Outcome::Down),
        2 => Some(Outcome::Blind),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn result() -> impl Strategy<Value = (u16, u8, Option<u32>, Option<String>)> {
        (any::<u16>(), 0_u8..3, any::<Option<u32>>(), proptest::option::of("\\PC{0,40}"))
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(rows in proptest::collection::vec(result(), 0..200)) {
            let mut at_ms = 3_600_000;
            let results: Vec<RawResult> = rows
                .into_iter()
                .map(|(delta, outcome, latency, detail)| {
                    at_ms += i64::from(delta);
                    let outcome = outcome_from(outcome).expect("0..3");
                    RawResult { at_ms, outcome, latency_us: latency.map(u64::from), detail }
                })
                .collect();
            prop_assert_eq!(unpack(3_600_000, &pack(3_600_000, &results)), results);
        }

        #[test]
        fn damage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            unpack(0, &bytes);
        }
    }
}

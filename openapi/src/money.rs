//! Money as integer micro-dollars: a float cannot add a year of hours without drifting.

use std::{fmt, ops::Add, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// US dollars × 1,000,000. `15_000` is 1.5 cents.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = i64)]
pub struct UsdMicros(pub i64);

/// A text that is not an amount of dollars.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount in US dollars such as 0.015")]
pub struct InvalidAmount(String);

impl FromStr for UsdMicros {
    type Err = InvalidAmount;

    /// Reads `0.015`, `$0.015` or `12`: at most nine digits before the point and six after it, never negative.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAmount(text.chars().take(32).collect());
        let digits = text.strip_prefix('$').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let sized = !whole.is_empty() && whole.len() <= 9 && fraction.len() <= 6;
        if !sized || !all_digits(whole) || !all_digits(fraction) {
            return Err(invalid());
        }
        let whole: i64 = whole.parse().map_err(|_| invalid())?;
        let fraction: i64 = format!("{fraction:0<6}").parse().map_err(|_| invalid())?;
        Ok(Self(whole * 1_000_000 + fraction))
    }
}

impl fmt::Display for UsdMicros {
    /// Dollars with at least two and at most six decimals: `0.015`, `12.00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let fraction = format!("{:06}", self.0.unsigned_abs() % 1_000_000);
        let kept = fraction.trim_end_matches('0').len().max(2);
        f.pad(&format!("{sign}{}.{}", self.0.unsigned_abs() / 1_000_000, &fraction[..kept]))
    }
}

impl Add for UsdMicros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for UsdMicros {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_survive_text_without_drift() {
        for (text, micros) in [("0.015", 15_000), ("$12", 12_000_000), ("0.000001", 1)] {
            let amount: UsdMicros = text.parse().expect(text);
            assert_eq!(amount.0, micros);
            assert_eq!(amount.to_string().parse::<UsdMicros>().expect("round trip"), amount);
        }
        for bad in ["", ".", "-1", "1e3", "0.0000001", "1,5"] {
            assert!(bad.parse::<UsdMicros>().is_err(), "{bad:?} should be refused");
        }
    }
}

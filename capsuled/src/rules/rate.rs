//! Prices in different currencies beside each other, through a dated rate. For comparing only: what is billed
//! stays in its own currency.

use capsule_api::{Currency, ExchangeRate, Price, UsdMicros};

/// Hours of a month where the provider lists no price for one: a twelfth of 365 days.
pub const HOURS_A_MONTH: i64 = 730;

/// The price per hour in dollars.
pub fn usd_hourly(price: &Price, rate: &ExchangeRate) -> UsdMicros {
    usd(price.currency, price.hourly_micros, rate)
}

/// The price of a full month in dollars: the one listed, else that of 730 hours.
pub fn usd_monthly(price: &Price, rate: &ExchangeRate) -> UsdMicros {
    let month = price.monthly_micros.unwrap_or_else(|| price.hourly_micros.saturating_mul(HOURS_A_MONTH));
    usd(price.currency, month, rate)
}

/// An amount in dollars, rounded to the nearest millionth.
pub fn usd(currency: Currency, micros: i64, rate: &ExchangeRate) -> UsdMicros {
    match currency {
        Currency::Usd => UsdMicros(micros),
        Currency::Eur => {
            let scaled = i128::from(micros) * i128::from(rate.usd_per_eur_micros);
            let rounded = (scaled + 500_000).div_euclid(1_000_000);
            UsdMicros(i64::try_from(rounded).unwrap_or(i64::MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: ExchangeRate =
        ExchangeRate { usd_per_eur_micros: 1_100_000, date: jiff::civil::date(2026, 11, 1) };

    fn price(currency: Currency, hourly_micros: i64, monthly_micros: Option<i64>) -> Price {
        Price { currency, hourly_micros, monthly_micros }
    }

    #[test]
    fn dollars_stay_and_euros_are_converted_to_the_nearest_millionth() {
        for (currency, micros, expected) in [
            (Currency::Usd, 15_000, 15_000),
            (Currency::Eur, 8_976, 9_874),
            (Currency::Eur, 5, 6),
            (Currency::Eur, 4, 4),
            (Currency::Eur, 0, 0),
            (Currency::Eur, i64::MAX, i64::MAX),
        ] {
            assert_eq!(usd(currency, micros, &RATE), UsdMicros(expected), "{micros} {currency}");
        }
    }

    #[test]
    fn a_month_is_what_is_listed_or_730_hours() {
        assert_eq!(usd_monthly(&price(Currency::Usd, 10_000, Some(5_000_000)), &RATE), UsdMicros(5_000_000));
        assert_eq!(usd_monthly(&price(Currency::Usd, 10_000, None), &RATE), UsdMicros(7_300_000));
        assert_eq!(usd_hourly(&price(Currency::Eur, 10_000, None), &RATE), UsdMicros(11_000));
    }
}

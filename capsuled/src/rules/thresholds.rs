//! Which thresholds apply to an xNode, and which are refused.

use capsule_api::{Tag, Threshold, ThresholdOverride, ThresholdOverrides, Thresholds};

const DAY_MS: u64 = 86_400_000;
const MOST_HYSTERESIS: f64 = 50.0;

/// A threshold that cannot work, with the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {resource} threshold is not usable: {rule}")]
pub struct InvalidThreshold {
    /// `cpu`, `memory` or `disk`.
    pub resource: &'static str,
    /// What must hold.
    pub rule: &'static str,
}

/// The thresholds of an xNode: global, then each of its tags' in the order given (alphabetical), then its
/// own; the narrower scope wins part by part.
///
/// Parts from different scopes may not fit together, such as a tag's `critical` below the global `warning`.
/// Then the part set last stays and the other one gives way, so the result is always usable.
pub fn effective(
    global: &Thresholds,
    tags: &[(Tag, ThresholdOverrides)],
    xnode: &ThresholdOverrides,
) -> Thresholds {
    let narrower = tags.iter().map(|(_, overrides)| overrides).chain([xnode]);
    narrower.fold(*global, |wide, narrow| Thresholds {
        cpu: settle(wide.cpu, narrow.cpu),
        memory: settle(wide.memory, narrow.memory),
        disk: settle(wide.disk, narrow.disk),
    })
}

/// `base` with the given parts replaced, whether or not they fit together; [`validate`] the result.
pub fn patch(base: &Thresholds, changes: &ThresholdOverrides) -> Thresholds {
    Thresholds {
        cpu: replace(base.cpu, changes.cpu),
        memory: replace(base.memory, changes.memory),
        disk: replace(base.disk, changes.disk),
    }
}

/// Whether every threshold can work.
///
/// # Errors
/// The first rule that is broken: `0 < warning <= critical <= 100`, `0 <= hysteresis <= 50` and below
/// `warning` (otherwise the alert could never end), `for_ms` at most 24 hours.
pub fn validate(thresholds: &Thresholds) -> Result<(), InvalidThreshold> {
    for (resource, threshold) in
        [("cpu", thresholds.cpu), ("memory", thresholds.memory), ("disk", thresholds.disk)]
    {
        check(resource, threshold)?;
    }
    Ok(())
}

/// Whether every given part of `overrides` can work by itself and with the others given.
///
/// # Errors
/// As [`validate`].
pub fn validate_overrides(overrides: &ThresholdOverrides) -> Result<(), InvalidThreshold> {
    // Parts that are not given take values that fit whatever is given.
    let fill = |part: ThresholdOverride| {
        let critical = part.critical.unwrap_or(100.0);
        let warning = part.warning.unwrap_or(critical);
        Threshold {
            warning,
            critical,
            hysteresis: part.hysteresis.unwrap_or(0.0),
            for_ms: part.for_ms.unwrap_or(0),
        }
    };
    validate(&Thresholds {
        cpu: fill(overrides.cpu),
        memory: fill(overrides.memory),
        disk: fill(overrides.disk),
    })
}

fn replace(base: Threshold, part: ThresholdOverride) -> Threshold {
    Threshold {
        warning: part.warning.unwrap_or(base.warning),
        critical: part.critical.unwrap_or(base.critical),
        hysteresis: part.hysteresis.unwrap_or(base.hysteresis),
        for_ms: part.for_ms.unwrap_or(base.for_ms),
    }
}

fn settle(base: Threshold, part: ThresholdOverride) -> Threshold {
    let mut settled = replace(base, part);
    if settled.critical < settled.warning {
        if part.critical.is_some() {
            settled.warning = settled.critical;
        } else {
            settled.critical = settled.warning;
        }
    }
    // Half of the warning threshold is the widest band that still ends at a load a machine can have.
    if settled.warning <= settled.hysteresis {
        settled.hysteresis = settled.warning / 2.0;
    }
    settled
}

fn check(resource: &'static str, threshold: Threshold) -> Result<(), InvalidThreshold> {
    let Threshold { warning, critical, hysteresis, for_ms } = threshold;
    let rule = |holds: bool, rule: &'static str| {
        if holds { Ok(()) } else { Err(InvalidThreshold { resource, rule }) }
    };
    // NaN fails every comparison, infinity the upper bound.
    rule(0.0 < warning && warning <= 100.0, "`warning` must be above 0 and at most 100 percent")?;
    rule(warning <= critical && critical <= 100.0, "`critical` must be between `warning` and 100 percent")?;
    rule((0.0..=MOST_HYSTERESIS).contains(&hysteresis), "`hysteresis` must be between 0 and 50 points")?;
    rule(hysteresis < warning, "`hysteresis` must be less than `warning`, or the alert could never end")?;
    rule(for_ms <= DAY_MS, "`for_ms` must be at most 86400000 (24 hours)")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: ThresholdOverrides = ThresholdOverrides {
        cpu: ThresholdOverride { warning: None, critical: None, hysteresis: None, for_ms: None },
        memory: ThresholdOverride { warning: None, critical: None, hysteresis: None, for_ms: None },
        disk: ThresholdOverride { warning: None, critical: None, hysteresis: None, for_ms: None },
    };

    fn cpu(warning: Option<f64>, critical: Option<f64>) -> ThresholdOverrides {
        ThresholdOverrides { cpu: ThresholdOverride { warning, critical, ..EMPTY.cpu }, ..EMPTY }
    }

    fn tag(name: &str, overrides: ThresholdOverrides) -> (Tag, ThresholdOverrides) {
        (name.parse().expect("a tag"), overrides)
    }

    #[test]
    fn the_narrower_scope_wins_part_by_part() {
        let global = Thresholds::default();
        let tags = [tag("a", cpu(Some(50.0), Some(60.0))), tag("b", cpu(Some(55.0), None))];
        let settled = effective(&global, &tags, &cpu(None, Some(99.0)));
        assert_eq!((settled.cpu.warning, settled.cpu.critical), (55.0, 99.0));
        assert_eq!(settled.cpu.for_ms, global.cpu.for_ms);
        assert_eq!(settled.memory, global.memory);
        assert_eq!(effective(&global, &[], &EMPTY), global);
    }

    #[test]
    fn parts_from_different_scopes_are_always_usable_together() {
        let global = Thresholds::default();
        for (overrides, warning, critical) in [
            (cpu(None, Some(60.0)), 60.0, 60.0),
            (cpu(Some(95.0), None), 95.0, 95.0),
            (cpu(Some(4.0), None), 4.0, 90.0),
        ] {
            let settled = effective(&global, &[], &overrides);
            assert_eq!((settled.cpu.warning, settled.cpu.critical), (warning, critical));
            validate(&settled).expect("usable");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_rule() {
        let with = |change: fn(&mut Threshold)| {
            let mut thresholds = Thresholds::default();
            change(&mut thresholds.disk);
            validate(&thresholds)
        };
        assert!(with(|_| ()).is_ok());
        for (bad, rule) in [
            (with(|t| t.warning = 0.0), "`warning`"),
            (with(|t| t.warning = f64::NAN), "`warning`"),
            (with(|t| t.warning = 96.0), "`critical`"),
            (with(|t| t.critical = f64::INFINITY), "`critical`"),
            (with(|t| t.critical = 100.5), "`critical`"),
            (with(|t| t.hysteresis = -1.0), "`hysteresis`"),
            (with(|t| t.hysteresis = 51.0), "`hysteresis`"),
            (with(|t| (t.warning, t.hysteresis) = (10.0, 20.0)), "never end"),
            (with(|t| t.for_ms = DAY_MS + 1), "`for_ms`"),
        ] {
            let refused = bad.expect_err(rule).to_string();
            assert!(refused.contains(rule) && refused.contains("disk"), "{refused}");
        }
    }

    #[test]
    fn overrides_are_judged_by_what_they_say() {
        assert!(validate_overrides(&EMPTY).is_ok());
        assert!(validate_overrides(&cpu(None, Some(60.0))).is_ok());
        assert!(validate_overrides(&cpu(Some(70.0), Some(60.0))).is_err());
        assert!(validate_overrides(&cpu(Some(-1.0), None)).is_err());
    }

    #[test]
    fn a_patch_is_taken_word_for_word() {
        let patched = patch(&Thresholds::default(), &cpu(None, Some(60.0)));
        assert_eq!((patched.cpu.warning, patched.cpu.critical), (75.0, 60.0));
        assert!(validate(&patched).is_err());
    }
}

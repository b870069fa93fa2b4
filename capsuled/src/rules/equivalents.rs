//! What comes nearest to a template elsewhere.
//!
//! Nearness is by ratio: twice the processors is as far as half of them, and what is smaller counts double,
//! because it may not do. A GPU and the architecture must be the same; own hardware is preferred for own
//! hardware. Equally near ones by price.

use capsule_api::Template;

/// Equivalents told.
const TOLD: usize = 5;
/// What it costs to be a virtual machine where the other is not, or the reverse: as much as half as many
/// processors again.
const OTHER_KIND: u64 = 500;

/// The nearest templates of other providers that still sell, nearest first, at most five.
pub fn equivalents(of: &Template, among: &[Template]) -> Vec<Template> {
    let mut found: Vec<(u64, &Template)> = among
        .iter()
        .filter(|other| other.provider != of.provider && other.ended.is_none())
        .filter(|other| (0 < other.gpus) == (0 < of.gpus) && other.arch == of.arch)
        .filter(|other| other.regions.iter().any(|region| region.available))
        .map(|other| (distance(of, other), other))
        .collect();
    found.sort_by(|(far, one), (further, other)| {
        let price = |t: &Template| (t.usd_hourly_micros.is_none(), t.usd_hourly_micros);
        let name = |t: &Template| (t.provider.as_str(), t.id.clone());
        (far, price(one)).cmp(&(further, price(other))).then_with(|| name(one).cmp(&name(other)))
    });
    found.into_iter().take(TOLD).map(|(_, template)| template.clone()).collect()
}

fn distance(of: &Template, other: &Template) -> u64 {
    let kind = if of.bare_metal == other.bare_metal { 0 } else { OTHER_KIND };
    let gpus = apart(of.gpus.into(), other.gpus.into());
    apart(of.vcpus.into(), other.vcpus.into()) + apart(of.memory_mib, other.memory_mib) + gpus + kind
}

/// By how many thousandths the larger exceeds the smaller; double where `other` is the smaller.
fn apart(of: u64, other: u64) -> u64 {
    let (low, high) = (of.min(other).max(1), of.max(other).max(1));
    let excess = high.saturating_mul(1_000) / low - 1_000;
    if other < of { excess.saturating_mul(2) } else { excess }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::catalogue;

    fn id_of(templates: &[Template]) -> Vec<&str> {
        templates.iter().map(|template| template.id.as_str()).collect()
    }

    #[test]
    fn the_nearest_are_as_large_or_larger_and_elsewhere() {
        let all = &catalogue::tests::listed();
        let of = |id: &str| all.iter().find(|template| template.id == id).expect(id);
        let small = equivalents(of("equinix-c3-small"), all);
        assert_eq!(id_of(&small)[0], "hive-medium", "{:?}", id_of(&small));
        let gpu = equivalents(of("equinix-g2-large"), all);
        assert!(!gpu.is_empty() && gpu.iter().all(|template| 0 < template.gpus), "{:?}", id_of(&gpu));
        for template in all {
            let found = equivalents(template, all);
            assert!(found.len() <= TOLD);
            assert!(found.iter().all(|t| t.provider != template.provider && t.ended.is_none()));
        }
    }

    #[test]
    fn smaller_is_further_than_larger_and_the_same_is_not_far() {
        assert_eq!(apart(4, 4), 0);
        assert_eq!(apart(4, 8), 1_000);
        assert_eq!(apart(8, 4), 2_000);
        assert_eq!(apart(0, 0), 0);
    }
}

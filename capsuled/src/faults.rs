//! Places at which a test kills the daemon, so that "kill -9 between these two lines" is a test and not a
//! thought. Debug builds read `point:n` from the configuration and abort at the n-th passing of that point;
//! in release builds a point is nothing.

/// The faults a process is to suffer. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    #[cfg(debug_assertions)]
    planned: Option<std::sync::Arc<Planned>>,
}

#[cfg(debug_assertions)]
#[derive(Debug)]
struct Planned {
    point: String,
    passings_left: std::sync::atomic::AtomicI64,
}

impl Faults {
    /// Reads `point:n`, where the point's name may hold colons; anything else plans no fault.
    #[cfg(debug_assertions)]
    pub fn parse(plan: &str) -> Self {
        let planned = plan.rsplit_once(':').and_then(|(point, n)| {
            let passings_left = n.parse::<i64>().ok()?.into();
            Some(std::sync::Arc::new(Planned { point: point.to_owned(), passings_left }))
        });
        Self { planned }
    }

    /// Passes a point, or aborts the process there.
    #[cfg(debug_assertions)]
    pub fn point(&self, name: &str) {
        let Some(planned) = self.planned.as_ref().filter(|planned| planned.point == name) else { return };
        if planned.passings_left.fetch_sub(1, std::sync::atomic::Ordering::AcqRel) == 1 {
            tracing::error!("planned fault at `{name}`: aborting");
            std::process::abort();
        }
    }

    /// Passes a point.
    #[cfg(not(debug_assertions))]
    pub fn point(&self, _name: &str) {}
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn the_last_colon_ends_the_name_of_a_point() {
        let planned = |plan| Faults::parse(plan).planned.map(|planned| planned.point.clone());
        assert_eq!(planned("outbox.after_send:2").as_deref(), Some("outbox.after_send"));
        assert_eq!(planned("deploy:sent:1").as_deref(), Some("deploy:sent"));
        for plan in ["deploy:sent", "sent", ""] {
            assert!(planned(plan).is_none(), "{plan}");
        }
    }
}

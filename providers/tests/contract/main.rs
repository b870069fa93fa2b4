//! Every call of every client against its vendor's own API document, served by Prism.
//!
//! One test for all, so that the servers are started once and stopped at its end; each vendor is a [`Case`] in
//! [`cases`]. Prism keeps no state and answers with the document's examples: what is proved is that nothing we
//! send is rejected by the vendor's schema and that what the vendor says it answers can be read.
//!
//! `CAPSULE_PROVIDER_SPECS` names the directory with the documents and `serve.sh`. Without it the suite says
//! so and passes.

mod calls;
mod cases;
mod mocks;

use std::io::Write;

use mocks::Mocks;

/// Written past the test runner's capture, which would swallow it in a test that passes.
fn say(line: &str) {
    // Nobody may be listening, which is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_accepted_by_the_vendors_own_document() {
    let cases = cases::cases();
    let names: Vec<&str> = cases.iter().map(|case| case.mock).collect();
    let mocks = match Mocks::start(&names) {
        Ok(mocks) => mocks,
        Err(missing) => {
            assert!(!missing.is_failure, "{}", missing.reason);
            return say(&format!("NOT RUN: provider contracts: {}", missing.reason));
        }
    };
    let mut failures = Vec::new();
    for case in &cases {
        match mocks.endpoint(case.mock) {
            Ok(endpoint) => failures.extend(calls::every_call(case, endpoint).await),
            Err(missing) => {
                assert!(!missing.is_failure, "{}", missing.reason);
                say(&format!("NOT RUN: contract of {}: {}", case.mock, missing.reason));
            }
        }
    }
    drop(mocks);
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

//! `doctor`: looks at everything between this account and a working watch, and says what to do about it.

use std::{os::unix::fs::FileTypeExt, path::Path};

use capsule_api::{Overview, Role, ServerInfo};
use jiff::Timestamp;
use serde::Serialize;

use super::Session;
use crate::{
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Icon, Look, Sheet, Tone, View, text},
};

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    said: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    Warning,
    Bad,
}

impl Finding {
    const fn good(what: &'static str, said: String) -> Self {
        Self { what, verdict: Verdict::Good, said, hint: None }
    }

    fn warning(what: &'static str, said: String, hint: &str) -> Self {
        Self { what, verdict: Verdict::Warning, said, hint: Some(hint.to_owned()) }
    }

    fn bad(what: &'static str, said: String, hint: Option<String>) -> Self {
        Self { what, verdict: Verdict::Bad, said, hint }
    }

    fn cell(&self, look: &Look) -> Cell {
        let (icon, tone, word) = match self.verdict {
            Verdict::Good => (Icon::Tick, Tone::Good, "good"),
            Verdict::Warning => (Icon::Warning, Tone::Warn, "warning"),
            Verdict::Bad => (Icon::Cross, Tone::Bad, "bad"),
        };
        Cell::toned(tone, look.icon(icon)).exactly(word)
    }
}

const VIEW: View<Finding> = View {
    columns: &[
        Column { title: "", fit: Fit::Keep, cell: |f, look| f.cell(look) },
        Column { title: "WHAT", fit: Fit::Keep, cell: |f, _| f.what.into() },
        Column { title: "SAID", fit: Fit::Cut, cell: |f, _| f.said.clone().into() },
        Column { title: "HINT", fit: Fit::Wide, cell: |f, look| Cell::maybe(f.hint.as_ref(), look) },
    ],
    name: |finding| finding.what.to_owned(),
    empty: "nothing to look at",
};

/// `doctor`.
pub async fn run(session: &Session) -> Result<Outcome> {
    let mut findings = vec![socket(&session.settings.socket.value)];
    match session.client.get("/v1").await.and_then(|answer| answer.parse::<ServerInfo>()) {
        Ok(info) => {
            findings.push(Finding::good("connection", format!("capsuled {} answers", info.server_version)));
            findings.push(version(&info));
            findings.push(role(&info));
            findings.push(clock(&info, session.out.look.now));
            match session.client.get("/v1/overview").await.and_then(|answer| answer.parse::<Overview>()) {
                Ok(overview) => findings.extend(watching(&overview)),
                Err(error) => findings.push(failed("overview", &error)),
            }
        }
        Err(error) => findings.push(failed("connection", &error)),
    }
    let worst = findings.iter().map(|finding| finding.verdict).max();
    if session.out.is_for_people() {
        let mut sheet = Sheet::new(&session.out.look);
        page(&findings, &mut sheet);
        session.out.print(&sheet.finish())?;
    } else {
        session.out.typed_list(&findings, &VIEW)?;
    }
    Ok(if worst == Some(Verdict::Bad) { Outcome::Failed } else { Outcome::Done })
}

fn page(findings: &[Finding], sheet: &mut Sheet<'_>) {
    let look = sheet.look;
    sheet.title("Doctor", "");
    for finding in findings {
        let cell = finding.cell(look);
        let icon = look.paint(cell.tone, &cell.text);
        sheet.line(&format!("{icon} {:<14}{}", finding.what, crate::error::one_line(&finding.said)));
        if let Some(hint) = &finding.hint {
            let hint = format!("{:<16}hint: {hint}", "");
            sheet.line(&look.paint(Tone::Dim, &hint));
        }
    }
}

fn failed(what: &'static str, error: &Error) -> Finding {
    Finding::bad(what, error.line(), error.hint())
}

fn socket(path: &Path) -> Finding {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => Finding::good("socket", shown.to_string()),
        Ok(_) => {
            Finding::bad("socket", format!("{shown} is not a socket"), Some("check --socket".to_owned()))
        }
        Err(error) => Finding::bad(
            "socket",
            format!("{shown}: {error}"),
            Some(
                "`capsulectl config show --origin` says why this path; `capsuled` makes the socket"
                    .to_owned(),
            ),
        ),
    }
}

fn version(info: &ServerInfo) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    if info.server_version == own {
        return Finding::good("version", format!("client and daemon are both {own}"));
    }
    let said = format!("client {own}, daemon {}", info.server_version);
    Finding::warning("version", said, "install client and daemon of one version")
}

fn role(info: &ServerInfo) -> Finding {
    let said = format!("{} is {}", info.user, info.role);
    match info.role {
        Role::Reader => Finding::warning(
            "rights",
            said,
            "members of the group `capsule-operator` may act; `sudo usermod -aG capsule-operator $USER`, then log in again",
        ),
        Role::Operator => {
            Finding::warning("rights", said, "credentials and bulk deletes need the group `capsule-admin`")
        }
        Role::Admin => Finding::good("rights", said),
    }
}

/// Both sides read the same machine's clock, so a start in the future means it was set back.
fn clock(info: &ServerInfo, now: Timestamp) -> Finding {
    if info.started_at > now {
        let said = format!("the daemon started in the future, at {}", text::moment(info.started_at));
        return Finding::warning("clock", said, "the clock was set back; ages and histories will look odd");
    }
    Finding::good("clock", format!("the daemon has run for {}", text::age(info.started_at, now)))
}

fn watching(overview: &Overview) -> Vec<Finding> {
    let probing = &overview.probing;
    let mut findings = Vec::new();
    findings.push(match overview.icmp {
        true => Finding::good("icmp", "ping is permitted".to_owned()),
        false => Finding::warning(
            "icmp",
            "ping is not permitted; ping checks use TCP".to_owned(),
            "give the daemon CAP_NET_RAW, or widen net.ipv4.ping_group_range",
        ),
    });
    findings.push(match (probing.missed, probing.blind) {
        (0, 0) => Finding::good("probing", format!("{}, none missed", text::count(probing.probes, "probe"))),
        (missed, blind) => Finding::warning(
            "probing",
            format!("{} probes, {missed} not in time, {blind} could not be carried out", probing.probes),
            "`capsulectl monitor status --detailed` names what is blind; missed ones mean too much work for this machine",
        ),
    });
    findings.push(match (overview.channels, overview.waiting_deliveries, overview.failed_deliveries) {
        (0, _, _) => Finding::warning(
            "telling",
            "nobody is told: there is no channel".to_owned(),
            "`capsulectl channel add email --help` shows how to make one",
        ),
        (_, 0, 0) => {
            Finding::good("telling", text::count(overview.channels.into(), "channel") + ", nothing waits")
        }
        (_, 0, failed) => Finding::warning(
            "telling",
            format!(
                "{failed} {} failed in the last 24 hours",
                if failed == 1 { "delivery" } else { "deliveries" }
            ),
            "`capsulectl deliveries --state failed` says why",
        ),
        (_, waiting, failed) => Finding::warning(
            "telling",
            format!("{waiting} deliveries wait, {failed} failed in the last 24 hours"),
            "`capsulectl deliveries --state waiting` says why",
        ),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{commands::overview::tests::overview, output::look::tests::look};

    #[test]
    fn every_trouble_comes_with_a_way_out() {
        let info: ServerInfo = serde_json::from_value(serde_json::json!({
            "api_version": "v1", "server_version": "9.9.9", "role": "reader", "user": "me", "state_dir": "/s",
            "started_at": "2026-11-21T13:00:00Z"
        }))
        .expect("server info");
        let look = look();
        let mut findings =
            vec![socket(Path::new("/nowhere")), version(&info), role(&info), clock(&info, look.now)];
        findings.extend(watching(&overview()));
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::Good || finding.hint.is_some()));
        let mut sheet = Sheet::new(&look);
        page(&findings, &mut sheet);
        insta::assert_snapshot!(sheet.finish());
    }
}

//! The inventory: listing, adding, showing, changing, removing servers.

use capsule_api::{CheckCreate, XNode, XNodePatch};

use super::{Session, ask, xnode_fields};
use crate::{
    args::inventory::{AddArgs, EditArgs, FilterArgs, RemoveArgs},
    client::{Answer, Precondition, encode},
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Look, Sheet, Tone, View, json, text, words},
};

/// Columns of servers.
pub const VIEW: View<XNode> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |x, _| Cell::toned(Tone::Name, x.name.as_str()) },
        Column { title: "HEALTH", fit: Fit::Keep, cell: |x, look| words::health(x.health, look) },
        Column { title: "STATUS", fit: Fit::Drop(5), cell: |x, _| words::status(x.status) },
        Column { title: "ADDRESS", fit: Fit::Keep, cell: |x, _| x.address.as_str().into() },
        Column {
            title: "PROVIDER",
            fit: Fit::Drop(4),
            cell: |x, look| Cell::maybe(x.provider.as_ref(), look),
        },
        Column { title: "REGION", fit: Fit::Drop(6), cell: |x, look| Cell::maybe(x.region.as_ref(), look) },
        Column { title: "USD/H", fit: Fit::Drop(3), cell: |x, look| Cell::maybe(x.hourly_cost_micros, look) },
        Column { title: "ALERTS", fit: Fit::Number, cell: |x, look| alerts_cell(x.open_alerts, look) },
        Column { title: "TAGS", fit: Fit::Drop(7), cell: |x, look| tags_cell(x, look) },
        Column {
            title: "ID",
            fit: Fit::Drop(8),
            cell: |x, _| Cell::from(x.id.short()).exactly(x.id.to_string()),
        },
        Column { title: "CHECKS", fit: Fit::Wide, cell: |x, _| x.checks.len().to_string().into() },
        Column {
            title: "SINCE",
            fit: Fit::Wide,
            cell: |x, look| {
                let exact = x.health_since.map(|at| at.to_string()).unwrap_or_default();
                Cell::from(text::age_or_absent(x.health_since, look)).exactly(exact)
            },
        },
        Column { title: "IPV4", fit: Fit::Wide, cell: |x, look| Cell::maybe(x.ipv4, look) },
        Column { title: "IPV6", fit: Fit::Wide, cell: |x, look| Cell::maybe(x.ipv6, look) },
        Column { title: "SSH USER", fit: Fit::Wide, cell: |x, look| Cell::maybe(x.ssh.user.as_ref(), look) },
        Column {
            title: "CREATED",
            fit: Fit::Wide,
            cell: |x, _| Cell::from(text::moment(x.created_at)).exactly(x.created_at.to_string()),
        },
    ],
    name: |xnode| xnode.name.to_string(),
    empty: "no xnodes; add one with `capsulectl inventory add NAME --address ADDRESS`",
};

fn alerts_cell(count: u32, look: &Look) -> Cell {
    match count {
        0 => Cell::toned(Tone::Dim, look.absent()).exactly("0"),
        count => Cell::toned(Tone::Bad, count.to_string()),
    }
}

fn tags_cell(xnode: &XNode, look: &Look) -> Cell {
    let tags: Vec<&str> = xnode.tags.iter().map(capsule_api::Tag::as_str).collect();
    Cell::maybe((!tags.is_empty()).then(|| tags.join(",")), look)
}

/// Path of a server.
pub fn path(xnode: &str) -> String {
    format!("/v1/xnodes/{}", encode(xnode))
}

/// `inventory` and `xnodes`.
pub async fn list(session: &Session, filter: &FilterArgs) -> Result<Outcome> {
    let rows = session.client.list("/v1/xnodes", &filter.filter()).await?;
    session.out.list(&rows, &VIEW)?;
    Ok(Outcome::Done)
}

/// `inventory add`.
pub async fn add(session: &Session, args: AddArgs) -> Result<Outcome> {
    let body = xnode_fields::create(&args)?;
    if args.dry_run {
        return would(session, &format!("add {}", body.name), &redacted(serde_json::to_value(&body)));
    }
    let answer = session.client.post("/v1/xnodes", &body).await?;
    let xnode: XNode = answer.parse()?;
    print_changed(session, &answer, &format!("watching {} ({})", xnode.name, check_names(&xnode)))
}

/// `inventory show`.
pub async fn show(session: &Session, xnode: &str) -> Result<Outcome> {
    let answer = session.client.get(&path(xnode)).await?;
    session.out.one(&answer, &VIEW, page)?;
    Ok(Outcome::Done)
}

/// `inventory edit`: reads the server, so that tags and checks can be added to, and sends the change with the
/// revision it read.
pub async fn edit(session: &Session, args: EditArgs) -> Result<Outcome> {
    let current = session.client.get(&path(&args.xnode)).await?;
    let xnode: XNode = current.parse()?;
    let patch = xnode_fields::patch(&args, &xnode)?;
    if patch == XNodePatch::default() {
        return Err(Error::usage(
            "nothing to change",
            "`capsulectl inventory edit --help` shows what can be",
        ));
    }
    if args.dry_run {
        return would(session, &format!("change {}", xnode.name), &redacted(serde_json::to_value(&patch)));
    }
    let etag = etag(&current, xnode.revision);
    let path = path(&xnode.id.to_string());
    let answer = session.client.patch(&path, Precondition::Unchanged(&etag), &patch).await?;
    print_changed(session, &answer, &format!("changed {}", xnode.name))
}

/// `inventory remove`.
pub async fn remove(session: &Session, args: &RemoveArgs) -> Result<Outcome> {
    let mut targets = Vec::new();
    for given in &args.xnode {
        let answer = session.client.get(&path(given)).await?;
        let xnode: XNode = answer.parse()?;
        let etag = etag(&answer, xnode.revision);
        targets.push((xnode, etag));
    }
    let names: Vec<&str> = targets.iter().map(|(xnode, _)| xnode.name.as_str()).collect();
    let names = names.join(", ");
    if args.dry_run {
        session.out.note(&format!("would remove {names}; nothing was changed"));
        return Ok(Outcome::Done);
    }
    ask::confirm(session, &format!("remove {names} and stop watching?"))?;
    for (xnode, etag) in &targets {
        session.client.delete(&path(&xnode.id.to_string()), Precondition::Unchanged(etag)).await?;
        if session.out.is_for_people() {
            session.out.done(&format!("removed {}", xnode.name));
        } else {
            session.out.typed_one(xnode, &VIEW, |_, _| {})?;
        }
    }
    Ok(Outcome::Done)
}

/// The answer's `ETag`, or the one the revision stands for.
pub fn etag(answer: &Answer, revision: i64) -> String {
    answer.etag.clone().unwrap_or_else(|| format!("\"{revision}\""))
}

/// What `--dry-run` prints: the body that would be sent.
pub fn would(session: &Session, what: &str, body: &str) -> Result<Outcome> {
    session.out.note(&format!("would {what} with this; nothing was changed"));
    session.out.print(&(json::pretty(body) + "\n"))?;
    Ok(Outcome::Done)
}

/// A request body as text, with its secrets replaced.
pub fn redacted(body: serde_json::Result<serde_json::Value>) -> String {
    fn hide(value: &mut serde_json::Value) {
        let Some(fields) = value.as_object_mut() else { return };
        for (key, value) in fields {
            match key.as_str() {
                "pem" | "secret" => *value = "***".into(),
                _ => hide(value),
            }
        }
    }
    let mut value = body.unwrap_or_default();
    hide(&mut value);
    value.to_string()
}

fn print_changed(session: &Session, answer: &Answer, said: &str) -> Result<Outcome> {
    if session.out.is_for_people() {
        session.out.done(said);
    } else {
        session.out.one(answer, &VIEW, |_, _| {})?;
    }
    Ok(Outcome::Done)
}

fn check_names(xnode: &XNode) -> String {
    if xnode.checks.is_empty() {
        return "no checks".to_owned();
    }
    xnode.checks.iter().map(|check| check.name.to_string()).collect::<Vec<_>>().join(", ")
}

/// Everything about a server, for people.
pub fn page(xnode: &XNode, sheet: &mut Sheet<'_>) {
    let look = sheet.look;
    let health = words::health(xnode.health, look);
    let since = text::age_or_absent(xnode.health_since, look);
    let right = if xnode.own_host { "the daemon's own host" } else { "" };
    sheet.title(xnode.name.as_str(), right);
    sheet.toned_field("health", health.tone, &format!("{} for {since}", health.text));
    let status = words::status(xnode.status);
    sheet.toned_field("status", status.tone, &status.text);
    sheet.field("address", xnode.address.as_str());
    let optional = |value: Option<String>| value.unwrap_or_else(|| look.absent().to_owned());
    if xnode.ipv4.is_some() || xnode.ipv6.is_some() {
        sheet.field("ipv4", &optional(xnode.ipv4.map(|ip| ip.to_string())));
        sheet.field("ipv6", &optional(xnode.ipv6.map(|ip| ip.to_string())));
    }
    sheet.field("provider", &optional(xnode.provider.as_ref().map(ToString::to_string)));
    sheet.field("region", &optional(xnode.region.as_ref().map(ToString::to_string)));
    sheet.field("cost", &optional(xnode.hourly_cost_micros.map(|cost| format!("${cost} per hour"))));
    sheet.field("tags", &tags_cell(xnode, look).text);
    sheet.field("open alerts", &xnode.open_alerts.to_string());
    sheet.field("metrics", &metrics_text(xnode));
    sheet.field("id", &xnode.id.to_string());
    sheet.field("revision", &format!("{} ({})", xnode.revision, text::moment(xnode.updated_at)));
    ssh_section(xnode, sheet);
    sheet.section("Checks");
    let checks: Vec<CheckCreate> = xnode.checks.iter().map(xnode_fields::as_create).collect();
    sheet.table(&CHECKS, &checks);
    threshold_section(xnode, sheet);
}

fn metrics_text(xnode: &XNode) -> String {
    match xnode.metrics_interval_ms {
        _ if !xnode.own_host && xnode.ssh.user.is_none() => "not collected (no SSH user)".to_owned(),
        Some(0) => "not collected".to_owned(),
        Some(ms) => format!("every {}", text::span_ms(ms)),
        None => "at the global interval".to_owned(),
    }
}

fn ssh_section(xnode: &XNode, sheet: &mut Sheet<'_>) {
    let Some(user) = &xnode.ssh.user else { return };
    sheet.section("SSH");
    sheet.field("login", &format!("{user}@{} port {}", xnode.address, xnode.ssh.port));
    if let Some(jump) = &xnode.ssh.jump {
        sheet.field("through", jump);
    }
    let key = xnode.ssh.key.map_or("none", capsule_api::SshKeySource::as_str);
    sheet.field("key", key);
    let pinned = xnode.ssh.host_key_fingerprint.as_deref();
    sheet.field("host key", pinned.unwrap_or("pinned on first contact"));
}

fn threshold_section(xnode: &XNode, sheet: &mut Sheet<'_>) {
    let own = xnode_fields::threshold_lines(&xnode.thresholds);
    if own.is_empty() {
        return;
    }
    sheet.section("Own thresholds");
    for (name, values) in own {
        sheet.field(name, &values);
    }
}

const CHECKS: View<CheckCreate> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |c, look| Cell::maybe(c.name.as_ref(), look) },
        Column { title: "ASKS", fit: Fit::Cut, cell: |c, _| xnode_fields::asks(&c.probe).into() },
        Column { title: "EVERY", fit: Fit::Number, cell: |c, _| span_or_default(c.interval_ms) },
        Column { title: "TIMEOUT", fit: Fit::Number, cell: |c, _| span_or_default(c.timeout_ms) },
        Column { title: "DOWN AFTER", fit: Fit::Drop(1), cell: |c, _| count_or_default(c.down_after) },
        Column { title: "UP AFTER", fit: Fit::Drop(2), cell: |c, _| count_or_default(c.up_after) },
        Column {
            title: "ON",
            fit: Fit::Keep,
            cell: |c, _| if c.enabled { "yes".into() } else { "no".into() },
        },
    ],
    name: |check| check.name.as_ref().map(ToString::to_string).unwrap_or_default(),
    empty: "no checks",
};

fn span_or_default(ms: Option<u64>) -> Cell {
    ms.map_or_else(|| Cell::toned(Tone::Dim, "global"), |ms| text::span_ms(ms).into())
}

fn count_or_default(count: Option<u32>) -> Cell {
    count.map_or_else(|| Cell::toned(Tone::Dim, "global"), |count| count.to_string().into())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::output::{look::tests::look, table::table};

    /// A server with everything, and one with the least.
    pub fn xnodes() -> Vec<XNode> {
        serde_json::from_value(serde_json::json!([
            {
                "id": "01939c3e-0000-7000-8000-000000000001", "name": "web-1", "address": "192.0.2.10",
                "ipv4": "192.0.2.10", "ipv6": null,
                "ssh": {"port": 22, "user": "ops", "jump": "bastion", "key": "stored",
                    "host_key_fingerprint": "SHA256:abc"},
                "provider": "hetzner", "region": "fsn1", "status": "running", "tags": ["eu", "web"],
                "hourly_cost_micros": 15_000, "health": "degraded", "health_since": "2026-11-21T11:55:00Z",
                "checks": [
                    {"id": "01939c3e-0000-7000-8000-0000000000c1", "name": "ping",
                        "probe": {"kind": "ping", "family": "any"}, "interval_ms": null, "timeout_ms": null,
                        "down_after": null, "up_after": null, "enabled": true},
                    {"id": "01939c3e-0000-7000-8000-0000000000c2", "name": "front",
                        "probe": {"kind": "http", "url": "https://web-1/healthz", "min_tls_days": 14},
                        "interval_ms": 30_000, "timeout_ms": 5_000, "down_after": 3, "up_after": 1,
                        "enabled": true}
                ],
                "thresholds": {"disk": {"warning": 70.0}}, "metrics_interval_ms": null, "own_host": false,
                "open_alerts": 1, "revision": 4, "created_at": "2026-11-01T00:00:00Z",
                "updated_at": "2026-11-20T00:00:00Z"
            },
            {
                "id": "01939c3e-0000-7000-8000-000000000002", "name": "localhost", "address": "localhost",
                "ipv4": null, "ipv6": null,
                "ssh": {"port": 22, "user": null, "jump": null, "key": null, "host_key_fingerprint": null},
                "provider": null, "region": null, "status": "running", "tags": [], "hourly_cost_micros": null,
                "health": "healthy", "health_since": null, "checks": [], "thresholds": {},
                "metrics_interval_ms": null, "own_host": true, "open_alerts": 0, "revision": 1,
                "created_at": "2026-11-01T00:00:00Z", "updated_at": "2026-11-01T00:00:00Z"
            }
        ]))
        .expect("xnodes")
    }

    #[test]
    fn servers_as_a_table_in_three_widths() {
        let at = |width| table(&VIEW, &xnodes(), false, &Look { width, ..look() });
        insta::assert_snapshot!(format!("{}\n{}\n{}", at(Some(120)), at(Some(80)), at(Some(48))));
    }

    #[test]
    fn csv_has_every_column_with_exact_values() {
        let csv = crate::output::table::csv(&VIEW, &xnodes(), &look()).expect("csv");
        insta::assert_snapshot!(String::from_utf8(csv).expect("text"));
    }

    #[test]
    fn a_server_shows_what_is_known_about_it() {
        let look = look();
        let mut sheet = Sheet::new(&look);
        page(&xnodes()[0], &mut sheet);
        insta::assert_snapshot!(sheet.finish());
    }

    #[test]
    fn a_dry_run_never_shows_a_secret() {
        let body = serde_json::json!({"ssh": {"key": {"pem": "PRIVATE"}}, "secret": "S", "name": "web"});
        let shown = redacted(Ok(body));
        assert!(!shown.contains("PRIVATE") && !shown.contains("\"S\""), "{shown}");
        assert!(shown.contains("web"));
    }
}

//! `channel`: how people are told.

use std::time::Duration;

use capsule_api::{
    Channel, ChannelCreate, ChannelName, ChannelPatch, ChannelRoute, ChannelTarget, ChannelTest,
    ConsoleTarget, EmailTarget, SlackTarget, SmtpSecurity, Topic, WebhookTarget,
};

use super::{Session, ask, inventory, xnode_fields::read_text};
use crate::{
    args::channels::{AddChannel, ChannelAction, Common, EditChannelArgs},
    client::{Answer, Precondition, encode},
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Sheet, Tone, View, text},
};

/// A mail server may be silent for 30 s before the daemon gives up; what it says then is the answer we want.
const TEST_HOLD: Duration = Duration::from_secs(35);

/// Columns of channels.
pub const VIEW: View<Channel> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |c, _| Cell::toned(Tone::Name, c.name.as_str()) },
        Column { title: "KIND", fit: Fit::Keep, cell: |c, _| c.target.kind().as_str().into() },
        Column {
            title: "USED",
            fit: Fit::Keep,
            cell: |c, _| match c.enabled {
                true => Cell::toned(Tone::Good, "yes"),
                false => Cell::toned(Tone::Dim, "no"),
            },
        },
        Column { title: "SENDS TO", fit: Fit::Cut, cell: |c, look| Cell::maybe(sends_to(&c.target), look) },
        Column { title: "WAITING", fit: Fit::Number, cell: |c, _| c.waiting.to_string().into() },
        Column { title: "TELLS OF", fit: Fit::Cut, cell: |c, _| route_text(&c.route).into() },
        Column {
            title: "SECRET",
            fit: Fit::Wide,
            cell: |c, _| if c.has_secret { "stored" } else { "none" }.into(),
        },
        Column { title: "ID", fit: Fit::Wide, cell: |c, _| c.id.to_string().into() },
    ],
    name: |channel| channel.name.to_string(),
    empty: "no channels; make one with `capsulectl channel add email --help`",
};

const TEST_VIEW: View<ChannelTest> = View {
    columns: &[
        Column { title: "ACCEPTED", fit: Fit::Keep, cell: |t, _| t.accepted.to_string().into() },
        Column { title: "ELAPSED MS", fit: Fit::Number, cell: |t, _| t.elapsed_ms.to_string().into() },
        Column { title: "DETAIL", fit: Fit::Cut, cell: |t, _| t.detail.clone().into() },
    ],
    name: |test| test.accepted.to_string(),
    empty: "no answer",
};

/// Path of a channel.
pub fn path(name: &str) -> String {
    format!("/v1/channels/{}", encode(name))
}

/// `channel`.
pub async fn run(session: &Session, action: Option<ChannelAction>) -> Result<Outcome> {
    match action {
        None | Some(ChannelAction::List) => {
            let rows = session.client.list_all("/v1/channels", &()).await?;
            session.out.list(&rows, &VIEW)?;
            Ok(Outcome::Done)
        }
        Some(ChannelAction::Show { name }) => {
            let answer = session.client.get(&path(&name)).await?;
            session.out.one(&answer, &VIEW, page)?;
            Ok(Outcome::Done)
        }
        Some(ChannelAction::Add(args)) => add(session, args.kind).await,
        Some(ChannelAction::Edit(args)) => edit(session, &args).await,
        Some(ChannelAction::Remove { name, dry_run }) => remove(session, &name, dry_run).await,
        Some(ChannelAction::Test { name }) => test(session, &name).await,
    }
}

async fn add(session: &Session, kind: AddChannel) -> Result<Outcome> {
    let (body, dry_run) = create(session, kind)?;
    if dry_run {
        let text = inventory::redacted(serde_json::to_value(&body));
        return inventory::would(session, &format!("make the channel {}", body.name), &text);
    }
    let answer = session.client.post("/v1/channels", &body).await?;
    let said = format!("made the channel {0}; `capsulectl channel test {0}` sends a message", body.name);
    print_changed(session, &answer, &said)
}

fn create(session: &Session, kind: AddChannel) -> Result<(ChannelCreate, bool)> {
    let (name, target, what, required, common) = match kind {
        AddChannel::Email { name, host, from, to, smtp, common } => {
            let required = smtp.username.is_some();
            let target = ChannelTarget::Email(EmailTarget {
                host,
                port: smtp.port,
                security: smtp.security.unwrap_or(SmtpSecurity::Starttls),
                username: smtp.username,
                from,
                to,
                ca_pem: ca(smtp.ca.as_deref())?,
            });
            (name, target, "SMTP password", required, common)
        }
        AddChannel::Webhook { name, url, http, common } => {
            let headers = http.header.into_iter().collect();
            let target =
                ChannelTarget::Webhook(WebhookTarget { url, headers, ca_pem: ca(http.ca.as_deref())? });
            (name, target, "signing secret (whsec_...)", false, common)
        }
        AddChannel::Slack { name, common } => {
            (name, ChannelTarget::Slack(SlackTarget {}), "Slack webhook URL", true, common)
        }
        AddChannel::Console { name, common } => {
            (name, ChannelTarget::Console(ConsoleTarget {}), "secret", false, common)
        }
    };
    let secret = ask::secret(session, &common.secret, what, required)?;
    Ok((assembled(name, target, secret, &common), common.dry_run))
}

fn assembled(
    name: ChannelName,
    target: ChannelTarget,
    secret: Option<String>,
    common: &Common,
) -> ChannelCreate {
    let route = common.route.change(&ChannelRoute::default()).unwrap_or_default();
    ChannelCreate { name, enabled: !common.disabled, target, secret, route }
}

fn ca(path: Option<&std::path::Path>) -> Result<Option<String>> {
    path.map(|path| read_text(path, "the CA's certificates")).transpose()
}

async fn edit(session: &Session, args: &EditChannelArgs) -> Result<Outcome> {
    let current = session.client.get(&path(&args.name)).await?;
    let channel: Channel = current.parse()?;
    let target = changed_target(&channel.target, args)?;
    let patch = ChannelPatch {
        enabled: args.enable.then_some(true).or(args.disable.then_some(false)),
        target: (target != channel.target).then_some(target),
        secret: ask::secret(session, &args.secret, "secret", false)?,
        route: args.route.change(&channel.route),
    };
    if patch == ChannelPatch::default() {
        return Err(Error::usage("nothing to change", "`capsulectl channel edit --help` shows what can be"));
    }
    if args.dry_run {
        let text = inventory::redacted(serde_json::to_value(&patch));
        return inventory::would(session, &format!("change the channel {}", channel.name), &text);
    }
    let etag = inventory::etag(&current, channel.revision);
    let answer = session.client.patch(&path(&args.name), Precondition::Unchanged(&etag), &patch).await?;
    print_changed(session, &answer, &format!("changed the channel {}", channel.name))
}

fn changed_target(before: &ChannelTarget, args: &EditChannelArgs) -> Result<ChannelTarget> {
    let email_only = args.host.is_some()
        || args.from.is_some()
        || args.to.is_some()
        || args.port.is_some()
        || args.security.is_some()
        || args.username.is_some();
    let webhook_only = args.url.is_some() || args.header.is_some();
    let misplaced = |flags: &str| {
        let kind = before.kind();
        Error::usage(
            format!("{flags} do not apply to a {kind} channel"),
            "`capsulectl channel show NAME` shows it",
        )
    };
    match before {
        ChannelTarget::Email(email) if !webhook_only => {
            let mut email = email.clone();
            email.host = args.host.clone().unwrap_or(email.host);
            email.from = args.from.clone().unwrap_or(email.from);
            email.to = args.to.clone().unwrap_or(email.to);
            email.port = args.port.or(email.port);
            email.security = args.security.unwrap_or(email.security);
            email.username = args.username.clone().or(email.username);
            email.ca_pem = ca(args.ca.as_deref())?.or(email.ca_pem);
            Ok(ChannelTarget::Email(email))
        }
        ChannelTarget::Webhook(webhook) if !email_only => {
            let mut webhook = webhook.clone();
            webhook.url = args.url.clone().unwrap_or(webhook.url);
            webhook.headers =
                args.header.clone().map_or(webhook.headers, |pairs| pairs.into_iter().collect());
            webhook.ca_pem = ca(args.ca.as_deref())?.or(webhook.ca_pem);
            Ok(ChannelTarget::Webhook(webhook))
        }
        ChannelTarget::Email(_) => Err(misplaced("--url and --header")),
        ChannelTarget::Webhook(_) => {
            Err(misplaced("--host, --from, --to, --port, --security and --username"))
        }
        _ if email_only || webhook_only || args.ca.is_some() => Err(misplaced("these flags")),
        other => Ok(other.clone()),
    }
}

async fn remove(session: &Session, name: &str, dry_run: bool) -> Result<Outcome> {
    let current = session.client.get(&path(name)).await?;
    let channel: Channel = current.parse()?;
    if dry_run {
        session.out.note(&format!("would remove the channel {}; nothing was changed", channel.name));
        return Ok(Outcome::Done);
    }
    let waiting = match channel.waiting {
        0 => String::new(),
        count => format!(" and drop {} that wait", text::count(count.into(), "message")),
    };
    ask::confirm(session, &format!("remove the channel {}{waiting}?", channel.name))?;
    let etag = inventory::etag(&current, channel.revision);
    session.client.delete(&path(name), Precondition::Unchanged(&etag)).await?;
    if session.out.is_for_people() {
        session.out.done(&format!("removed the channel {}", channel.name));
    } else {
        session.out.typed_one(&channel, &VIEW, |_, _| {})?;
    }
    Ok(Outcome::Done)
}

async fn test(session: &Session, name: &str) -> Result<Outcome> {
    let test_path = format!("{}/test", path(name));
    let answer = session.client.post_held(&test_path, &serde_json::json!({}), TEST_HOLD).await?;
    let test: ChannelTest = answer.parse()?;
    if !session.out.is_for_people() {
        session.out.one(&answer, &TEST_VIEW, |_, _| {})?;
        return Ok(if test.accepted { Outcome::Done } else { Outcome::Failed });
    }
    if !test.accepted {
        return Err(Error::Failed {
            message: format!("the message was not accepted: {}", test.detail),
            hint: Some(format!("`capsulectl channel show {name}` shows where it was sent")),
        });
    }
    session.out.done(&format!("accepted after {}: {}", text::span_ms(test.elapsed_ms), test.detail));
    Ok(Outcome::Done)
}

fn print_changed(session: &Session, answer: &Answer, said: &str) -> Result<Outcome> {
    if session.out.is_for_people() {
        session.out.done(said);
    } else {
        session.out.one(answer, &VIEW, |_, _| {})?;
    }
    Ok(Outcome::Done)
}

fn sends_to(target: &ChannelTarget) -> Option<String> {
    match target {
        ChannelTarget::Email(email) => Some(format!("{} via {}", email.to.join(", "), email.host)),
        ChannelTarget::Webhook(webhook) => Some(webhook.url.clone()),
        ChannelTarget::Slack(_) | ChannelTarget::Console(_) => None,
    }
}

fn route_text(route: &ChannelRoute) -> String {
    let topics = match (route.tells(Topic::Alerts), route.tells(Topic::Operations)) {
        (true, true) => "alerts and operations",
        (false, true) => "operations",
        _ => "alerts",
    };
    let mut parts = vec![topics.to_owned()];
    parts.extend(route.min_severity.map(|severity| format!("{severity} and worse")));
    if !route.kinds.is_empty() {
        parts.push(route.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join("|"));
    }
    if !route.tags.is_empty() {
        parts.push(format!(
            "tags {}",
            route.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>().join("|")
        ));
    }
    parts.join(", ")
}

fn page(channel: &Channel, sheet: &mut Sheet<'_>) {
    sheet.title(&format!("Channel {}", channel.name), channel.target.kind().as_str());
    sheet.field("used", if channel.enabled { "yes" } else { "no" });
    match &channel.target {
        ChannelTarget::Email(email) => {
            let port = email.port.map(|port| format!(":{port}")).unwrap_or_default();
            sheet.field("server", &format!("{}{port} ({})", email.host, email.security));
            sheet.field("user", email.username.as_deref().unwrap_or("none"));
            sheet.field("from", &email.from);
            sheet.field("to", &email.to.join(", "));
        }
        ChannelTarget::Webhook(webhook) => {
            sheet.field("url", &webhook.url);
            for (name, value) in &webhook.headers {
                sheet.field("header", &format!("{name}: {value}"));
            }
            sheet.field("signed", if channel.has_secret { "yes" } else { "no" });
        }
        ChannelTarget::Slack(_) | ChannelTarget::Console(_) => {}
    }
    sheet.field("secret", if channel.has_secret { "stored" } else { "none" });
    sheet.field("tells of", &route_text(&channel.route));
    sheet.field("waiting", &channel.waiting.to_string());
    sheet.field("id", &channel.id.to_string());
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::output::{look::tests::look, table::table};

    /// One of each kind.
    pub fn channels() -> Vec<Channel> {
        serde_json::from_value(serde_json::json!([
            {"id": "01939c3e-0000-7000-8000-0000000000a1", "name": "email", "enabled": true, "has_secret": true,
                "target": {"kind": "email", "host": "mail.example.org", "port": 587, "security": "starttls",
                    "username": "capsule", "from": "capsule@example.org", "to": ["ops@example.org"]},
                "route": {}, "waiting": 0, "revision": 1},
            {"id": "01939c3e-0000-7000-8000-0000000000a2", "name": "slack", "enabled": false, "has_secret": true,
                "target": {"kind": "slack"},
                "route": {"min_severity": "critical", "kinds": ["service_down", "http_error"], "tags": ["eu"]},
                "waiting": 2, "revision": 3}
        ]))
        .expect("channels")
    }

    #[test]
    fn a_channel_says_whether_it_tells_of_alerts_of_operations_or_of_both() {
        for (route, shown) in [
            (serde_json::json!({}), "alerts"),
            (serde_json::json!({"tell": ["operations"]}), "operations"),
            (serde_json::json!({"tell": ["alerts", "operations"]}), "alerts and operations"),
            (serde_json::json!({"min_severity": "critical"}), "alerts, critical and worse"),
        ] {
            assert_eq!(route_text(&serde_json::from_value(route).expect("a route")), shown);
        }
    }

    #[test]
    fn channels_as_a_table_and_a_page() {
        let look = look();
        let mut sheet = Sheet::new(&look);
        page(&channels()[0], &mut sheet);
        insta::assert_snapshot!(format!("{}\n{}", table(&VIEW, &channels(), false, &look), sheet.finish()));
    }
}

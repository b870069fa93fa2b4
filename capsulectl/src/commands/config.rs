//! `monitor config`: intervals, thresholds and channels, shown and changed.
//!
//! One command changes up to three things, each its own request: settings or thresholds, and channels.

use capsule_api::{
    Channel, ChannelCreate, ChannelKind, ChannelPatch, ChannelRoute, ChannelTarget, Settings, SettingsPatch,
    SlackTarget, TagThresholds, Threshold, ThresholdOverrides, XNode, XNodePatch,
};
use serde::Serialize;

use super::{Session, ask, channels, inventory, xnode_fields::threshold_lines};
use crate::{
    args::{
        monitor::{ChannelSwitches, ConfigArgs, SettingsArgs},
        values::merge,
    },
    client::{Precondition, encode},
    error::{Error, Outcome, Result},
    output::{Column, Fit, Sheet, View, parse_rows, text},
};

const SETTINGS: &str = "/v1/settings";

/// What programs get.
#[derive(Serialize)]
struct Config {
    settings: Settings,
    tag_thresholds: Vec<TagThresholds>,
    channels: Vec<Channel>,
}

const VIEW: View<Config> = View {
    columns: &[
        Column {
            title: "CHECK INTERVAL MS",
            fit: Fit::Number,
            cell: |c, _| c.settings.check_interval_ms.to_string().into(),
        },
        Column {
            title: "METRICS INTERVAL MS",
            fit: Fit::Number,
            cell: |c, _| c.settings.metrics_interval_ms.to_string().into(),
        },
        Column {
            title: "CPU WARNING",
            fit: Fit::Number,
            cell: |c, _| c.settings.thresholds.cpu.warning.to_string().into(),
        },
        Column {
            title: "CPU CRITICAL",
            fit: Fit::Number,
            cell: |c, _| c.settings.thresholds.cpu.critical.to_string().into(),
        },
        Column {
            title: "MEMORY WARNING",
            fit: Fit::Number,
            cell: |c, _| c.settings.thresholds.memory.warning.to_string().into(),
        },
        Column {
            title: "MEMORY CRITICAL",
            fit: Fit::Number,
            cell: |c, _| c.settings.thresholds.memory.critical.to_string().into(),
        },
        Column {
            title: "DISK WARNING",
            fit: Fit::Number,
            cell: |c, _| c.settings.thresholds.disk.warning.to_string().into(),
        },
        Column {
            title: "DISK CRITICAL",
            fit: Fit::Number,
            cell: |c, _| c.settings.thresholds.disk.critical.to_string().into(),
        },
    ],
    name: |_| "settings".to_owned(),
    empty: "no settings",
};

/// `monitor config`.
pub async fn run(session: &Session, args: ConfigArgs) -> Result<Outcome> {
    let settings = patch(&args.settings);
    let scoped = args.tag.is_some() || args.xnode.is_some();
    if args.clear && !scoped {
        return Err(Error::usage(
            "--clear needs --tag or --xnode",
            "global thresholds are set, never cleared",
        ));
    }
    if scoped && settings != SettingsPatch::default() {
        return Err(Error::usage(
            "intervals, deadlines and retention are the same for all servers here",
            "leave --tag and --xnode out, or use `inventory edit --check` and `--metrics-interval`",
        ));
    }
    let thresholds = args.thresholds.overrides();
    let mut changed = false;
    if args.clear || (scoped && args.thresholds.any()) {
        changed = true;
        scoped_thresholds(session, &args, thresholds).await?;
    }
    if !scoped && (args.thresholds.any() || settings != SettingsPatch::default()) {
        changed = true;
        let thresholds = args.thresholds.any().then_some(thresholds);
        change_settings(session, SettingsPatch { thresholds, ..settings }, args.dry_run).await?;
    }
    if args.channels.any() {
        changed = true;
        switch_channels(session, &args.channels, args.dry_run).await?;
    }
    if !changed || args.show || !session.out.is_for_people() && !args.dry_run {
        show(session).await?;
    }
    Ok(Outcome::Done)
}

async fn change_settings(session: &Session, patch: SettingsPatch, dry_run: bool) -> Result<()> {
    if dry_run {
        let body = inventory::redacted(serde_json::to_value(&patch));
        inventory::would(session, "change the settings", &body)?;
        return Ok(());
    }
    let current = session.client.get(SETTINGS).await?;
    let on = current.etag.as_deref().map_or(Precondition::Any, Precondition::Unchanged);
    session.client.patch(SETTINGS, on, &patch).await?;
    session.out.done("changed the settings");
    Ok(())
}

async fn scoped_thresholds(session: &Session, args: &ConfigArgs, change: ThresholdOverrides) -> Result<()> {
    match (&args.tag, &args.xnode) {
        (Some(tag), _) => tag_thresholds(session, args, tag, change).await,
        (None, Some(xnode)) => xnode_thresholds(session, args, xnode, change).await,
        (None, None) => Ok(()),
    }
}

async fn tag_thresholds(
    session: &Session,
    args: &ConfigArgs,
    tag: &capsule_api::Tag,
    change: ThresholdOverrides,
) -> Result<()> {
    let path = format!("/v1/thresholds/{}", encode(tag.as_str()));
    if args.clear {
        if args.dry_run {
            session.out.note(&format!("would clear the thresholds of tag {tag}; nothing was changed"));
            return Ok(());
        }
        session.client.delete(&path, Precondition::Any).await?;
        session.out.done(&format!("cleared the thresholds of tag {tag}"));
        return Ok(());
    }
    let rows = session.client.list_all("/v1/thresholds", &()).await?;
    let known: Vec<TagThresholds> = parse_rows(&rows)?;
    let base = known.into_iter().find(|known| known.tag == *tag).map(|known| known.thresholds);
    let body = merge(base.unwrap_or_default(), change);
    if args.dry_run {
        let text = inventory::redacted(serde_json::to_value(body));
        inventory::would(session, &format!("set the thresholds of tag {tag}"), &text)?;
        return Ok(());
    }
    session.client.put(&path, &body).await?;
    session.out.done(&format!("changed the thresholds of tag {tag}"));
    Ok(())
}

async fn xnode_thresholds(
    session: &Session,
    args: &ConfigArgs,
    xnode: &str,
    change: ThresholdOverrides,
) -> Result<()> {
    let current = session.client.get(&inventory::path(xnode)).await?;
    let xnode: XNode = current.parse()?;
    let base = if args.clear { ThresholdOverrides::default() } else { xnode.thresholds };
    let patch = XNodePatch { thresholds: Some(merge(base, change)), ..XNodePatch::default() };
    if args.dry_run {
        let text = inventory::redacted(serde_json::to_value(&patch));
        inventory::would(session, &format!("change the thresholds of {}", xnode.name), &text)?;
        return Ok(());
    }
    let etag = inventory::etag(&current, xnode.revision);
    let path = inventory::path(&xnode.id.to_string());
    session.client.patch(&path, Precondition::Unchanged(&etag), &patch).await?;
    session.out.done(&format!("changed the thresholds of {}", xnode.name));
    Ok(())
}

async fn switch_channels(session: &Session, switches: &ChannelSwitches, dry_run: bool) -> Result<()> {
    let known: Vec<Channel> = parse_rows(&session.client.list_all("/v1/channels", &()).await?)?;
    let of =
        |kind: ChannelKind| known.iter().filter(|channel| channel.target.kind() == kind).collect::<Vec<_>>();
    let email = of(ChannelKind::Email);
    if switches.enable_email && email.is_empty() {
        return Err(Error::Failed {
            message: "there is no email channel to enable".to_owned(),
            hint: Some("`capsulectl channel add email --help` shows how to make one".to_owned()),
        });
    }
    if switches.enable_email || switches.disable_email {
        set_enabled(session, &email, Some(switches.enable_email), None, dry_run).await?;
    }
    let url = slack_url(session, switches)?;
    let slack = of(ChannelKind::Slack);
    let enabled = switches.enable_slack.then_some(true).or(switches.disable_slack.then_some(false));
    match (slack.is_empty(), url) {
        (true, Some(url)) => make_slack(session, url, enabled.unwrap_or(true), dry_run).await,
        (true, None) if switches.enable_slack => Err(Error::Failed {
            message: "there is no Slack channel to enable".to_owned(),
            hint: Some("add --secret-file FILE with the webhook URL to make one".to_owned()),
        }),
        (false, url) if enabled.is_some() || url.is_some() => {
            set_enabled(session, &slack, enabled, url, dry_run).await
        }
        _ => Ok(()),
    }
}

fn slack_url(session: &Session, switches: &ChannelSwitches) -> Result<Option<String>> {
    if let Some(url) = &switches.slack_webhook {
        session.out.warn("a webhook URL on the command line can be seen by other users; use --secret-file");
        return Ok(Some(url.clone()));
    }
    if let Some(path) = &switches.secret_file {
        return ask::from_file(path).map(Some);
    }
    if switches.secret_stdin {
        return ask::from_stdin().map(Some);
    }
    Ok(None)
}

async fn make_slack(session: &Session, url: String, enabled: bool, dry_run: bool) -> Result<()> {
    let name = "slack".parse().map_err(|_| Error::Malformed("`slack` is not a channel name"))?;
    let body = ChannelCreate {
        name,
        enabled,
        target: ChannelTarget::Slack(SlackTarget {}),
        secret: Some(url),
        route: ChannelRoute::default(),
    };
    if dry_run {
        let text = inventory::redacted(serde_json::to_value(&body));
        inventory::would(session, "make the channel slack", &text)?;
        return Ok(());
    }
    session.client.post("/v1/channels", &body).await?;
    session.out.done("made the channel slack; `capsulectl channel test slack` sends a message");
    Ok(())
}

async fn set_enabled(
    session: &Session,
    those: &[&Channel],
    enabled: Option<bool>,
    secret: Option<String>,
    dry_run: bool,
) -> Result<()> {
    for channel in those {
        let patch = ChannelPatch { enabled, secret: secret.clone(), ..ChannelPatch::default() };
        let what = format!("change the channel {}", channel.name);
        if dry_run {
            inventory::would(session, &what, &inventory::redacted(serde_json::to_value(&patch)))?;
            continue;
        }
        let etag = format!("\"{}\"", channel.revision);
        let path = channels::path(channel.name.as_str());
        session.client.patch(&path, Precondition::Unchanged(&etag), &patch).await?;
        let word = match enabled {
            Some(true) => "enabled",
            Some(false) => "disabled",
            None => "changed",
        };
        session.out.done(&format!("{word} the channel {}", channel.name));
    }
    Ok(())
}

const fn patch(args: &SettingsArgs) -> SettingsPatch {
    SettingsPatch {
        check_interval_ms: args.check_interval,
        confirm_interval_ms: args.confirm_interval,
        ping_timeout_ms: args.ping_timeout,
        tcp_timeout_ms: args.tcp_timeout,
        ssh_timeout_ms: args.ssh_timeout,
        http_timeout_ms: args.http_timeout,
        down_after: args.down_after,
        up_after: args.up_after,
        metrics_interval_ms: args.metrics_interval,
        reconcile_interval_ms: args.reconcile_interval,
        thresholds: None,
        raw_retention_hours: args.raw_retention,
        five_minute_retention_days: args.five_minute_retention,
        hourly_retention_days: args.hourly_retention,
        record_retention_days: args.record_retention,
    }
}

async fn show(session: &Session) -> Result<()> {
    let config = Config {
        settings: session.client.get(SETTINGS).await?.parse()?,
        tag_thresholds: parse_rows(&session.client.list_all("/v1/thresholds", &()).await?)?,
        channels: parse_rows(&session.client.list_all("/v1/channels", &()).await?)?,
    };
    session.out.typed_one(&config, &VIEW, page)
}

fn page(config: &Config, sheet: &mut Sheet<'_>) {
    let settings = &config.settings;
    sheet.title("How everything is watched", "monitor config");
    sheet.section("Intervals and deadlines");
    for (label, ms) in [
        ("check interval", settings.check_interval_ms),
        ("confirming", settings.confirm_interval_ms),
        ("metrics", settings.metrics_interval_ms),
        ("reconciling", settings.reconcile_interval_ms),
        ("ping timeout", settings.ping_timeout_ms),
        ("tcp timeout", settings.tcp_timeout_ms),
        ("ssh timeout", settings.ssh_timeout_ms),
        ("http timeout", settings.http_timeout_ms),
    ] {
        sheet.field(label, &text::span_ms(ms));
    }
    sheet.field("down after", &text::count(settings.down_after.into(), "failure"));
    sheet.field("up after", &format!("{} in a row", settings.up_after));
    sheet.section("Thresholds");
    for (label, threshold) in [
        ("cpu", &settings.thresholds.cpu),
        ("memory", &settings.thresholds.memory),
        ("disk", &settings.thresholds.disk),
    ] {
        sheet.field(label, &threshold_text(threshold));
    }
    for tag in &config.tag_thresholds {
        for (label, values) in threshold_lines(&tag.thresholds) {
            sheet.field(&format!("{label}, tag {}", tag.tag), &values);
        }
    }
    sheet.section("Kept");
    sheet.field("raw results", &text::count(settings.raw_retention_hours.into(), "hour"));
    sheet.field("5-minute points", &text::count(settings.five_minute_retention_days.into(), "day"));
    sheet.field("hourly points", &text::count(settings.hourly_retention_days.into(), "day"));
    sheet.field("records", &text::count(settings.record_retention_days.into(), "day"));
    sheet.section("Channels");
    if config.channels.is_empty() {
        sheet.line("  none; `capsulectl channel add email --help` shows how to make one");
    } else {
        sheet.table(&channels::VIEW, &config.channels);
    }
}

fn threshold_text(threshold: &Threshold) -> String {
    let lasting = match threshold.for_ms {
        0 => "at once".to_owned(),
        ms => format!("after {}", text::span_ms(ms)),
    };
    format!(
        "warning {} %, critical {} %, hysteresis {}, {lasting}",
        threshold.warning, threshold.critical, threshold.hysteresis
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::look::tests::look;

    #[test]
    fn the_defaults_read_as_documented() {
        let config = Config {
            settings: Settings::default(),
            tag_thresholds: Vec::new(),
            channels: channels::tests::channels(),
        };
        let look = look();
        let mut sheet = Sheet::new(&look);
        page(&config, &mut sheet);
        insta::assert_snapshot!(sheet.finish());
    }
}

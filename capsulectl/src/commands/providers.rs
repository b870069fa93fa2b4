//! `providers` and `provider`: what the clouds sell and have, and what we log in with there.

use std::time::Duration;

use capsule_api::{
    Account, AccountCreate, AccountInstance, AccountName, AccountPatch, AccountState, InstanceFilter,
    InstanceList, Price, Problem, ProviderSummary, TemplateFilter, UsdMicros,
};

use super::{Session, ask, inventory, provider_fields, templates};
use crate::{
    args::providers::{ConfigureArgs, ProviderAction},
    client::{Answer, Precondition, encode},
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Look, Sheet, Tone, View, parse_rows, text, words},
    settings::ProcessEnvironment,
};

/// The daemon waits this long for a provider to accept a credential.
const TRIAL_HOLD: Duration = Duration::from_secs(65);
/// The daemon waits this long for a provider to list what it has.
const LIST_HOLD: Duration = Duration::from_secs(125);

const PROVIDERS: View<ProviderSummary> = View {
    columns: &[
        Column { title: "PROVIDER", fit: Fit::Keep, cell: |p, _| Cell::toned(Tone::Name, p.name.as_str()) },
        Column { title: "TEMPLATES", fit: Fit::Number, cell: |p, _| p.templates.to_string().into() },
        Column { title: "REGIONS", fit: Fit::Number, cell: |p, _| p.regions.to_string().into() },
        Column { title: "PER HOUR", fit: Fit::Drop(2), cell: |p, look| Cell::maybe(price_range(p), look) },
        Column { title: "GPU", fit: Fit::Drop(3), cell: |p, _| if p.gpu { "yes" } else { "no" }.into() },
        Column { title: "CREDENTIAL", fit: Fit::Keep, cell: credential_cell },
        Column {
            title: "PROVED",
            fit: Fit::Drop(1),
            cell: |p, look| {
                let proved = p.accounts.iter().filter_map(|account| account.proved_at).max();
                let exact = proved.map(|at| at.to_string()).unwrap_or_default();
                Cell::from(text::age_or_absent(proved, look)).exactly(exact)
            },
        },
        Column { title: "ACCOUNTS", fit: Fit::Wide, cell: |p, _| p.accounts.len().to_string().into() },
        Column { title: "ENDED", fit: Fit::Wide, cell: |p, look| Cell::maybe(p.ended.as_ref(), look) },
    ],
    name: |provider| provider.name.to_string(),
    empty: "no providers",
};

/// Columns of accounts.
const ACCOUNTS: View<Account> = View {
    columns: &[
        Column { title: "ACCOUNT", fit: Fit::Keep, cell: |a, _| Cell::toned(Tone::Name, a.name.as_str()) },
        Column { title: "PROVIDER", fit: Fit::Keep, cell: |a, _| a.provider.as_str().into() },
        Column { title: "CREDENTIAL", fit: Fit::Keep, cell: |a, look| words::account(a.state, look) },
        Column {
            title: "PROVED",
            fit: Fit::Drop(2),
            cell: |a, look| {
                let exact = a.proved_at.map(|at| at.to_string()).unwrap_or_default();
                Cell::from(text::age_or_absent(a.proved_at, look)).exactly(exact)
            },
        },
        Column { title: "XNODES", fit: Fit::Number, cell: |a, _| a.xnodes.to_string().into() },
        Column { title: "OWNER", fit: Fit::Cut, cell: |a, _| a.owner.clone().into() },
        Column { title: "REASON", fit: Fit::Cut, cell: |a, _| a.reason.clone().into() },
        Column {
            title: "ENDPOINT",
            fit: Fit::Wide,
            cell: |a, look| Cell::maybe(a.settings.endpoint.as_ref(), look),
        },
    ],
    name: |account| account.name.to_string(),
    empty: "no accounts; add one with `capsulectl provider configure PROVIDER`",
};

/// The eight columns earlier tools showed, under their names, and the account.
const INSTANCES: View<AccountInstance> = View {
    columns: &[
        Column { title: "ID", fit: Fit::Keep, cell: |i, _| i.instance.reference().to_string().into() },
        Column { title: "NAME", fit: Fit::Keep, cell: |i, _| Cell::toned(Tone::Name, &i.instance.name) },
        Column { title: "PROVIDER", fit: Fit::Drop(4), cell: |i, _| i.instance.provider.as_str().into() },
        Column { title: "STATUS", fit: Fit::Keep, cell: |i, _| words::instance(i.instance.status) },
        Column {
            title: "IP ADDRESS",
            fit: Fit::Keep,
            cell: |i, look| Cell::maybe(i.instance.ip_address, look),
        },
        Column { title: "REGION", fit: Fit::Drop(2), cell: |i, _| i.instance.region.clone().into() },
        Column {
            title: "CREATED AT",
            fit: Fit::Drop(3),
            cell: |i, look| Cell::maybe(i.instance.created_at, look),
        },
        Column { title: "METADATA", fit: Fit::Wide, cell: |i, _| i.instance.metadata.to_string().into() },
        Column { title: "ACCOUNT", fit: Fit::Drop(1), cell: |i, _| i.account.as_str().into() },
    ],
    name: |instance| instance.instance.reference().to_string(),
    empty: "the provider has no instances",
};

/// `0.006-1.2 USD`.
fn price_range(provider: &ProviderSummary) -> Option<String> {
    let (low, high) = (provider.cheapest?, provider.dearest?);
    let amount = |price: Price| UsdMicros(price.hourly_micros);
    Some(match low == high {
        true => format!("{} {}", amount(low), low.currency),
        false => format!("{}-{} {}", amount(low), amount(high), low.currency),
    })
}

/// The best state of its accounts, and how many are refused.
fn credential_cell(provider: &ProviderSummary, look: &Look) -> Cell {
    if let (Some(date), true) = (&provider.ended, provider.accounts.is_empty()) {
        return Cell::toned(Tone::Dim, format!("ended {date}")).exactly("ended");
    }
    let has = |state| provider.accounts.iter().any(|account| account.state == state);
    let states = [AccountState::Refused, AccountState::Proved, AccountState::Unknown];
    match states.into_iter().find(|state| has(*state)) {
        Some(state) => words::account(state, look),
        None => Cell::toned(Tone::Dim, "none"),
    }
}

fn account_path(account: &str) -> String {
    format!("/v1/accounts/{}", encode(account))
}

fn provider_path(provider: &str) -> String {
    format!("/v1/providers/{}", encode(provider))
}

/// `providers`.
pub async fn list(session: &Session, detailed: bool) -> Result<Outcome> {
    let rows = session.client.list_all("/v1/providers", &()).await?;
    session.out.list(&rows, &PROVIDERS)?;
    if detailed && session.out.is_for_people() {
        let providers: Vec<ProviderSummary> = parse_rows(&rows)?;
        let mut sheet = Sheet::new(&session.out.look);
        sheet.section("Accounts");
        let accounts: Vec<Account> =
            providers.iter().flat_map(|provider| provider.accounts.iter().cloned()).collect();
        if accounts.is_empty() {
            sheet.line(ACCOUNTS.empty)
        } else {
            sheet.table(&ACCOUNTS, &accounts)
        }
        sheet.section("Credentials");
        for provider in &providers {
            let fields: Vec<String> = provider
                .credential
                .iter()
                .map(|field| format!("{}{}", field.name, if field.required { "" } else { " (optional)" }))
                .collect();
            sheet.field(provider.name.as_str(), &fields.join(", "));
        }
        session.out.print(&format!("\n{}", sheet.finish()))?;
    }
    Ok(Outcome::Done)
}

/// `provider`.
pub async fn run(session: &Session, action: ProviderAction) -> Result<Outcome> {
    match action {
        ProviderAction::Configure(args) => configure(session, &args).await,
        ProviderAction::Accounts => {
            let rows = session.client.list_all("/v1/accounts", &()).await?;
            session.out.list(&rows, &ACCOUNTS)?;
            Ok(Outcome::Done)
        }
        ProviderAction::Show { account } => {
            let answer = session.client.get(&account_path(&account)).await?;
            session.out.one(&answer, &ACCOUNTS, page)?;
            Ok(Outcome::Done)
        }
        ProviderAction::Templates { provider } => {
            let filter = TemplateFilter { provider: Some(provider), ..TemplateFilter::default() };
            templates::list(session, &filter).await
        }
        ProviderAction::Equivalents(args) => templates::equivalents(session, &args).await,
        ProviderAction::Verify { account } => verify(session, &account).await,
        ProviderAction::Remove { account, dry_run } => remove(session, &account, dry_run).await,
        ProviderAction::Instances { provider, id: None, account } => {
            instances(session, &provider, account).await
        }
        ProviderAction::Instances { provider, id: Some(id), account } => {
            let path = format!("{}/instances/{}{}", provider_path(&provider), encode(&id), of(account));
            let answer = session.client.get_held(&path, LIST_HOLD).await?;
            session.out.one(&answer, &INSTANCES, instance_page)?;
            Ok(Outcome::Done)
        }
    }
}

async fn configure(session: &Session, args: &ConfigureArgs) -> Result<Outcome> {
    let answer = session.client.get(&provider_path(&args.provider)).await?;
    let provider: ProviderSummary = answer.parse()?;
    let known = &provider.credential;
    let name = args.account.as_ref().map_or(provider.name.as_str(), AccountName::as_str);
    let present = provider.accounts.iter().find(|account| account.name.as_str().eq_ignore_ascii_case(name));
    let mut fields = provider_fields::given(session, known, &args.credential, &ProcessEnvironment)?;
    let before = present.map(|account| account.settings.clone()).unwrap_or_default();
    let settings = provider_fields::settings(&before, args);
    let only_settings = present.is_some() && fields.is_empty() && settings != before;
    if !only_settings {
        provider_fields::ask_missing(session, known, &mut fields, present.is_none())?;
    }
    if fields.is_empty() && settings == before && present.is_some() {
        return Err(Error::usage(
            "nothing to change",
            "`capsulectl provider configure --help` shows what can be",
        ));
    }
    if args.dry_run {
        let fields = provider_fields::redacted(&fields, known);
        let body = serde_json::json!({"account": name, "fields": fields, "settings": settings});
        return inventory::would(session, &format!("store the account {name}"), &body.to_string());
    }
    let (answer, verb) = match present {
        Some(account) => (rotate(session, account, fields, settings, &before).await?, "changed"),
        None => {
            let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let new = AccountCreate { name: args.account.clone(), provider: provider.name, fields, settings };
            (session.client.post_held("/v1/accounts", &new, TRIAL_HOLD).await?, "stored")
        }
    };
    if !session.out.is_for_people() {
        session.out.one(&answer, &ACCOUNTS, |_, _| {})?;
        return Ok(Outcome::Done);
    }
    let account: Account = answer.parse()?;
    let owner = if account.owner.is_empty() { String::new() } else { format!(" ({})", account.owner) };
    session.out.done(&format!(
        "{} accepted the credential{owner}; {verb} the account {}",
        provider.name, account.name
    ));
    Ok(Outcome::Done)
}

async fn rotate(
    session: &Session,
    account: &Account,
    fields: provider_fields::Fields,
    settings: capsule_api::AccountSettings,
    before: &capsule_api::AccountSettings,
) -> Result<Answer> {
    let settings = (settings != *before).then_some(settings);
    let etag = format!("\"{}\"", account.revision);
    let path = account_path(account.name.as_str());
    let patch = AccountPatch { fields, settings };
    session.client.patch_held(&path, Precondition::Unchanged(&etag), &patch, TRIAL_HOLD).await
}

async fn verify(session: &Session, account: &str) -> Result<Outcome> {
    let path = format!("{}/prove", account_path(account));
    let answer = session.client.post_held(&path, &serde_json::json!({}), TRIAL_HOLD).await?;
    let account: Account = answer.parse()?;
    let works = account.state == AccountState::Proved;
    if !session.out.is_for_people() {
        session.out.one(&answer, &ACCOUNTS, |_, _| {})?;
        return Ok(if works { Outcome::Done } else { Outcome::Failed });
    }
    if !works {
        return Err(Error::Failed {
            message: account.reason,
            hint: Some(format!(
                "`capsulectl provider configure {} --account {}` stores a new credential",
                account.provider, account.name
            )),
        });
    }
    session.out.done(&format!("{} accepts the credential of {}", account.provider, account.name));
    Ok(Outcome::Done)
}

async fn remove(session: &Session, account: &str, dry_run: bool) -> Result<Outcome> {
    let answer = session.client.get(&account_path(account)).await?;
    let account: Account = answer.parse()?;
    if dry_run {
        session.out.note(&format!("would remove the account {}; nothing was changed", account.name));
        return Ok(Outcome::Done);
    }
    ask::confirm(session, &format!("remove the account {} with its credential?", account.name))?;
    let etag = inventory::etag(&answer, account.revision);
    let path = account_path(account.name.as_str());
    session.client.delete(&path, Precondition::Unchanged(&etag)).await?;
    if session.out.is_for_people() {
        session.out.done(&format!("removed the account {}", account.name));
    } else {
        session.out.typed_one(&account, &ACCOUNTS, |_, _| {})?;
    }
    Ok(Outcome::Done)
}

/// The query that asks one account only.
fn of(account: Option<AccountName>) -> String {
    let filter = InstanceFilter { account };
    filter.account.map(|name| format!("?account={}", encode(name.as_str()))).unwrap_or_default()
}

/// Prints what there is, and then fails if an account could not be asked: a list that lacks something must not
/// look whole to a script.
async fn instances(session: &Session, provider: &str, account: Option<AccountName>) -> Result<Outcome> {
    let path = format!("{}/instances{}", provider_path(provider), of(account));
    let list: InstanceList = session.client.get_held(&path, LIST_HOLD).await?.parse()?;
    let Some(last) = list.failures.last() else {
        session.out.typed_list(&list.items, &INSTANCES)?;
        return Ok(Outcome::Done);
    };
    if !list.items.is_empty() {
        session.out.typed_list(&list.items, &INSTANCES)?;
    }
    for failure in &list.failures {
        session.out.warn(&format!("account {}: {}", failure.account, failure.detail));
    }
    Err(Error::Refused(Box::new(Problem {
        kind: "about:blank".to_owned(),
        title: "Not every account could be asked".to_owned(),
        status: 502,
        detail: format!("{} could not be asked", text::count(list.failures.len() as u64, "account")),
        code: last.code.clone(),
        hint: Some(format!("`capsulectl provider verify {}` asks again", last.account)),
        request_id: String::new(),
    })))
}

fn page(account: &Account, sheet: &mut Sheet<'_>) {
    let look = sheet.look;
    let state = words::account(account.state, look);
    sheet.title(&format!("Account {}", account.name), account.provider.as_str());
    sheet.toned_field("credential", state.tone, &state.text);
    if !account.reason.is_empty() {
        sheet.toned_field("reason", Tone::Bad, &account.reason);
    }
    sheet.field("proved", &account.proved_at.map_or_else(|| look.absent().to_owned(), text::moment));
    sheet.field("owner", &account.owner);
    sheet.field("xnodes", &account.xnodes.to_string());
    for (name, value) in &account.fields {
        sheet.field(name, value);
    }
    for name in &account.secret_fields {
        sheet.field(name, "stored");
    }
    let settings = &account.settings;
    sheet.field("timeout", &text::span_ms(settings.timeout_ms.unwrap_or(30_000)));
    sheet.field("retries", &settings.max_retries.unwrap_or(3).to_string());
    sheet.field("backoff", &text::span_ms(settings.backoff_ms.unwrap_or(1_000)));
    if let Some(endpoint) = &settings.endpoint {
        sheet.field("endpoint", endpoint);
    }
    sheet.field("revision", &format!("{} ({})", account.revision, text::moment(account.updated_at)));
}

fn instance_page(found: &AccountInstance, sheet: &mut Sheet<'_>) {
    let (instance, look) = (&found.instance, sheet.look);
    let optional = |value: Option<String>| value.unwrap_or_else(|| look.absent().to_owned());
    let status = words::instance(instance.status);
    sheet.title(&instance.name, instance.provider.as_str());
    sheet.field("id", &instance.reference().to_string());
    sheet.field("account", found.account.as_str());
    sheet.toned_field("status", status.tone, &status.text);
    sheet.field("ip_address", &optional(instance.ip_address.map(|ip| ip.to_string())));
    sheet.field("region", &instance.region);
    sheet.field("plan", &instance.plan);
    sheet.field("created_at", &optional(instance.created_at.map(text::moment)));
    sheet.field("tags", &instance.tags.join(", "));
    sheet.field("metadata", &instance.metadata.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{look::tests::look, table::csv};

    #[test]
    fn instances_have_the_eight_columns_of_earlier_tools() {
        let found: AccountInstance = serde_json::from_value(serde_json::json!({
            "id": "4711", "name": "web-1", "provider": "vultr", "status": "running",
            "ip_address": "192.0.2.9", "region": "ams", "created_at": "2026-01-02T03:04:05Z",
            "metadata": {"id": 4711}, "plan": "small", "tags": [], "place": "", "account": "work"
        }))
        .expect("an instance");
        let text = String::from_utf8(csv(&INSTANCES, &[found], &look()).expect("csv")).expect("text");
        assert_eq!(
            text,
            "id,name,provider,status,ip_address,region,created_at,metadata,account\n\
             4711,web-1,vultr,running,192.0.2.9,ams,2026-01-02T03:04:05Z,\"{\"\"id\"\":4711}\",work\n"
        );
    }
}

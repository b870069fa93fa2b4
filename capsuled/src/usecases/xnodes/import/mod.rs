//! An inventory from a file of another program: all of it or nothing, in one transaction, and a second time without
//! any effect.

mod plan;

use capsule_api::{
    AccountName, ImportFormat, ImportLeft, ImportReport, ImportRequest, ProviderName, Role, Settings,
};

use self::plan::Counts;
pub(in crate::usecases) use self::plan::{Present, carry_out, own_id, plan};
use super::UseCaseError;
use crate::{
    context::Context,
    model::Caller,
    rules::{
        access,
        records::{
            csv,
            faults::{Fault, Left},
            record::{Reading, Record},
            ssh_hosts, terraform,
        },
    },
    store,
};

/// The most servers of one file.
const MOST_ROWS: usize = 100_000;
/// Characters of the faults that are named: a problem's detail is cut not far beyond.
const LONGEST_LIST: usize = 1_500;
/// How many faults are named.
const NAMED_FAULTS: usize = 20;
/// How much of what was left is named.
const MOST_LEFT: usize = 1_000;

/// Takes over an inventory.
///
/// # Errors
/// [`UseCaseError::Invalid`] with what is wrong in the file, by row or line and field; then nothing was changed.
/// [`UseCaseError::NotFound`] for an account that is not there; [`UseCaseError::RoleTooLow`] for private keys.
pub async fn import(
    context: &Context,
    by: &Caller,
    request: ImportRequest,
) -> Result<ImportReport, UseCaseError> {
    if !request.identity_files.is_empty() && !access::may_set_credentials(by.role) {
        return Err(UseCaseError::RoleTooLow { action: "storing a private key", needed: Role::Admin });
    }
    let mut reader = context.store.reader().await?;
    let (global, _) = store::settings::find(&mut reader).await?;
    let accounts = store::accounts::list(&mut reader).await?.into_iter();
    let accounts: Vec<_> = accounts.map(|stored| (stored.account.name, stored.account.provider)).collect();
    let present = Present::of(
        store::xnodes::list(&mut reader, &store::xnodes::Filter::default(), i64::MAX).await?,
        store::costs::deployed(&mut reader).await?,
    );
    drop(reader);
    let Reading { records, left, identity_files } = read(&request, &accounts, &present)?;
    if MOST_ROWS < records.len() {
        return Err(UseCaseError::invalid("text", "there may be at most 100,000 servers"));
    }
    let left = left.into_iter().take(MOST_LEFT).map(shown).collect();
    let report = ImportReport { left, identity_files, ..ImportReport::default() };
    if request.dry_run {
        let plan =
            plan(context, by, &global, &present, &records).map_err(|faults| refused("text", &faults))?;
        return Ok(counted(report, plan.counts));
    }
    let report = write(context, by, global, records, report).await?;
    context.wakes.inventory_changed();
    Ok(report)
}

fn counted(report: ImportReport, counts: Counts) -> ImportReport {
    let Counts { rows, created, changed } = counts;
    ImportReport { rows, created, changed, unchanged: rows - created - changed, ..report }
}

fn read(
    request: &ImportRequest,
    accounts: &[(AccountName, ProviderName)],
    present: &Present,
) -> Result<Reading, UseCaseError> {
    let read = match request.format.unwrap_or(ImportFormat::Csv) {
        ImportFormat::Csv => csv::read(&request.text),
        ImportFormat::Terraform => {
            if let Some(given) =
                request.account.as_ref().filter(|given| accounts.iter().all(|(a, _)| a != *given))
            {
                return Err(UseCaseError::not_found("account", given));
            }
            terraform::read(&request.text, accounts, request.account.as_ref())
        }
        ImportFormat::SshConfig => {
            let beside = ssh_hosts::Beside {
                includes: &request.includes,
                keys: &request.identity_files,
                known: &present.names(),
            };
            ssh_hosts::read(&request.text, beside)
        }
    };
    read.map_err(|faults| refused("text", &faults))
}

/// Plans again on what is there inside the transaction, and carries it out.
async fn write(
    context: &Context,
    by: &Caller,
    global: Settings,
    records: Vec<Record>,
    report: ImportReport,
) -> Result<ImportReport, UseCaseError> {
    let target = format!("{} rows", records.len());
    let (planner, actor) = (context.clone(), by.clone());
    context
        .store
        .change(by, "import_inventory", target, move |tx| {
            Box::pin(async move {
                let present =
                    Present::of(store::xnodes::list_in(tx).await?, store::costs::deployed_in(tx).await?);
                let plan = plan(&planner, &actor, &global, &present, &records);
                let plan = plan.map_err(|faults| refused("text", &faults))?;
                Ok(counted(report, carry_out(tx, plan).await?))
            })
        })
        .await
}

/// The refusal of a whole file, with the first of its faults.
pub(in crate::usecases) fn refused(field: &str, faults: &[Fault]) -> UseCaseError {
    let mut named = Vec::new();
    let mut length = 0;
    for text in faults.iter().take(NAMED_FAULTS).map(ToString::to_string) {
        length += text.chars().count();
        if LONGEST_LIST < length && !named.is_empty() {
            break;
        }
        named.push(text);
    }
    let more = faults.len() - named.len();
    let tail = if more == 0 { String::new() } else { format!("; and {more} more") };
    UseCaseError::invalid(field, format!("{}{tail}", named.join("; ")))
}

/// What was left, as the API shows it.
pub(in crate::usecases) fn shown(left: Left) -> ImportLeft {
    ImportLeft { place: left.spot.map(|spot| spot.to_string()), what: left.what, reason: left.reason }
}

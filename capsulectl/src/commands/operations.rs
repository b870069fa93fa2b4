//! Operations: waiting for one to end, listing, stopping.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use capsule_api::{Operation, OperationState};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Session, names::full_id};
use crate::{
    args::{
        records::{OperationsAction, OperationsArgs},
        values::WaitArgs,
    },
    client::{Answer, encode},
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Sheet, Tone, View, text, words},
};

/// How long the daemon may hold an answer back; below any proxy's and its own limit.
const HOLD: Duration = Duration::from_secs(30);
/// An answer that was hardly held back is not asked for again at once.
const EARLY: Duration = Duration::from_millis(200);

/// Columns of operations.
pub const VIEW: View<Operation> = View {
    columns: &[
        Column {
            title: "ID",
            fit: Fit::Keep,
            cell: |op, _| Cell::from(op.id.short()).exactly(op.id.to_string()),
        },
        Column { title: "KIND", fit: Fit::Keep, cell: |op, _| op.kind.as_str().into() },
        Column { title: "STATE", fit: Fit::Keep, cell: |op, look| words::operation(op.state, look) },
        Column { title: "STAGE", fit: Fit::Cut, cell: |op, _| op.stage.clone().into() },
        Column {
            title: "DONE",
            fit: Fit::Number,
            cell: |op, _| {
                Cell::from(format!("{} %", op.progress_percent)).exactly(op.progress_percent.to_string())
            },
        },
        Column {
            title: "AGE",
            fit: Fit::Number,
            cell: |op, look| {
                Cell::from(text::age(op.created_at, look.now)).exactly(op.created_at.to_string())
            },
        },
        Column { title: "BY", fit: Fit::Drop(1), cell: |op, _| op.created_by.clone().into() },
        Column { title: "RESOURCE", fit: Fit::Wide, cell: |op, _| op.resource.clone().into() },
    ],
    name: |op| op.id.to_string(),
    empty: "no operations yet",
};

/// `operations`.
pub async fn run(session: &Session, args: OperationsArgs) -> Result<Outcome> {
    match args.action {
        None => {
            let rows = session.client.list_first("/v1/operations", &(), args.limit).await?;
            session.out.list(&rows, &VIEW)?;
        }
        Some(OperationsAction::Show { operation }) => {
            let answer = session.client.get(&path(session, &operation).await?).await?;
            session.out.one(&answer, &VIEW, page)?;
        }
        Some(OperationsAction::Wait { operation, wait }) => {
            let answer = session.client.get(&path(session, &operation).await?).await?;
            let operation = until_done(session, answer.parse()?, wait.timeout).await?;
            session.out.typed_one(&operation, &VIEW, page)?;
        }
        Some(OperationsAction::Cancel { operation }) => {
            let path = path(session, &operation).await? + "/cancel";
            let answer = session.client.post(&path, &serde_json::json!({})).await?;
            session.out.one(&answer, &VIEW, page)?;
        }
    }
    Ok(Outcome::Done)
}

/// Follows an operation that was just started, as the flags say: `None` when nobody wants to wait, after
/// printing it; the ended operation otherwise.
///
/// # Errors
/// The operation's own problem when it failed, a timeout when it takes too long.
pub async fn follow(session: &Session, started: &Answer, wait: &WaitArgs) -> Result<Option<Operation>> {
    if wait.no_wait {
        session.out.one(started, &VIEW, page)?;
        return Ok(None);
    }
    until_done(session, started.parse()?, wait.timeout).await.map(Some)
}

async fn until_done(session: &Session, mut operation: Operation, most: Duration) -> Result<Operation> {
    let began = Instant::now();
    let spinner = spinner(session);
    while !operation.state.is_final() {
        let Some(left) = most.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else {
            return Err(Error::TimedOut {
                what: format!("the operation {}", operation.id.short()),
                after: most,
            });
        };
        spinner.set_message(crate::error::one_line(&operation.stage));
        let hold = left.min(HOLD);
        let path = format!("/v1/operations/{}?wait={}ms", operation.id, hold.as_millis());
        let asked = Instant::now();
        operation = session.client.get_held(&path, hold).await?.parse()?;
        if !operation.state.is_final() && asked.elapsed() < EARLY {
            tokio::time::sleep(EARLY.min(left)).await;
        }
    }
    spinner.finish_and_clear();
    match operation.state {
        OperationState::Succeeded => Ok(operation),
        OperationState::Cancelled => {
            Err(Error::Failed { message: "the operation was cancelled".into(), hint: None })
        }
        _ => Err(match operation.error {
            Some(problem) => Error::Refused(Box::new(problem)),
            None => {
                Error::Failed { message: format!("the operation failed: {}", operation.stage), hint: None }
            }
        }),
    }
}

fn spinner(session: &Session) -> ProgressBar {
    if session.out.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

async fn path(session: &Session, given: &str) -> Result<String> {
    let rows = match given.parse::<uuid::Uuid>() {
        Ok(_) => Vec::new(),
        Err(_) => session.client.list("/v1/operations", &()).await?,
    };
    Ok(format!("/v1/operations/{}", encode(&full_id(given, &rows, "operation")?)))
}

fn page(operation: &Operation, sheet: &mut Sheet<'_>) {
    let look = sheet.look;
    let state = words::operation(operation.state, look);
    sheet.title(&format!("Operation {}", operation.id.short()), operation.kind.as_str());
    sheet.toned_field("state", state.tone, &state.text);
    sheet.field("stage", &operation.stage);
    sheet.field("done", &format!("{} %", operation.progress_percent));
    sheet.field("resource", &operation.resource);
    sheet.field("asked by", &operation.created_by);
    sheet.field("begun", &text::moment(operation.created_at));
    sheet.field("moved", &text::moment(operation.updated_at));
    if let Some(problem) = &operation.error {
        sheet.toned_field("error", Tone::Bad, &problem.detail);
    }
    sheet.field("id", &operation.id.to_string());
}

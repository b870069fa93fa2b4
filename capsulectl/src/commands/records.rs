//! What the daemon and its people did: audit rows and background tasks.

use capsule_api::{AuditEntry, TaskStatus};

use super::Session;
use crate::{
    error::{Outcome, Result},
    output::{Cell, Column, Fit, Tone, View, text},
};

const AUDIT: View<AuditEntry> = View {
    columns: &[
        Column {
            title: "WHEN",
            fit: Fit::Keep,
            cell: |a, _| Cell::from(text::moment(a.at)).exactly(a.at.to_string()),
        },
        Column { title: "WHO", fit: Fit::Keep, cell: |a, _| a.actor.clone().into() },
        Column { title: "ACTION", fit: Fit::Keep, cell: |a, _| a.action.clone().into() },
        Column { title: "TARGET", fit: Fit::Cut, cell: |a, _| a.target.clone().into() },
        Column { title: "SEQ", fit: Fit::Wide, cell: |a, _| a.seq.to_string().into() },
        Column { title: "REQUEST", fit: Fit::Wide, cell: |a, look| Cell::maybe(a.request_id, look) },
    ],
    name: |entry| entry.seq.to_string(),
    empty: "nobody changed anything yet",
};

const TASKS: View<TaskStatus> = View {
    columns: &[
        Column { title: "TASK", fit: Fit::Keep, cell: |t, _| t.name.clone().into() },
        Column { title: "RUNS", fit: Fit::Number, cell: |t, _| t.runs.to_string().into() },
        Column {
            title: "LAST RUN",
            fit: Fit::Number,
            cell: |t, look| {
                let exact = t.last_run_at.map(|at| at.to_string()).unwrap_or_default();
                Cell::from(text::age_or_absent(t.last_run_at, look)).exactly(exact)
            },
        },
        Column {
            title: "TOOK MS",
            fit: Fit::Number,
            cell: |t, look| Cell::maybe(t.last_run_ms.map(|ms| format!("{ms:.1}")), look),
        },
        Column {
            title: "ERROR",
            fit: Fit::Cut,
            cell: |t, look| match &t.last_error {
                Some(error) => Cell::toned(Tone::Bad, error.clone()),
                None => Cell::maybe(None::<String>, look),
            },
        },
    ],
    name: |task| task.name.clone(),
    empty: "no tasks",
};

/// `audit`.
pub async fn audit(session: &Session, limit: usize) -> Result<Outcome> {
    let rows = session.client.list_first("/v1/audit", &(), limit).await?;
    session.out.list(&rows, &AUDIT)?;
    Ok(Outcome::Done)
}

/// `tasks`.
pub async fn tasks(session: &Session) -> Result<Outcome> {
    let rows = session.client.list_all("/v1/tasks", &()).await?;
    session.out.list(&rows, &TASKS)?;
    Ok(Outcome::Done)
}

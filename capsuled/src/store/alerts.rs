//! Alerts and their timelines.

use capsule_api::{Alert, AlertChange, AlertId, AlertState, Subject};
use sqlx::SqliteConnection;

use super::{StoreError, Tx, at, at_opt, json, ms, parse, to_json};

struct Row {
    id: String,
    subject_kind: String,
    subject_id: String,
    subject_name: String,
    kind: String,
    severity: String,
    state: String,
    summary: String,
    causes: String,
    since: i64,
    opened_at: i64,
    changed_at: i64,
    acknowledged_at: Option<i64>,
    acknowledged_by: Option<String>,
    resolved_at: Option<i64>,
    resolved_by: Option<String>,
}

impl Row {
    fn into_alert(self) -> Result<Alert, StoreError> {
        Ok(Alert {
            id: parse("id", &self.id)?,
            subject: Subject { kind: parse("subject kind", &self.subject_kind)?, id: self.subject_id },
            subject_name: self.subject_name,
            kind: parse("alert kind", &self.kind)?,
            severity: parse("severity", &self.severity)?,
            state: parse("alert state", &self.state)?,
            summary: self.summary,
            causes: json("causes", &self.causes)?,
            since: at(self.since)?,
            opened_at: at(self.opened_at)?,
            changed_at: at(self.changed_at)?,
            acknowledged_at: at_opt(self.acknowledged_at)?,
            acknowledged_by: self.acknowledged_by,
            resolved_at: at_opt(self.resolved_at)?,
            resolved_by: self.resolved_by,
        })
    }
}

/// Which alerts to list; every given field must match.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// This state only.
    pub state: Option<AlertState>,
    /// Whether resolved ones are left out.
    pub unresolved_only: bool,
    /// This severity only.
    pub severity: Option<capsule_api::Severity>,
    /// This kind only.
    pub kind: Option<capsule_api::AlertKind>,
    /// This subject only.
    pub subject: Option<Subject>,
    /// Only alerts opened before the one with this id (ids sort by time).
    pub before: Option<AlertId>,
}

/// At most `limit` alerts that match, newest first.
pub async fn list(
    connection: &mut SqliteConnection,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Alert>, StoreError> {
    let state = filter.state.map(AlertState::as_str);
    let severity = filter.severity.map(capsule_api::Severity::as_str);
    let kind = filter.kind.map(capsule_api::AlertKind::as_str);
    let subject_kind = filter.subject.as_ref().map(|subject| subject.kind.as_str());
    let subject_id = filter.subject.as_ref().map(|subject| subject.id.as_str());
    let before = filter.before.map(|id| id.to_string());
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id!", subject_kind, subject_id, subject_name, kind, severity, state, summary, causes, since, opened_at,
            changed_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by
         FROM alerts
         WHERE (?1 IS NULL OR state = ?1)
            AND (?2 = 0 OR state <> 'resolved')
            AND (?3 IS NULL OR severity = ?3)
            AND (?4 IS NULL OR kind = ?4)
            AND (?5 IS NULL OR subject_kind = ?5)
            AND (?6 IS NULL OR subject_id = ?6)
            AND (?7 IS NULL OR id < ?7)
         ORDER BY id DESC
         LIMIT ?8"#,
        state,
        filter.unresolved_only,
        severity,
        kind,
        subject_kind,
        subject_id,
        before,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::into_alert).collect()
}

/// Every alert that is not resolved.
pub async fn list_open(connection: &mut SqliteConnection) -> Result<Vec<Alert>, StoreError> {
    list(connection, &Filter { unresolved_only: true, ..Filter::default() }, i64::MAX).await
}

/// Every alert that is not resolved, inside a transaction.
pub async fn list_open_in(tx: &mut Tx) -> Result<Vec<Alert>, StoreError> {
    list_open(tx.connection()).await
}

/// The open alerts of one subject, inside the transaction that will change them.
pub async fn open_of(tx: &mut Tx, subject: &Subject) -> Result<Vec<Alert>, StoreError> {
    let filter = Filter { unresolved_only: true, subject: Some(subject.clone()), ..Filter::default() };
    list(tx.connection(), &filter, i64::MAX).await
}

/// Ids of all alerts, newest first, for resolving what people type; at most 10,000.
pub async fn ids(connection: &mut SqliteConnection) -> Result<Vec<AlertId>, StoreError> {
    let rows = sqlx::query_scalar!(r#"SELECT id AS "id!" FROM alerts ORDER BY id DESC LIMIT 10000"#)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|id| parse("id", id)).collect()
}

/// The alert with this id.
pub async fn find(connection: &mut SqliteConnection, id: AlertId) -> Result<Option<Alert>, StoreError> {
    let id = id.to_string();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id!", subject_kind, subject_id, subject_name, kind, severity, state, summary, causes, since, opened_at,
            changed_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by
         FROM alerts
         WHERE id = ?1"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(Row::into_alert).transpose()
}

/// The alert inside a transaction.
pub async fn find_in(tx: &mut Tx, id: AlertId) -> Result<Option<Alert>, StoreError> {
    find(tx.connection(), id).await
}

/// Writes an alert as it is after `change` and appends the change to its timeline. Returns the change's
/// position.
pub async fn record(tx: &mut Tx, alert: &Alert, change: &AlertChange) -> Result<u32, StoreError> {
    let seq = upsert(tx, alert).await?;
    let (id, at, kind, severity) =
        (alert.id.to_string(), ms(change.at), change.kind.as_str(), change.severity.as_str());
    sqlx::query!(
        "INSERT INTO alert_changes (alert_id, seq, at, kind, severity, actor, text)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        id,
        seq,
        at,
        kind,
        severity,
        change.actor,
        change.text
    )
    .execute(tx.connection())
    .await?;
    Ok(seq)
}

async fn upsert(tx: &mut Tx, alert: &Alert) -> Result<u32, StoreError> {
    let (id, subject_kind) = (alert.id.to_string(), alert.subject.kind.as_str());
    let (kind, severity, state) = (alert.kind.as_str(), alert.severity.as_str(), alert.state.as_str());
    let causes = to_json(&alert.causes);
    let (since, opened_at, changed_at) = (ms(alert.since), ms(alert.opened_at), ms(alert.changed_at));
    let (acknowledged_at, resolved_at) = (alert.acknowledged_at.map(ms), alert.resolved_at.map(ms));
    let seq = sqlx::query_scalar!(
        r#"INSERT INTO alerts (id, subject_kind, subject_id, subject_name, kind, severity, state, summary, causes,
            since, opened_at, changed_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by, last_change)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, 1)
         ON CONFLICT (id) DO UPDATE SET
            subject_name = excluded.subject_name,
            severity = excluded.severity,
            state = excluded.state,
            summary = excluded.summary,
            causes = excluded.causes,
            since = excluded.since,
            changed_at = excluded.changed_at,
            acknowledged_at = excluded.acknowledged_at,
            acknowledged_by = excluded.acknowledged_by,
            resolved_at = excluded.resolved_at,
            resolved_by = excluded.resolved_by,
            last_change = last_change + 1
         RETURNING last_change AS "last_change!: i64""#,
        id,
        subject_kind,
        alert.subject.id,
        alert.subject_name,
        kind,
        severity,
        state,
        alert.summary,
        causes,
        since,
        opened_at,
        changed_at,
        acknowledged_at,
        alert.acknowledged_by,
        resolved_at,
        alert.resolved_by
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(u32::try_from(seq).unwrap_or(u32::MAX))
}

/// What happened to an alert, oldest first.
pub async fn timeline(
    connection: &mut SqliteConnection,
    id: AlertId,
) -> Result<Vec<AlertChange>, StoreError> {
    let id = id.to_string();
    let rows = sqlx::query!(
        "SELECT seq, at, kind, severity, actor, text FROM alert_changes WHERE alert_id = ?1 ORDER BY seq",
        id
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AlertChange {
                seq: u32::try_from(row.seq).unwrap_or(u32::MAX),
                at: at(row.at)?,
                kind: parse("alert change", &row.kind)?,
                severity: parse("severity", &row.severity)?,
                actor: row.actor,
                text: row.text,
            })
        })
        .collect()
}

/// Open alerts by severity: critical, warning, info.
pub async fn open_counts(connection: &mut SqliteConnection) -> Result<[u32; 3], StoreError> {
    let rows = sqlx::query!(
        r#"SELECT severity, COUNT(*) AS "count!: i64" FROM alerts WHERE state <> 'resolved' GROUP BY severity"#
    )
    .fetch_all(connection)
    .await?;
    let mut counts = [0; 3];
    for row in rows {
        let place = match parse("severity", &row.severity)? {
            capsule_api::Severity::Critical => 0,
            capsule_api::Severity::Warning => 1,
            capsule_api::Severity::Info => 2,
        };
        counts[place] = u32::try_from(row.count).unwrap_or(u32::MAX);
    }
    Ok(counts)
}

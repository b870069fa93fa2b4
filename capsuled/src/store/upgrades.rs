//! Migrations that move data, each from rows in the schema before it.
//!
//! The rows are written in plain SQL: the code that wrote them then is gone, and today's does not know that
//! schema any more.

use sqlx::{AssertSqlSafe, migrate::Migrator};
use tempfile::TempDir;

use super::*;

static CAPSULE: Migrator = sqlx::migrate!("../migrations/capsule");

/// A database as it was before a migration, with rows in it.
struct Earlier {
    directory: TempDir,
    connection: SqliteConnection,
}

impl Earlier {
    /// At the schema before `migration`.
    async fn before(migration: i64) -> Self {
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("capsule.db");
        let mut connection = connect(&file, SqliteSynchronous::Full).await.expect("opens");
        let last = CAPSULE.iter().map(|one| one.version).filter(|version| *version < migration).max();
        CAPSULE.run_to(last.expect("an earlier one"), &mut connection).await.expect("the schema before");
        Self { directory, connection }
    }

    async fn run(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await.expect("rows of their time");
    }

    /// Opened by this version.
    async fn upgraded(self) -> (Store, CancellationToken, TempDir) {
        self.connection.close().await.expect("closed");
        let (clock, stop) = (Clock::system(), CancellationToken::new());
        let opened = Store::open(self.directory.path(), clock, stop.clone()).await;
        let (store, loops) = opened.expect("brought up to date");
        tokio::spawn(loops.capsule);
        tokio::spawn(loops.telemetry);
        (store, stop, self.directory)
    }
}

/// Columns of an xNode that no test here is about.
const XNODE: &str =
    "INSERT INTO xnodes (id, name, address, ssh_port, tags, thresholds, own_host, health, revision,
    updated_at, provider, region, account, template, status, hourly_cost_micros, created_at) VALUES
    (%, '192.0.2.1', 22, '[\"web\"]', '{}', 0, 'unknown', 1, 1000, ";

#[tokio::test]
async fn what_costs_something_before_costs_were_kept_costs_it_from_the_upgrade_on() {
    let mut earlier = Earlier::before(5).await;
    earlier
        .run(
            "INSERT INTO accounts (name, provider, fields, secret_fields, settings, owner, state, reason, revision,
                created_at, updated_at)
             VALUES ('work', 'aws', '{}', '[]', '{}', '', 'unknown', '', 1, 1000, 1000);
             INSERT INTO budgets (scope, name, hourly_limit_micros) VALUES ('global', '', 5000000), ('tag', 'web', 250000);",
        )
        .await;
    let mut xnode = async |id: &str, rest: &str| {
        let named = format!("'01939c00-0000-7000-8000-0000000000{id}', 'web-{id}'");
        earlier.run(&format!("{}{rest})", XNODE.replace('%', &named))).await;
    };
    xnode("01", "'aws', 'us-east-1', 'work', 'aws-t3', 'running', 10400, 1000").await;
    xnode("02", "'hetzner', 'nbg1', NULL, NULL, 'stopped', 6000, 2000").await;
    xnode("03", "'aws', NULL, NULL, NULL, 'stopped', 10400, 3000").await;
    xnode("04", "NULL, NULL, NULL, NULL, 'running', NULL, 4000").await;
    xnode("05", "'vultr', NULL, NULL, NULL, 'deploying', 7000, 5000").await;

    let began = now_ms();
    let (store, stop, _directory) = earlier.upgraded().await;
    let mut reader = store.reader().await.expect("a reader");
    let lifetimes: Vec<(String, Option<String>, String, i64, i64)> = sqlx::query_as(
        "SELECT name, account, tags, deployed_at, earlier_cost_micros FROM lifetimes ORDER BY xnode_id",
    )
    .fetch_all(&mut *reader)
    .await
    .expect("lifetimes");
    let web = |n: i64, account: Option<&str>| {
        (format!("web-0{n}"), account.map(str::to_owned), "[\"web\"]".to_owned(), n * 1000, 0)
    };
    assert_eq!(lifetimes, [web(1, Some("work")), web(2, None), web(3, None), web(4, None), web(5, None)]);

    let intervals: Vec<(String, i64, String, Option<i64>, String)> = sqlx::query_as(
        "SELECT name, hourly_micros, currency, ended_at, reason FROM price_intervals ORDER BY xnode_id",
    )
    .fetch_all(&mut *reader)
    .await
    .expect("intervals");
    let costs = |name: &str, micros, reason: &str| {
        (name.to_owned(), micros, "USD".to_owned(), None, reason.to_owned())
    };
    // AWS does not bill what is stopped, nothing is billed without a rate, and nobody knows yet what a server
    // that is only being made will be called.
    assert_eq!(intervals, [costs("web-01", 10_400, "running"), costs("web-02", 6_000, "stopped")]);
    let earliest: i64 = sqlx::query_scalar("SELECT MIN(began_at) FROM price_intervals")
        .fetch_one(&mut *reader)
        .await
        .expect("a moment");
    assert!(began - 1_000 <= earliest, "what it cost before is not known and not invented");

    let budgets = settings::budgets(&mut reader).await.expect("budgets");
    let limits: Vec<_> = budgets
        .iter()
        .map(|budget| (budget.name.as_str(), budget.hourly_limit_micros.map(|limit| limit.0), budget.block))
        .collect();
    assert_eq!(limits, [("", Some(5_000_000), false), ("web", Some(250_000), false)]);
    stop.cancel();
}

#[tokio::test]
async fn alerts_and_the_outbox_keep_every_row_and_their_order() {
    let mut earlier = Earlier::before(7).await;
    earlier
        .run(
            "INSERT INTO channels (key, id, name, enabled, target, route, revision)
             VALUES (3, '01939c00-0000-7000-8000-0000000000c1', 'log', 1, '{\"kind\":\"console\"}', '{}', 1);
             INSERT INTO alerts (id, subject_kind, subject_id, subject_name, kind, severity, state, summary, causes,
                since, opened_at, changed_at, last_change)
             VALUES ('01939c00-0000-7000-8000-0000000000a1', 'xnode', 'x', 'web', 'high_cpu', 'warning', 'open',
                'busy', '[]', 1, 2, 3, 2);
             INSERT INTO alert_changes (alert_id, seq, at, kind, severity, text)
             VALUES ('01939c00-0000-7000-8000-0000000000a1', 1, 2, 'opened', 'warning', 'busy'),
                ('01939c00-0000-7000-8000-0000000000a1', 2, 3, 'updated', 'warning', 'busier');
             INSERT INTO deliveries (seq, id, alert_id, change_seq, change, channel_key, message, summary, state,
                attempts, next_at, created_at, finished_at)
             VALUES (7, '01939c00-0000-7000-8000-0000000000d1', '01939c00-0000-7000-8000-0000000000a1', 1, 'opened',
                    3, '{}', 'web: busy', 'sent', 1, 2, 2, 2),
                (9, '01939c00-0000-7000-8000-0000000000d2', '01939c00-0000-7000-8000-0000000000a1', 2, 'updated',
                    3, '{}', 'web: busier', 'waiting', 4, 3, 3, NULL);",
        )
        .await;
    let (store, stop, _directory) = earlier.upgraded().await;
    let mut reader = store.reader().await.expect("a reader");
    let open = alerts::list_open(&mut reader).await.expect("alerts");
    assert_eq!((open.len(), open[0].summary.as_str()), (1, "busy"));
    let timeline = alerts::timeline(&mut reader, open[0].id).await.expect("a timeline");
    assert_eq!(timeline.iter().map(|change| change.text.as_str()).collect::<Vec<_>>(), ["busy", "busier"]);
    let rows = deliveries::list(&mut reader, &deliveries::Filter::default(), 10).await.expect("deliveries");
    let kept: Vec<_> = rows.iter().map(|(seq, row)| (*seq, row.attempts, row.alert_id)).collect();
    assert_eq!(kept, [(9, 4, Some(open[0].id)), (7, 1, Some(open[0].id))]);
    let waiting = deliveries::heads(&mut reader, channels::ChannelKey(3), 10).await.expect("heads");
    assert_eq!(waiting.iter().map(|due| due.about).collect::<Vec<_>>(), [open[0].id.0]);
    drop(reader);

    // The new tables still go with what they refer to.
    let id = open[0].id.to_string();
    let left = store.write::<i64, StoreError>(Lane::Normal, move |tx| {
        Box::pin(async move {
            sqlx::query("DELETE FROM alerts WHERE id = ?1").bind(id).execute(tx.connection()).await?;
            let count = "SELECT (SELECT COUNT(*) FROM deliveries) + (SELECT COUNT(*) FROM alert_changes)";
            Ok(sqlx::query_scalar(count).fetch_one(tx.connection()).await?)
        })
    });
    assert_eq!(left.await.expect("deleted"), 0);
    stop.cancel();
}

fn now_ms() -> i64 {
    ms(Clock::system().now())
}

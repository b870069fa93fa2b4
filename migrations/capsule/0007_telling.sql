-- Alerts about a provider account, and messages that tell the end of an operation instead of a change of an alert.
-- A CHECK cannot be changed in place, and a table that is dropped takes the rows that refer to it along. So the
-- three tables are copied together; the references follow the new names.

CREATE TABLE new_alerts (
    id              TEXT    PRIMARY KEY,
    subject_kind    TEXT    NOT NULL CHECK (subject_kind IN ('xnode', 'tag', 'provider', 'account', 'daemon')),
    subject_id      TEXT    NOT NULL,
    subject_name    TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    severity        TEXT    NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    state           TEXT    NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved')),
    summary         TEXT    NOT NULL,
    causes          TEXT    NOT NULL CHECK (json_valid(causes)),
    since           INTEGER NOT NULL,
    opened_at       INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    acknowledged_at INTEGER,
    acknowledged_by TEXT,
    resolved_at     INTEGER,
    resolved_by     TEXT,
    last_change     INTEGER NOT NULL,
    CHECK ((state = 'resolved') = (resolved_at IS NOT NULL))
) STRICT;
INSERT INTO new_alerts (id, subject_kind, subject_id, subject_name, kind, severity, state, summary, causes, since,
    opened_at, changed_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by, last_change)
SELECT id, subject_kind, subject_id, subject_name, kind, severity, state, summary, causes, since,
    opened_at, changed_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by, last_change
FROM alerts;

CREATE TABLE new_alert_changes (
    alert_id TEXT    NOT NULL REFERENCES new_alerts (id) ON DELETE CASCADE,
    seq      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL CHECK (kind IN ('opened', 'escalated', 'eased', 'updated', 'acknowledged', 'commented', 'resolved')),
    severity TEXT    NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    actor    TEXT,
    text     TEXT    NOT NULL,
    PRIMARY KEY (alert_id, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO new_alert_changes (alert_id, seq, at, kind, severity, actor, text)
SELECT alert_id, seq, at, kind, severity, actor, text FROM alert_changes;

-- The outbox. A delivery tells one change of an alert, or the end of an operation. `seq` gives the order; a
-- delivery waits until the ones before it, about the same and for the same channel, are sent or given up.
CREATE TABLE new_deliveries (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL UNIQUE,
    alert_id     TEXT    REFERENCES new_alerts (id) ON DELETE CASCADE,
    change_seq   INTEGER,
    change       TEXT,
    operation_id TEXT    REFERENCES operations (id) ON DELETE CASCADE,
    channel_key  INTEGER NOT NULL REFERENCES channels (key) ON DELETE CASCADE,
    message      TEXT    NOT NULL CHECK (json_valid(message)),
    summary      TEXT    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_at      INTEGER NOT NULL,
    reason       TEXT,
    created_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    UNIQUE (alert_id, change_seq, channel_key),
    UNIQUE (operation_id, channel_key),
    CHECK ((alert_id IS NULL) <> (operation_id IS NULL)),
    CHECK ((alert_id IS NULL) = (change_seq IS NULL) AND (alert_id IS NULL) = (change IS NULL)),
    CHECK ((state = 'waiting') = (finished_at IS NULL))
) STRICT;
INSERT INTO new_deliveries (seq, id, alert_id, change_seq, change, channel_key, message, summary, state, attempts,
    next_at, reason, created_at, finished_at)
SELECT seq, id, alert_id, change_seq, change, channel_key, message, summary, state, attempts,
    next_at, reason, created_at, finished_at
FROM deliveries;

DROP TABLE deliveries;
DROP TABLE alert_changes;
DROP TABLE alerts;
ALTER TABLE new_alerts RENAME TO alerts;
ALTER TABLE new_alert_changes RENAME TO alert_changes;
ALTER TABLE new_deliveries RENAME TO deliveries;

-- One open alert per (subject, kind), whatever the code above believes.
CREATE UNIQUE INDEX alerts_open ON alerts (subject_kind, subject_id, kind) WHERE state <> 'resolved';
CREATE INDEX alerts_changed ON alerts (changed_at);
CREATE INDEX deliveries_waiting ON deliveries (channel_key, ifnull(alert_id, operation_id), seq) WHERE state = 'waiting';
CREATE INDEX deliveries_finished ON deliveries (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX deliveries_of_operation ON deliveries (operation_id) WHERE operation_id IS NOT NULL;

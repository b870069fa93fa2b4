-- What is done by itself when an alert stays open, and each time it was done or held back.

CREATE TABLE remediations (
    id         TEXT    PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    mode       TEXT    NOT NULL CHECK (mode IN ('dry_run', 'act')),
    -- "trigger" is a word of SQL.
    alerts     TEXT    NOT NULL CHECK (json_valid(alerts)),
    action     TEXT    NOT NULL CHECK (json_valid(action)),
    limits     TEXT    NOT NULL CHECK (json_valid(limits)),
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- A run outlives its remediation: what was done stays known. It goes with its alert.
CREATE TABLE remediation_runs (
    id             TEXT    PRIMARY KEY,
    remediation_id TEXT    NOT NULL,
    remediation    TEXT    NOT NULL COLLATE NOCASE,
    action         TEXT    NOT NULL CHECK (action IN ('command', 'power_cycle', 'propose_deployment')),
    alert_id       TEXT    NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    alert_kind     TEXT    NOT NULL,
    xnode_id       TEXT    NOT NULL,
    xnode          TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('planned', 'running', 'succeeded', 'failed', 'unknown',
                       'skipped', 'dry_run', 'proposed')),
    held           TEXT,
    reason         TEXT    NOT NULL,
    began_at       INTEGER NOT NULL,
    ended_at       INTEGER,
    operation_id   TEXT,
    exit_status    INTEGER,
    output         TEXT,
    CHECK ((state IN ('planned', 'running')) = (ended_at IS NULL)),
    CHECK (state <> 'skipped' OR held IS NOT NULL)
) STRICT;

-- One action at a time on an xNode.
CREATE UNIQUE INDEX remediation_runs_open ON remediation_runs (xnode_id) WHERE state IN ('planned', 'running');
CREATE INDEX remediation_runs_alert ON remediation_runs (alert_id);
CREATE INDEX remediation_runs_recent ON remediation_runs (remediation_id, began_at);

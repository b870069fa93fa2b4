-- The first schema: inventory, check states, alerts with their timeline, the outbox, events, audit, settings.
-- Everything here is written with synchronous=FULL: an answer to a change means it is on disk.
-- Times are UTC milliseconds, money is micro-dollars, lists and settings objects are JSON checked by json_valid.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE xnodes (
    key                 INTEGER PRIMARY KEY AUTOINCREMENT,
    id                  TEXT    NOT NULL UNIQUE,
    name                TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    address             TEXT    NOT NULL,
    ipv4                TEXT,
    ipv6                TEXT,
    ssh_port            INTEGER NOT NULL CHECK (ssh_port BETWEEN 1 AND 65535),
    ssh_user            TEXT,
    ssh_jump            TEXT,
    ssh_key_source      TEXT    CHECK (ssh_key_source IN ('stored', 'path', 'agent')),
    ssh_key_path        TEXT,
    ssh_key_sealed      BLOB,
    host_key            TEXT,
    foreign_host_key    TEXT,
    foreign_host_key_at INTEGER,
    provider            TEXT,
    region              TEXT,
    status              TEXT    NOT NULL CHECK (status IN ('running', 'stopped', 'deploying', 'error')),
    tags                TEXT    NOT NULL CHECK (json_valid(tags)),
    hourly_cost_micros  INTEGER CHECK (hourly_cost_micros >= 0),
    thresholds          TEXT    NOT NULL CHECK (json_valid(thresholds)),
    metrics_interval_ms INTEGER CHECK (metrics_interval_ms >= 0),
    own_host            INTEGER NOT NULL CHECK (own_host IN (0, 1)),
    health              TEXT    NOT NULL CHECK (health IN ('healthy', 'degraded', 'unhealthy', 'unknown')),
    health_since        INTEGER,
    revision            INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    CHECK ((ssh_key_source = 'stored') = (ssh_key_sealed IS NOT NULL))
) STRICT;

-- There is one own host, or none after its owner removed it.
CREATE UNIQUE INDEX xnodes_own_host ON xnodes (own_host) WHERE own_host = 1;

CREATE TABLE checks (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT    NOT NULL UNIQUE,
    xnode_key     INTEGER NOT NULL REFERENCES xnodes (key) ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    probe         TEXT    NOT NULL CHECK (json_valid(probe)),
    interval_ms   INTEGER CHECK (interval_ms > 0),
    timeout_ms    INTEGER CHECK (timeout_ms > 0),
    down_after    INTEGER CHECK (down_after > 0),
    up_after      INTEGER CHECK (up_after > 0),
    enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    -- The state machine, written when it moves, so that counters survive a restart.
    status        TEXT    NOT NULL DEFAULT 'unknown' CHECK (status IN ('unknown', 'up', 'down')),
    since         INTEGER,
    failures      INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    passes        INTEGER NOT NULL DEFAULT 0 CHECK (passes >= 0),
    failing_since INTEGER,
    last_at       INTEGER,
    reason        TEXT    NOT NULL DEFAULT '',
    UNIQUE (xnode_key, name)
) STRICT;

-- The timers behind "for at least".
CREATE TABLE conditions (
    xnode_key      INTEGER NOT NULL REFERENCES xnodes (key) ON DELETE CASCADE,
    kind           TEXT    NOT NULL,
    cause          TEXT    NOT NULL,
    warning_since  INTEGER,
    critical_since INTEGER,
    told           TEXT    CHECK (told IN ('info', 'warning', 'critical')),
    PRIMARY KEY (xnode_key, kind, cause)
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    id              TEXT    PRIMARY KEY,
    subject_kind    TEXT    NOT NULL CHECK (subject_kind IN ('xnode', 'tag', 'provider', 'daemon')),
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

-- One open alert per (subject, kind), whatever the code above believes.
CREATE UNIQUE INDEX alerts_open ON alerts (subject_kind, subject_id, kind) WHERE state <> 'resolved';
CREATE INDEX alerts_changed ON alerts (changed_at);

CREATE TABLE alert_changes (
    alert_id TEXT    NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    seq      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL CHECK (kind IN ('opened', 'escalated', 'eased', 'updated', 'acknowledged', 'commented', 'resolved')),
    severity TEXT    NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    actor    TEXT,
    text     TEXT    NOT NULL,
    PRIMARY KEY (alert_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE channels (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT    NOT NULL UNIQUE,
    name     TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    enabled  INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    target   TEXT    NOT NULL CHECK (json_valid(target)),
    route    TEXT    NOT NULL CHECK (json_valid(route)),
    sealed   BLOB,
    revision INTEGER NOT NULL
) STRICT;

-- The outbox. `seq` gives the order within an alert; a delivery waits until the ones before it, for the
-- same alert and channel, are sent or given up.
CREATE TABLE deliveries (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    alert_id    TEXT    NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    change_seq  INTEGER NOT NULL,
    change      TEXT    NOT NULL,
    channel_key INTEGER NOT NULL REFERENCES channels (key) ON DELETE CASCADE,
    message     TEXT    NOT NULL CHECK (json_valid(message)),
    summary     TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    next_at     INTEGER NOT NULL,
    reason      TEXT,
    created_at  INTEGER NOT NULL,
    finished_at INTEGER,
    UNIQUE (alert_id, change_seq, channel_key),
    CHECK ((state = 'waiting') = (finished_at IS NULL))
) STRICT;

CREATE INDEX deliveries_waiting ON deliveries (channel_key, alert_id, seq) WHERE state = 'waiting';
CREATE INDEX deliveries_finished ON deliveries (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    data    TEXT    NOT NULL CHECK (json_valid(data))
) STRICT;

CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    request_id TEXT
) STRICT;

-- The reply's body is written with the change, status and location right after it: a repeat after a crash
-- between the two still gets the body.
CREATE TABLE idempotency (
    uid         INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,
    body        TEXT,
    status      INTEGER,
    location    TEXT,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (uid, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE operations (
    id               TEXT    PRIMARY KEY,
    kind             TEXT    NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'cancelled')),
    resource         TEXT    NOT NULL,
    stage            TEXT    NOT NULL,
    progress_percent INTEGER NOT NULL CHECK (progress_percent BETWEEN 0 AND 100),
    result           TEXT    CHECK (json_valid(result)),
    error            TEXT    CHECK (json_valid(error)),
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    created_by       TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
) STRICT;

CREATE INDEX operations_unfinished ON operations (id) WHERE state IN ('pending', 'running');

-- One row; absent fields take today's defaults, so a later release can add settings without touching it.
CREATE TABLE settings (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    data     TEXT    NOT NULL CHECK (json_valid(data)),
    revision INTEGER NOT NULL
) STRICT;

CREATE TABLE tag_thresholds (
    tag        TEXT PRIMARY KEY,
    thresholds TEXT NOT NULL CHECK (json_valid(thresholds))
) STRICT, WITHOUT ROWID;

CREATE TABLE budgets (
    scope               TEXT    NOT NULL CHECK (scope IN ('global', 'tag', 'provider')),
    name                TEXT    NOT NULL,
    hourly_limit_micros INTEGER NOT NULL CHECK (hourly_limit_micros > 0),
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

-- Probe results and resource samples, written with synchronous=NORMAL: a power cut may cost the last
-- moments of history, never an alert. Rows are appended in time order and carry small integer keys: a
-- (check, time) primary key would cost many times the processor time and log per row.

CREATE TABLE probe_head (
    check_key  INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    -- 0 up, 1 down, 2 blind
    outcome    INTEGER NOT NULL,
    latency_us INTEGER,
    -- Present when it differs from the previous result of the check: most results say nothing new.
    detail     TEXT
) STRICT;

-- One row per check and hour once the hour is over; `packed` is the encoding of store/packed.rs.
CREATE TABLE probe_hours (
    check_key INTEGER NOT NULL,
    hour      INTEGER NOT NULL,
    packed    BLOB    NOT NULL,
    PRIMARY KEY (check_key, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE probe_rollups (
    check_key      INTEGER NOT NULL,
    step_ms        INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    probes         INTEGER NOT NULL,
    passed         INTEGER NOT NULL,
    latency_min_us INTEGER,
    latency_avg_us INTEGER,
    latency_max_us INTEGER,
    PRIMARY KEY (check_key, step_ms, at)
) STRICT, WITHOUT ROWID;

-- The series people look back at; the newest whole reading stands in sample_latest.
CREATE TABLE sample_head (
    xnode_key        INTEGER NOT NULL,
    at               INTEGER NOT NULL,
    cpu              REAL,
    memory           REAL,
    swap             REAL,
    disk             REAL,
    load             REAL,
    network_received REAL,
    network_sent     REAL,
    disk_read        REAL,
    disk_written     REAL
) STRICT;

CREATE INDEX sample_head_xnode ON sample_head (xnode_key, at);

CREATE TABLE sample_latest (
    xnode_key INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    data      TEXT    NOT NULL CHECK (json_valid(data))
) STRICT;

CREATE TABLE sample_rollups (
    xnode_key INTEGER NOT NULL,
    step_ms   INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    series    TEXT    NOT NULL,
    count     INTEGER NOT NULL,
    min       REAL    NOT NULL,
    avg       REAL    NOT NULL,
    max       REAL    NOT NULL,
    PRIMARY KEY (xnode_key, step_ms, at, series)
) STRICT, WITHOUT ROWID;

-- How far roll-ups have got, by step; restarts go on from here.
CREATE TABLE rollup_progress (
    what TEXT    PRIMARY KEY,
    upto INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

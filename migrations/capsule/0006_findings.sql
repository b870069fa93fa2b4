-- Findings: what comparing a provider's account with the inventory found, told once, kept while it lasts and
-- ended when it is gone; and how each account's last comparison went.

CREATE TABLE findings (
    id             TEXT    PRIMARY KEY,
    account        TEXT    NOT NULL COLLATE NOCASE REFERENCES accounts (name) ON UPDATE CASCADE ON DELETE CASCADE,
    kind           TEXT    NOT NULL CHECK (kind IN ('orphan', 'ghost', 'drift')),
    instance_id    TEXT    NOT NULL,
    instance_place TEXT    NOT NULL,
    -- Findings outlive their xNode: no foreign key.
    xnode_id       TEXT,
    -- What is told of it.
    detail         TEXT    NOT NULL CHECK (json_valid(detail)),
    state          TEXT    NOT NULL CHECK (state IN ('open', 'ignored', 'ended')),
    first_seen     INTEGER NOT NULL,
    last_seen      INTEGER NOT NULL,
    ended_at       INTEGER,
    ended_because  TEXT    NOT NULL,
    CHECK ((kind = 'orphan') = (xnode_id IS NULL)),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL))
) STRICT;

-- One difference is one finding for as long as it lasts.
CREATE UNIQUE INDEX findings_lasting ON findings (account, kind, instance_place, instance_id)
    WHERE state <> 'ended';
CREATE INDEX findings_ended ON findings (ended_at) WHERE state = 'ended';
CREATE INDEX findings_xnode ON findings (xnode_id) WHERE state <> 'ended';

CREATE TABLE sweeps (
    account      TEXT    PRIMARY KEY COLLATE NOCASE REFERENCES accounts (name) ON UPDATE CASCADE ON DELETE CASCADE,
    -- When the provider was asked. An answer to an earlier question never replaces that to a later one.
    attempted_at INTEGER NOT NULL,
    completed_at INTEGER,
    error        TEXT    NOT NULL,
    instances    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the provider was last known to say of an xNode, where that was no drift. A tag or a price that was changed
-- here and not there is no drift.
ALTER TABLE xnodes ADD COLUMN provider_facts TEXT CHECK (json_valid(provider_facts));

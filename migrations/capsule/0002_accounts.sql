-- Provider accounts, and where an xNode is known at a provider.

CREATE TABLE accounts (
    name       TEXT    PRIMARY KEY COLLATE NOCASE,
    provider   TEXT    NOT NULL,
    -- The fields that are not secret, with their values.
    fields     TEXT    NOT NULL CHECK (json_valid(fields)),
    -- The names of the secret ones; what they hold is one sealed JSON object. Without any: null.
    secret_fields TEXT NOT NULL CHECK (json_valid(secret_fields)),
    sealed     BLOB,
    -- Timeout, retries, backoff, endpoint, where they differ from the defaults.
    settings   TEXT    NOT NULL CHECK (json_valid(settings)),
    -- Whose it is, as the provider says.
    owner      TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('proved', 'refused', 'unknown')),
    state_at   INTEGER,
    reason     TEXT    NOT NULL,
    proved_at  INTEGER,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An account with servers cannot be removed: what is billed to it would be lost from sight.
ALTER TABLE xnodes ADD COLUMN account TEXT REFERENCES accounts (name) ON UPDATE CASCADE;
ALTER TABLE xnodes ADD COLUMN instance_id TEXT;
-- The zone or region the id belongs to; empty where ids are global.
ALTER TABLE xnodes ADD COLUMN instance_place TEXT;
ALTER TABLE xnodes ADD COLUMN plan TEXT;
ALTER TABLE xnodes ADD COLUMN template TEXT;
ALTER TABLE xnodes ADD COLUMN expires_at INTEGER;
ALTER TABLE xnodes ADD COLUMN expiry_action TEXT CHECK (expiry_action IN ('stop', 'delete'));

-- One server is one xNode.
CREATE UNIQUE INDEX xnodes_placed ON xnodes (account, instance_place, instance_id) WHERE account IS NOT NULL;
CREATE INDEX xnodes_expiring ON xnodes (expires_at) WHERE expires_at IS NOT NULL;

-- Intents: the durable wish to make or delete a server at a provider. The row says what is about to be done
-- before the provider is asked, so whatever kills us next, the server is looked for and found again.

CREATE TABLE intents (
    id             TEXT    PRIMARY KEY,
    kind           TEXT    NOT NULL CHECK (kind IN ('create', 'delete')),
    -- Operations are forgotten after a while, intents are the history: no foreign key.
    operation_id   TEXT    NOT NULL,
    name           TEXT    NOT NULL COLLATE NOCASE,
    -- What was asked for, without what is secret.
    request        TEXT    NOT NULL CHECK (json_valid(request)),
    -- cloud-init or script: users put passwords into it.
    user_data      BLOB,
    -- Every offer that fits, the best first, and the one in hand.
    offers         TEXT    NOT NULL CHECK (json_valid(offers)),
    offer          INTEGER NOT NULL CHECK (offer >= 0),
    state          TEXT    NOT NULL CHECK (state IN ('planned', 'preparing', 'sending', 'unknown', 'made',
                       'starting', 'reaching', 'succeeded', 'failed', 'cancelled')),
    state_at       INTEGER NOT NULL,
    account        TEXT    NOT NULL COLLATE NOCASE,
    region         TEXT    NOT NULL,
    -- What the provider's preparation found, or what a deletion will leave behind.
    prepared       TEXT    CHECK (json_valid(prepared)),
    instance_id    TEXT,
    instance_place TEXT,
    -- How often the creation was sent; more than once only after a whole empty look-up.
    sends          INTEGER NOT NULL CHECK (sends >= 0),
    sent_at        INTEGER,
    -- An empty look-up before this moment proves nothing.
    looked_until   INTEGER,
    xnode_id       TEXT,
    reason         TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    CHECK ((instance_id IS NULL) = (instance_place IS NULL)),
    CHECK (kind = 'delete' OR state NOT IN ('made', 'starting', 'reaching', 'succeeded') OR instance_id IS NOT NULL)
) STRICT;

CREATE INDEX intents_of_operation ON intents (operation_id);
CREATE INDEX intents_of_xnode ON intents (xnode_id) WHERE xnode_id IS NOT NULL;
-- One name at a time, and one deletion of an xNode at a time.
CREATE UNIQUE INDEX intents_making ON intents (name)
    WHERE kind = 'create' AND state NOT IN ('succeeded', 'failed', 'cancelled');
CREATE UNIQUE INDEX intents_deleting ON intents (xnode_id)
    WHERE kind = 'delete' AND state NOT IN ('succeeded', 'failed', 'cancelled');

CREATE TABLE attempts (
    intent_id TEXT    NOT NULL REFERENCES intents (id) ON DELETE CASCADE,
    seq       INTEGER NOT NULL,
    offer     INTEGER NOT NULL,
    outcome   TEXT    NOT NULL,
    detail    TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (intent_id, seq)
) STRICT, WITHOUT ROWID;

-- What an account is being asked for is lost from sight without its credential.
CREATE TRIGGER accounts_with_open_intents BEFORE DELETE ON accounts
WHEN EXISTS (SELECT 1 FROM intents
             WHERE account = OLD.name AND state NOT IN ('succeeded', 'failed', 'cancelled'))
BEGIN
    SELECT RAISE(ABORT, 'a deployment or deletion at this account has not ended');
END;

-- The daemon's own key pair: every server we make lets it in. One row, made once.
CREATE TABLE deployment_key (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    public     TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- What was asked for beside kind and resource, such as `force`.
ALTER TABLE operations ADD COLUMN request TEXT CHECK (json_valid(request));

-- What every xNode has cost, kept after it is gone; own discounts; monthly limits of budgets.
-- A cost is the sum over price intervals of rate times time. An interval is begun and ended in the
-- transaction that changes the rate, so no moment is counted twice and none is lost.

CREATE TABLE lifetimes (
    xnode_id            TEXT    PRIMARY KEY,
    name                TEXT    NOT NULL,
    provider            TEXT,
    region              TEXT,
    template            TEXT,
    account             TEXT,
    tags                TEXT    NOT NULL CHECK (json_valid(tags)),
    deployed_at         INTEGER NOT NULL,
    terminated_at       INTEGER,
    -- Spent before our first interval, as a record of another tool says.
    earlier_cost_micros INTEGER NOT NULL DEFAULT 0 CHECK (earlier_cost_micros >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX lifetimes_deployed ON lifetimes (deployed_at, xnode_id);

CREATE TABLE price_intervals (
    key             INTEGER PRIMARY KEY,
    xnode_id        TEXT    NOT NULL REFERENCES lifetimes (xnode_id) ON DELETE CASCADE,
    name            TEXT    NOT NULL,
    provider        TEXT,
    region          TEXT,
    template        TEXT,
    account         TEXT,
    tags            TEXT    NOT NULL CHECK (json_valid(tags)),
    began_at        INTEGER NOT NULL,
    ended_at        INTEGER,
    hourly_micros   INTEGER NOT NULL CHECK (hourly_micros > 0),
    -- The price as the provider bills it, in millionths of its currency.
    currency        TEXT    NOT NULL,
    original_micros INTEGER NOT NULL CHECK (original_micros >= 0),
    reason          TEXT    NOT NULL CHECK (reason IN ('running', 'stopped')),
    CHECK (began_at < ended_at)
) STRICT;

-- An xNode has one present rate, or none.
CREATE UNIQUE INDEX price_intervals_open ON price_intervals (xnode_id) WHERE ended_at IS NULL;
CREATE INDEX price_intervals_ended ON price_intervals (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX price_intervals_xnode ON price_intervals (xnode_id);

CREATE TABLE discounts (
    scope        TEXT    NOT NULL CHECK (scope IN ('provider', 'account', 'tag')),
    name         TEXT    NOT NULL,
    basis_points INTEGER NOT NULL CHECK (basis_points BETWEEN 1 AND 10000),
    valid_from   INTEGER,
    valid_until  INTEGER,
    PRIMARY KEY (scope, name),
    CHECK (valid_from < valid_until)
) STRICT, WITHOUT ROWID;

-- A budget limits the hour, the month, or both.
CREATE TABLE limits (
    scope                TEXT    NOT NULL CHECK (scope IN ('global', 'tag', 'provider')),
    name                 TEXT    NOT NULL,
    hourly_limit_micros  INTEGER CHECK (hourly_limit_micros > 0),
    monthly_limit_micros INTEGER CHECK (monthly_limit_micros > 0),
    block                INTEGER NOT NULL DEFAULT 0 CHECK (block IN (0, 1)),
    PRIMARY KEY (scope, name),
    CHECK (hourly_limit_micros IS NOT NULL OR monthly_limit_micros IS NOT NULL)
) STRICT, WITHOUT ROWID;
INSERT INTO limits (scope, name, hourly_limit_micros) SELECT scope, name, hourly_limit_micros FROM budgets;
DROP TABLE budgets;
ALTER TABLE limits RENAME TO budgets;

-- The highest share of a monthly limit that was told in a month, so that it is told once.
CREATE TABLE budget_marks (
    scope   TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    month   TEXT    NOT NULL,
    percent INTEGER NOT NULL CHECK (percent IN (50, 80, 100)),
    PRIMARY KEY (scope, name, month),
    FOREIGN KEY (scope, name) REFERENCES budgets (scope, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What an xNode cost before today is not known: its rate counts from now on.
INSERT INTO lifetimes (xnode_id, name, provider, region, template, account, tags, deployed_at)
SELECT id, name, provider, region, template, account, tags, created_at FROM xnodes;

INSERT INTO price_intervals (xnode_id, name, provider, region, template, account, tags, began_at,
    hourly_micros, currency, original_micros, reason)
SELECT id, name, provider, region, template, account, tags, CAST(unixepoch('subsec') * 1000 AS INTEGER),
    hourly_cost_micros, 'USD', hourly_cost_micros, iif(status = 'stopped', 'stopped', 'running')
FROM xnodes
WHERE hourly_cost_micros > 0
    AND (status IN ('running', 'error')
         OR (status = 'deploying' AND account IS NOT NULL)
         OR (status = 'stopped' AND ifnull(provider, '') NOT IN ('aws', 'scaleway')));

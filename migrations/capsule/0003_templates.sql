-- What providers sell, as each account's provider said last, and the rate by which prices are compared.

CREATE TABLE catalogues (
    account      TEXT    PRIMARY KEY COLLATE NOCASE REFERENCES accounts (name) ON UPDATE CASCADE ON DELETE CASCADE,
    -- Every size in every region, and the regions. Always read and replaced as a whole, so it is one value;
    -- absent until the first success. A failure leaves it as it is.
    data         TEXT    CHECK (json_valid(data)),
    observed_at  INTEGER,
    attempted_at INTEGER NOT NULL,
    -- Why the last attempt failed; empty: it did not.
    error        TEXT    NOT NULL,
    CHECK ((data IS NULL) = (observed_at IS NULL))
) STRICT;

-- At most one row; without it the default that ships.
CREATE TABLE exchange_rate (
    id                 INTEGER PRIMARY KEY CHECK (id = 1),
    usd_per_eur_micros INTEGER NOT NULL CHECK (usd_per_eur_micros BETWEEN 100000 AND 10000000),
    date               TEXT    NOT NULL
) STRICT;

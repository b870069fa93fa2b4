-- Profiles and stacks are a user's own, also on a shared daemon: the owner is the user id the kernel names, because a
-- name may be missing when the directory does not answer. Built-in profiles and stacks are in the program and not here.

CREATE TABLE profiles (
    owner      INTEGER NOT NULL,
    name       TEXT    NOT NULL COLLATE NOCASE,
    revision   INTEGER NOT NULL,
    document   TEXT    NOT NULL CHECK (json_valid(document)),
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT;

-- What a profile was at each revision, the present one included. It goes with its profile.
CREATE TABLE profile_versions (
    owner    INTEGER NOT NULL,
    name     TEXT    NOT NULL COLLATE NOCASE,
    revision INTEGER NOT NULL,
    document TEXT    NOT NULL CHECK (json_valid(document)),
    change   TEXT    NOT NULL,
    actor    TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (owner, name, revision),
    FOREIGN KEY (owner, name) REFERENCES profiles (owner, name) ON DELETE CASCADE
) STRICT;

-- The name may be that of a built-in profile, so it refers to no row.
CREATE TABLE active_profiles (
    owner INTEGER PRIMARY KEY,
    name  TEXT    NOT NULL
) STRICT;

CREATE TABLE own_stacks (
    owner    INTEGER NOT NULL,
    id       TEXT    NOT NULL,
    document TEXT    NOT NULL CHECK (json_valid(document)),
    added_at INTEGER NOT NULL,
    PRIMARY KEY (owner, id)
) STRICT;

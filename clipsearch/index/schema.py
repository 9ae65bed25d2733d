"""The tables of catalog.db: numbered, frozen migrations and nothing else.

Each migration runs in one transaction together with its own record (sqlite-utils) and sets
`user_version`, by which a reader sees at once whether it understands the library.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils.db import Database

VERSION = 3  # what PRAGMA user_version is after the last migration below

_M001 = """
CREATE TABLE root (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    path       BLOB NOT NULL UNIQUE,             -- absolute; a folder, or one file named by itself
    base       BLOB NOT NULL,                    -- the folder its files are relative to, no slash at the end
    is_file    INTEGER NOT NULL DEFAULT 0 CHECK (is_file IN (0, 1)),
    exclude    TEXT NOT NULL DEFAULT '[]',       -- JSON array of patterns in .gitignore syntax
    device     TEXT,                             -- st_dev when last listed; another one means another disk
    online     INTEGER NOT NULL DEFAULT 1 CHECK (online IN (0, 1)),
    checked_at TEXT NOT NULL                     -- UTC
) STRICT;

CREATE TABLE photo (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,  -- the USearch key, never reused (I6)
    digest       BLOB NOT NULL UNIQUE,               -- SHA-256 of the file's bytes: what makes it one content
    files        INTEGER NOT NULL DEFAULT 0,         -- kept by the triggers below; 0 hides the photo
    width        INTEGER NOT NULL,                   -- px, after orientation
    height       INTEGER NOT NULL,
    format       TEXT NOT NULL,
    taken_at     TEXT,                               -- local time as the camera wrote it
    taken_offset TEXT,
    latitude     REAL,
    longitude    REAL,
    camera       TEXT,
    lens         TEXT
) STRICT;
CREATE INDEX photo_hidden ON photo (id) WHERE files = 0;

CREATE TABLE file (
    id       INTEGER PRIMARY KEY,
    root_id  INTEGER NOT NULL REFERENCES root (id) ON DELETE CASCADE,
    folder   BLOB NOT NULL,                      -- relative to the root, empty for the root itself
    name     BLOB NOT NULL,
    size     INTEGER NOT NULL,                   -- bytes
    mtime_ns INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    photo_id INTEGER REFERENCES photo (id),
    reason   TEXT,                               -- why it is not in the results
    attempts INTEGER NOT NULL DEFAULT 0,
    decoder  TEXT,                               -- the decoder that failed; another one tries again
    UNIQUE (root_id, folder, name),
    CHECK ((photo_id IS NULL) <> (reason IS NULL))   -- (I1)
) STRICT;
CREATE INDEX file_photo ON file (photo_id) WHERE photo_id IS NOT NULL;
CREATE INDEX file_failed ON file (id) WHERE reason IS NOT NULL;

CREATE TRIGGER file_added AFTER INSERT ON file WHEN NEW.photo_id IS NOT NULL BEGIN
    UPDATE photo SET files = files + 1 WHERE id = NEW.photo_id;
END;
CREATE TRIGGER file_removed AFTER DELETE ON file WHEN OLD.photo_id IS NOT NULL BEGIN
    UPDATE photo SET files = files - 1 WHERE id = OLD.photo_id;
END;
CREATE TRIGGER file_relinked AFTER UPDATE OF photo_id ON file BEGIN
    UPDATE photo SET files = files - 1 WHERE id = OLD.photo_id;
    UPDATE photo SET files = files + 1 WHERE id = NEW.photo_id;
END;

CREATE TABLE space (
    id          INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,            -- of weights and preprocessing
    model       TEXT NOT NULL,                   -- the name, or the folder it was given by
    dim         INTEGER NOT NULL CHECK (dim > 0),
    active      INTEGER NOT NULL DEFAULT 0 CHECK (active IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX space_active ON space (active) WHERE active = 1;

CREATE TABLE embedding (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,  -- grows with every write; a generation covers up to one
    space_id INTEGER NOT NULL REFERENCES space (id),
    photo_id INTEGER NOT NULL REFERENCES photo (id),
    vector   BLOB NOT NULL,                      -- little-endian f16, unit length before rounding
    variant  TEXT NOT NULL,                      -- precision and runtime that made it
    UNIQUE (space_id, photo_id)
) STRICT;

CREATE TABLE checkpoint (
    generation INTEGER PRIMARY KEY AUTOINCREMENT,
    space_id   INTEGER NOT NULL REFERENCES space (id),
    file       TEXT NOT NULL,                    -- name inside vectors/
    rows       INTEGER NOT NULL,
    max_seq    INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    sha256     TEXT NOT NULL,
    parameters TEXT NOT NULL                     -- JSON: connectivity and expansion it was built with
) STRICT;

CREATE TABLE event (
    id      INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,                       -- UTC
    kind    TEXT NOT NULL,
    details TEXT NOT NULL                        -- JSON
) STRICT;

PRAGMA user_version = 1;
"""

_M002 = """
ALTER TABLE photo ADD COLUMN colors TEXT NOT NULL DEFAULT '';      -- main colours, by blanks, the largest first
ALTER TABLE photo ADD COLUMN phash INTEGER;                         -- 64 bits, signed; null where it is too plain
ALTER TABLE photo ADD COLUMN phash_fine BLOB;                       -- 192 further bits
ALTER TABLE photo ADD COLUMN described INTEGER NOT NULL DEFAULT 0;  -- the description that filled its columns

CREATE TABLE label (
    photo_id INTEGER NOT NULL REFERENCES photo (id),
    name     TEXT NOT NULL,
    score    REAL NOT NULL,                      -- probability when it was given, 0..1
    PRIMARY KEY (photo_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX label_name ON label (name);

CREATE TABLE saved_search (
    name     TEXT PRIMARY KEY,
    query    TEXT NOT NULL,
    saved_at TEXT NOT NULL                       -- UTC
) STRICT;

CREATE TABLE asked (                             -- queries of the interface, the newest ones are kept
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    query TEXT NOT NULL UNIQUE
) STRICT;

PRAGMA user_version = 2;
"""

_M003 = """
ALTER TABLE root ADD COLUMN offline_since TEXT;                     -- UTC; null while it can be listed
ALTER TABLE photo ADD COLUMN taken_ms INTEGER;                      -- of the second of taken_at, 0 to 999
ALTER TABLE photo ADD COLUMN rating INTEGER;                        -- stars, 1 to 5; -1 rejected; null where none was
ALTER TABLE photo ADD COLUMN caption TEXT NOT NULL DEFAULT '';      -- lines: title, description, then each keyword

CREATE TABLE mount (                             -- a folder of a root on another device than the one it lies in
    root_id       INTEGER NOT NULL REFERENCES root (id) ON DELETE CASCADE,
    folder        BLOB NOT NULL,
    device        TEXT NOT NULL,                 -- st_dev
    is_link       INTEGER NOT NULL CHECK (is_link IN (0, 1)),
    offline_since TEXT,                          -- UTC; null while it is there
    PRIMARY KEY (root_id, folder)
) STRICT, WITHOUT ROWID;

-- Counted by the triggers below: counting a million rows takes longer than searching them.
CREATE TABLE tally (
    name  TEXT PRIMARY KEY,                      -- photos: those in the results
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tally SELECT 'photos', count(*) FROM photo WHERE files > 0;
CREATE TRIGGER photo_shown AFTER UPDATE OF files ON photo WHEN (OLD.files > 0) <> (NEW.files > 0) BEGIN
    UPDATE tally SET count = count + (NEW.files > 0) - (OLD.files > 0) WHERE name = 'photos';
END;
CREATE TRIGGER photo_removed AFTER DELETE ON photo WHEN OLD.files > 0 BEGIN
    UPDATE tally SET count = count - 1 WHERE name = 'photos';
END;
ALTER TABLE space ADD COLUMN vectors INTEGER NOT NULL DEFAULT 0;    -- rows of embedding in it
UPDATE space SET vectors = (SELECT count(*) FROM embedding WHERE space_id = space.id);
CREATE TRIGGER embedding_added AFTER INSERT ON embedding BEGIN
    UPDATE space SET vectors = vectors + 1 WHERE id = NEW.space_id;
END;
CREATE TRIGGER embedding_removed AFTER DELETE ON embedding BEGIN
    UPDATE space SET vectors = vectors - 1 WHERE id = OLD.space_id;
END;

-- What filters ask of a million photos; with `files`, the index alone answers.
CREATE INDEX photo_taken ON photo (taken_at, files);
CREATE INDEX photo_camera ON photo (camera, files);
CREATE INDEX photo_lens ON photo (lens, files);

-- A generation is several files now. Those of before are made again by the next run.
DELETE FROM checkpoint;
ALTER TABLE checkpoint DROP COLUMN file;
ALTER TABLE checkpoint DROP COLUMN bytes;
ALTER TABLE checkpoint DROP COLUMN sha256;
CREATE TABLE generation_file (
    generation INTEGER NOT NULL REFERENCES checkpoint (generation) ON DELETE CASCADE,
    part       TEXT NOT NULL,                    -- what is in it: ids, vectors, sketch, ...
    name       TEXT NOT NULL UNIQUE,             -- inside vectors/
    bytes      INTEGER NOT NULL,
    sha256     TEXT NOT NULL,
    stamp      TEXT NOT NULL,                    -- of the file when the writer had its digest; another one: verify
    PRIMARY KEY (generation, part)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 3;
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Brings an older or empty catalog to VERSION. Called by the writer only, under its lock."""
    # Here, not above: a query never migrates, and the import would double its start.
    import sqlite_utils
    from sqlite_utils.migrations import Migrations

    migrations = Migrations("clipsearch")

    @migrations()
    def m001_first_light(db: Database) -> None:
        for statement in _statements(_M001):
            db.execute(statement)

    @migrations()
    def m002_looks_and_words(db: Database) -> None:
        for statement in _statements(_M002):
            db.execute(statement)

    @migrations()
    def m003_crawl(db: Database) -> None:
        for statement in _statements(_M003):
            db.execute(statement)

    migrations.apply(sqlite_utils.Database(connection))


def _statements(script: str) -> list[str]:
    """The statements of a script, triggers whole. `executescript` would commit the migration's transaction."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending) and pending.strip():
            statements.append(pending)
            pending = ""
    return statements

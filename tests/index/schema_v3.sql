CREATE TABLE root (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    path       BLOB NOT NULL UNIQUE,             -- absolute; a folder, or one file named by itself
    base       BLOB NOT NULL,                    -- the folder its files are relative to, no slash at the end
    is_file    INTEGER NOT NULL DEFAULT 0 CHECK (is_file IN (0, 1)),
    exclude    TEXT NOT NULL DEFAULT '[]',       -- JSON array of patterns in .gitignore syntax
    device     TEXT,                             -- st_dev when last listed; another one means another disk
    online     INTEGER NOT NULL DEFAULT 1 CHECK (online IN (0, 1)),
    checked_at TEXT NOT NULL                     -- UTC
, offline_since TEXT) STRICT;

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
, colors TEXT NOT NULL DEFAULT '', phash INTEGER, phash_fine BLOB, described INTEGER NOT NULL DEFAULT 0, taken_ms INTEGER, rating INTEGER, caption TEXT NOT NULL DEFAULT '') STRICT;

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
, vectors INTEGER NOT NULL DEFAULT 0) STRICT;

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
    rows       INTEGER NOT NULL,
    max_seq    INTEGER NOT NULL,
    parameters TEXT NOT NULL                     -- JSON: connectivity and expansion it was built with
) STRICT;

CREATE TABLE event (
    id      INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,                       -- UTC
    kind    TEXT NOT NULL,
    details TEXT NOT NULL                        -- JSON
) STRICT;

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

CREATE TABLE mount (                             -- a folder of a root on another device than the one it lies in
    root_id       INTEGER NOT NULL REFERENCES root (id) ON DELETE CASCADE,
    folder        BLOB NOT NULL,
    device        TEXT NOT NULL,                 -- st_dev
    is_link       INTEGER NOT NULL CHECK (is_link IN (0, 1)),
    offline_since TEXT,                          -- UTC; null while it is there
    PRIMARY KEY (root_id, folder)
) STRICT, WITHOUT ROWID;

CREATE TABLE tally (
    name  TEXT PRIMARY KEY,                      -- photos: those in the results
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER photo_shown AFTER UPDATE OF files ON photo WHEN (OLD.files > 0) <> (NEW.files > 0) BEGIN
    UPDATE tally SET count = count + (NEW.files > 0) - (OLD.files > 0) WHERE name = 'photos';
END;

CREATE TRIGGER photo_removed AFTER DELETE ON photo WHEN OLD.files > 0 BEGIN
    UPDATE tally SET count = count - 1 WHERE name = 'photos';
END;

CREATE TRIGGER embedding_added AFTER INSERT ON embedding BEGIN
    UPDATE space SET vectors = vectors + 1 WHERE id = NEW.space_id;
END;

CREATE TRIGGER embedding_removed AFTER DELETE ON embedding BEGIN
    UPDATE space SET vectors = vectors - 1 WHERE id = OLD.space_id;
END;

CREATE INDEX photo_taken ON photo (taken_at, files);

CREATE INDEX photo_camera ON photo (camera, files);

CREATE INDEX photo_lens ON photo (lens, files);

CREATE TABLE generation_file (
    generation INTEGER NOT NULL REFERENCES checkpoint (generation) ON DELETE CASCADE,
    part       TEXT NOT NULL,                    -- what is in it: ids, vectors, sketch, ...
    name       TEXT NOT NULL UNIQUE,             -- inside vectors/
    bytes      INTEGER NOT NULL,
    sha256     TEXT NOT NULL,
    stamp      TEXT NOT NULL,                    -- of the file when the writer had its digest; another one: verify
    PRIMARY KEY (generation, part)
) STRICT, WITHOUT ROWID;

"""What two libraries must hold alike, whichever way it came into them."""

from __future__ import annotations

import sqlite3

from clipsearch.opened import catalog_path
from tests.upkeep.kept import Kept

# What both sides must hold; ids and seqs are each library's own.
_CONTENT = {
    "photos": "SELECT {columns} FROM photo WHERE files > 0 ORDER BY digest",
    "files": """SELECT root.path, folder, name, size, mtime_ns, inode, digest, reason, attempts, decoder
                FROM file JOIN root ON root.id = root_id LEFT JOIN photo ON photo.id = photo_id
                ORDER BY root.path, folder, name""",
    "roots": "SELECT path, base, is_file, exclude FROM root ORDER BY path",
    "vectors": """SELECT digest, vector, variant, fingerprint, model, dim
                  FROM embedding JOIN photo ON photo.id = photo_id JOIN space ON space.id = space_id AND active = 1
                  WHERE files > 0 ORDER BY digest""",
    "labels": "SELECT digest, name, score FROM label JOIN photo ON photo.id = photo_id WHERE files > 0 ORDER BY 1, 2",
    "searches": "SELECT name, query FROM saved_search ORDER BY name",
}


def content(kept: Kept) -> dict[str, list[tuple[object, ...]]]:
    connection = sqlite3.connect(catalog_path(kept.paths))
    try:
        names = [row[1] for row in connection.execute("PRAGMA table_info(photo)") if row[1] != "id"]
        return {what: connection.execute(sql.format(columns=", ".join(names))).fetchall()
                for what, sql in _CONTENT.items()}  # fmt: skip
    finally:
        connection.close()

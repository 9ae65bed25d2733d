"""What a person adds to a library: saved searches, queries asked before, labels. Short transactions, one each.

They need no writer's lock: SQLite puts them between the commits of an index run, so a search can be saved
while photos are being indexed. Reading them is catalog.py's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from clipsearch.index.database import Database

HISTORY = 500  # queries that are kept


class Annotations(Database):
    """A second connection that writes. Use as a context manager."""

    def save_search(self, name: str, query: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._run(
            """
            INSERT INTO saved_search (name, query, saved_at) VALUES (?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET query = excluded.query, saved_at = excluded.saved_at
            """,
            (name, query, now),
        )

    def forget_search(self, name: str) -> bool:
        """Whether there was one of that name."""
        return self._run("DELETE FROM saved_search WHERE name = ?", (name,)).rowcount > 0

    def remember(self, query: str) -> None:
        """Puts a query on top of those asked before; the oldest leave."""
        with self.transaction():
            self._run("INSERT OR REPLACE INTO asked (query) VALUES (?)", (query,))
            self._run("DELETE FROM asked WHERE id NOT IN (SELECT id FROM asked ORDER BY id DESC LIMIT ?)", (HISTORY,))

    def put_labels(self, labels: Iterable[tuple[int, str | None, float]], *, instead_of: Sequence[str] = ()) -> None:
        """(photo, label, probability); a label given again gets the new probability.

        A photo that is named loses those of `instead_of`; with None it gets none.
        """
        others = set(instead_of)
        # Of one photo the last of labels that exclude each other; of two paths one content is labelled twice.
        last = {
            (photo_id, None if name in others else name): (photo_id, name, score) for photo_id, name, score in labels
        }
        photos = json.dumps(sorted({photo_id for photo_id, _, _ in last.values()}))
        with self.transaction():
            self._run(
                """
                DELETE FROM label WHERE photo_id IN (SELECT value FROM json_each(?))
                AND name IN (SELECT value FROM json_each(?))
                """,
                (photos, json.dumps(list(instead_of))),
            )
            self._run(
                """
                INSERT INTO label (photo_id, name, score)
                SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?) WHERE value ->> 1 IS NOT NULL
                ON CONFLICT (photo_id, name) DO UPDATE SET score = excluded.score
                """,
                (json.dumps([row for row in last.values() if row[1] is not None]),),
            )

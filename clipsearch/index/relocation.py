"""Roots that moved to another place: which of them, where to, and what is already known there.

Paths are compared by name only; the photos at the new place are looked at by upkeep/relocate.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clipsearch.index.catalog import SEPARATOR, Catalog, Root, base_of
from clipsearch.index.crawl import identity_of
from clipsearch.index.roots import covering, lies_in
from clipsearch.types import Stamp


@dataclass(frozen=True, slots=True)
class Move:
    root: Root
    path: bytes  # the root's new one
    files: int
    into: Root | None  # a root that lists the new place already, and takes the files


class MovableCatalog(Catalog):
    """Use as a context manager."""

    def moves(self, old: bytes, new: bytes) -> list[Move]:
        """What becomes of each root at `old` or below it when it lies at `new`."""
        roots = self.roots()
        moving = [root for root in roots if root.path == old or lies_in(root.path, old)]
        staying = [root for root in roots if root not in moving]
        moves = []
        for root in moving:
            path = os.path.join(new, os.path.relpath(root.path, old)) if root.path != old else new
            into = covering(staying, path, is_file=root.is_file)
            row = self._one("SELECT count(*) FROM file WHERE root_id = ?", (root.id,))
            assert row is not None
            moves.append(Move(root, path, row[0], into))
        return moves

    def some_files(self, root: Root, count: int) -> list[Stamp]:
        """At most `count` files of a root, drawn by chance."""
        rows = self._all(
            """
            SELECT folder, name, size, mtime_ns, inode FROM file
            WHERE root_id = ? AND photo_id IS NOT NULL ORDER BY random() LIMIT ?
            """,
            (root.id, count),
        )
        return [Stamp(*row) for row in rows]

    def move_roots(self, moves: Sequence[Move]) -> None:
        """All of them or none. Where a path is known at both places, what was seen at the new one stays."""
        with self.transaction():
            moving = {move.root.id for move in moves}
            staying = [root for root in self.roots() if root.id not in moving]
            for move in moves:
                # Out of the way first: one root may take the path that another one leaves.
                self._run("UPDATE root SET path = ? WHERE id = ?", (b"\0%d" % move.root.id, move.root.id))
            for move in moves:
                if move.into is not None:
                    self.hand_over(move.root.id, base_of(move.path, is_file=move.root.is_file), move.into, "IGNORE")
                    continue
                moved = replace(move.root, path=move.path)
                self._run(
                    "UPDATE root SET path = ?, base = ?, device = NULL WHERE id = ?",
                    (moved.path, moved.base.rstrip(SEPARATOR), moved.id),
                )
                self.look_at(moved)
                staying = self.take_in(moved, staying)
            self.record_event("relocate", {os.fsdecode(move.root.path): os.fsdecode(move.path) for move in moves})

    def look_at(self, root: Root) -> None:
        """Records whether a root can be reached now, and by which identity it is known again."""
        if os.path.isabs(root.path) and os.path.exists(root.path):  # a URI is no path below the current folder
            # A photo named by itself is known by its folder, once that was listed.
            self.mark_online(root.id, None if root.is_file else identity_of(root))
        else:
            self.mark_offline(root.id)

    def take_in(self, outer: Root, others: Sequence[Root]) -> list[Root]:
        """Joins those of `others` that `outer` lists to it, for no path may be listed twice; which are left."""
        left = []
        for inner in others:
            # What is away stays a root of its own, or its photos would be gone and not offline (I5).
            reachable = os.path.exists(inner.path) == os.path.exists(outer.path)
            if reachable and covering([outer], inner.path, is_file=inner.is_file):
                self.hand_over(inner.id, inner.base, outer, "REPLACE")
            else:
                left.append(inner)
        return left

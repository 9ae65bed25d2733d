"""What keeps a library, as methods of `Library`: documented here, done by the modules beside this one.

Nothing of it is loaded before it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsearch.types import AnyPath

if TYPE_CHECKING:
    from clipsearch.config import Paths
    from clipsearch.upkeep.relocate import Relocation


class Upkeep:
    """The half of `Library` that looks after its folder; use it as Library."""

    _paths: Paths

    def relocate(self, old: AnyPath, new: AnyPath, *, dry_run: bool = False, force: bool = False) -> Relocation:
        """Tells the library that the photos of `old`, a root or a folder above roots, now lie in `new`.

        No photo is read. A sample of the files is looked for in `new`; where none is found SystemFault is raised,
        unless `force` says that the disk comes later. `dry_run` changes nothing and says what would be. Where `new`
        was indexed already, the two become one and each path is kept once. Raises LibraryError where nothing of
        `old` is indexed, UsageError for a folder inside a root, whose photos `index` knows again by their bytes.
        """
        from clipsearch.upkeep.relocate import relocated

        return relocated(self._paths, old, new, dry_run=dry_run, force=force)

"""How a library is kept: the methods of `Library` that move, copy, check and clean it.

Documented here, done in `upkeep` and `transfer`, of which nothing is loaded before it is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from clipsearch.types import AnyPath

if TYPE_CHECKING:
    from clipsearch.config import Paths
    from clipsearch.opened import Opened
    from clipsearch.transfer.exporting import Exported
    from clipsearch.transfer.importing import Imported
    from clipsearch.transfer.merging import Merged
    from clipsearch.transfer.sharing import Shared
    from clipsearch.upkeep.backup import Backup
    from clipsearch.upkeep.checks import Check
    from clipsearch.upkeep.collect import Collected
    from clipsearch.upkeep.relocate import Relocation
    from clipsearch.upkeep.repair import Repaired


def _silent(done: int, total: int) -> None:
    """Nobody looks."""


class Keeping:
    """The half of `Library` that looks after its folder; use it as Library."""

    _paths: Paths
    _opened: Opened

    def relocate(self, old: AnyPath, new: AnyPath, *, dry_run: bool = False, force: bool = False) -> Relocation:
        """Tells the library that the photos of `old`, a root or a folder above roots, now lie in `new`.

        No photo is read. A sample of the files is looked for in `new`; where none is found SystemFault is raised,
        unless `force` says that the disk comes later. `dry_run` changes nothing and says what would be. Where `new`
        was indexed already, the two become one and each path is kept once. Raises LibraryError where nothing of
        `old` is indexed, UsageError for a folder inside a root, whose photos `index` knows again by their bytes.
        """
        from clipsearch.upkeep.relocate import relocated

        return relocated(self._paths, old, new, dry_run=dry_run, force=force)

    def backup(self, target: AnyPath, *, progress: Callable[[int, int], None] = _silent) -> Backup:
        """Copies the library into one new file, as it is at this moment, while an index run may go on.

        `target` is the file, or a folder, in which it is named after the time. The copy is checked before it gets
        its name. It is a catalog.db: alone in a folder, that folder is the library. `progress` gets (pages, of all).
        Raises SystemFault where `target` is there already or cannot be written.
        """
        from clipsearch.upkeep.backup import backed_up

        return backed_up(self._paths, target, progress)

    def gc(self, *, former_models: bool = False, dry_run: bool = False) -> Collected:
        """Removes photos that no file shows any more, with their vectors, labels and thumbnails.

        Photos of a disk that is away stay. One that comes back afterwards is encoded again. `former_models` removes
        the vectors of models that do not answer too; `dry_run` removes nothing and counts.
        """
        from clipsearch.upkeep.collect import collected

        return collected(self._paths, former_models=former_models, dry_run=dry_run)

    def export(
        self, target: AnyPath, *, form: str | None = None, progress: Callable[[int, int], None] = _silent
    ) -> Exported:
        """Writes photos, labels, saved searches and vectors of the active model into one new file.

        `form` is "parquet" (needs pyarrow) or "npz"; without it the end of the name says which. See docs/portable.md
        for the columns. `progress` gets (rows, of all). Raises SystemFault where `target` is there already or cannot
        be written, UsageError for a form that is unknown or not installed.
        """
        from clipsearch.transfer.exporting import exported

        return exported(self._paths, target, form, progress)

    def share(self, uri: str | os.PathLike[str], *, progress: Callable[[int, int], None] = _silent) -> Shared:
        """Writes the same, and an index, as the new version of a shared library: `Library.open("lance:URI")` reads it.

        `uri` is a folder, or on an object store. Readers see the former version until all of it is there. Needs
        pylance. Raises LibraryError where something else lies, SystemFault where the store refuses.
        """
        from clipsearch.config import SharedLibrary
        from clipsearch.transfer.sharing import shared

        return shared(self._paths, SharedLibrary.named(os.fspath(uri)), progress)

    def import_(self, source: AnyPath, *, progress: Callable[[int, int], None] = _silent) -> Imported:
        """Adds what a file of `export` holds and the library does not; the library is made if there is none.

        Photos are known by their bytes, files by their paths; what is there stays as it is, so a file imported twice
        adds nothing. All of it or nothing is added. Raises SystemFault for a file that is damaged or of a newer
        clipsearch, ModelError for vectors of another model than the library's.
        """
        from clipsearch.transfer.importing import imported

        return imported(self._paths, source, progress)

    def merge(
        self,
        bundles: Sequence[AnyPath],
        *,
        root: AnyPath | None = None,
        dry_run: bool = False,
        progress: Callable[[int, int], None] = _silent,
    ) -> Merged:
        """Adds what bundles hold and the library does not; the library is made if there is none.

        Photos are known by their bytes, files by their paths below the folder that was named where they were encoded;
        `root` says where that folder lies here. Bundles may come again, and in any order. Each is merged whole or not
        at all; `dry_run` reads and checks all of them and adds nothing. Raises SystemFault for a bundle that is
        unfinished, damaged or of a newer clipsearch, ModelError for vectors of another model than the library's.
        """
        from clipsearch.transfer.merging import checked, merged

        return (checked if dry_run else merged)(self._paths, bundles, root, progress)

    def check(self) -> Iterator[Check]:
        """Looks at the folder, the catalog, vectors, checkpoint, roots, caches, model and runtimes; changes nothing.

        Each check is "ok", a "note", or "wrong" with what to do and the exit code that it is worth. It takes as long
        as reading catalog.db and the model once. Raises LibraryError where there is no library.
        """
        from clipsearch.upkeep.doctor import checked

        yield from checked(self._paths)

    def repair(self) -> Repaired:
        """Copies the catalog into a folder beside it, then puts right what can be put right from its own rows.

        Removes rows that refer to nothing and vectors that are none, counts anew, remakes the checkpoint; a damaged
        catalog.db is replaced by what can be read of it. `index` then makes again what is missing. Raises
        LibraryError where nothing can be read or another process writes, SystemFault where the copy has no room.
        """
        from clipsearch.upkeep.repair import repaired

        self._opened.close()  # it would hold the catalog that is replaced
        return repaired(self._paths)

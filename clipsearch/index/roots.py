"""Which root covers a path: one that holds it already, or a new one, which takes over the roots inside it.

So no path is ever listed twice, in whatever order folders are named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from clipsearch.decoding.names import is_listed, is_skipped
from clipsearch.errors import SystemFault, UsageError
from clipsearch.index.catalog import Catalog, Root
from clipsearch.index.crawl import is_pattern


def root_for(catalog: Catalog, path: bytes) -> Root:
    """The root of an existing folder or file, by its absolute path.

    A file named by itself is tried whatever it is called; one that is no picture at all raises SystemFault.
    """
    is_file = not os.path.isdir(path)
    if is_file:
        _check_picture(path)
    if known := covering(catalog.roots(), path, is_file=is_file):
        return known
    catalog.add_root(path, is_file=is_file)
    added = next(root for root in catalog.roots() if root.path == path)
    for inner in list(_inside(catalog, added)):
        kept = [*added.exclude, *patterns_below(added, inner.base, inner.exclude)]
        catalog.absorb_root(inner, added)
        catalog.set_exclude(added.id, kept)
        added = replace(added, exclude=tuple(kept))
    return added


def roots_of_no_library(paths: Sequence[bytes], exclude: Sequence[str]) -> list[Root]:
    """The roots of existing folders and files, by their absolute paths; one inside another is listed there alone.

    Raises UsageError for a pattern that cannot be understood, SystemFault for a file that is no picture.
    """
    _check_patterns(exclude)
    named = []
    for number, path in enumerate(dict.fromkeys(paths), start=1):
        is_file = not os.path.isdir(path)
        if is_file:
            _check_picture(path)
        named.append(Root(number, path, is_file, tuple(exclude), None))
    return [
        root
        for root in named
        if covering([other for other in named if other is not root], root.path, is_file=root.is_file) is None
    ]


def covering(roots: Iterable[Root], path: bytes, *, is_file: bool) -> Root | None:
    """The one of `roots` that lists the path, by names only: nothing need be there."""
    within = None
    for root in roots:
        if root.path == path:
            return root
        if within is None and not root.is_file and _would_list(path, root, is_file=is_file):
            within = root
    return within


def exclude_in(catalog: Catalog, root: Root, path: bytes, patterns: Sequence[str]) -> None:
    """Sets what is left out of a folder, the root or one inside it, in place of what was left out of it before.

    Raises UsageError for a pattern that cannot be understood.
    """
    _check_patterns(patterns)
    if path == root.path:
        catalog.set_exclude(root.id, patterns)
        return
    before = "/" + _literal(_relative(root, path)) + "/"
    kept = [one for one in root.exclude if not one.removeprefix("!").startswith(before)]
    catalog.set_exclude(root.id, [*kept, *patterns_below(root, path, patterns)])


def _check_patterns(patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if not is_pattern(pattern):
            raise UsageError(f'"{pattern}" is no pattern.', "Write it as in a .gitignore file: drafts/ or *.gif")


def patterns_below(root: Root, folder: bytes, patterns: Sequence[str]) -> list[str]:
    """Patterns of an ignore file in `folder`, as they read in one at the root (gitignore(5), PATTERN FORMAT)."""
    if folder == root.path:
        return list(patterns)
    place = "/" + _literal(_relative(root, folder))
    written = []
    for pattern in patterns:
        sign, body = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
        if not body.strip() or pattern.startswith("#"):
            continue
        is_anchored = "/" in body.rstrip("/")
        written.append(f"{sign}{place}/{body.lstrip('/')}" if is_anchored else f"{sign}{place}/**/{body}")
    return written


def _relative(root: Root, path: bytes) -> str:
    return os.fsdecode(os.path.relpath(path, root.path)).replace(os.sep, "/")


def _literal(name: str) -> str:
    return re.sub(r"([\\*?\[\]])", r"\\\1", name)


def lies_in(path: bytes, folder: bytes) -> bool:
    """By name only; both absolute."""
    return path.startswith(os.path.join(folder, b""))


def _inside(catalog: Catalog, outer: Root) -> Iterator[Root]:
    for root in catalog.roots():
        # One that is offline stays a root of its own, or its photos would be gone and not offline (I5).
        if (
            not outer.is_file
            and root.id != outer.id
            and os.path.exists(root.path)
            and _would_list(root.path, outer, is_file=root.is_file)
        ):
            yield root


def _would_list(path: bytes, root: Root, *, is_file: bool) -> bool:
    """Whether a walk of the root reaches the path; what it skips by name stays a root of its own when named."""
    if not lies_in(path, root.path) or (is_file and not is_listed(os.path.basename(path))):
        return False
    return not any(map(is_skipped, os.path.relpath(path, root.path).split(os.sep.encode())))


def _check_picture(path: bytes) -> None:
    if not os.path.isfile(path):  # a FIFO would block its reader for ever
        raise SystemFault(
            f"{os.fsdecode(path)} is neither a folder nor a file.", "Name a folder of photos, or a photo."
        )
    if is_listed(os.path.basename(path)):
        return
    from clipsearch.decoding.decode import picture_format

    if picture_format(path) is None:
        raise SystemFault(f"{os.fsdecode(path)} is not a picture.", "Name a folder of photos, or a photo.")

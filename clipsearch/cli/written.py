"""A file that a verb is to write: refused before the work where it cannot be written after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from clipsearch.errors import SystemFault, UsageError


def new_file_ending(*suffixes: str) -> Callable[[click.Context, click.Parameter, Path | None], Path | None]:
    """What an option's value goes through. Raises UsageError for another ending, SystemFault for a name that is taken
    and for a folder that is not there or takes no file."""

    def checked(context: click.Context, parameter: click.Parameter, target: Path | None) -> Path | None:
        from clipsearch.files import check_new

        if target is None:
            return None
        if target.suffix not in suffixes:
            raise UsageError(
                f"{target} is of no kind that is written here.", f"Name a file that ends with {' or '.join(suffixes)}."
            )
        check_new(target)
        if not target.parent.is_dir():
            raise SystemFault(f"There is no folder {target.parent}.", "Make it, or name another one.")
        _check_writable(target.parent)
        return target

    return checked


def _check_writable(folder: Path) -> None:
    """By a file without a name: permissions alone do not tell of a disk that is mounted to be read, or of a quota."""
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SystemFault(
            f"{folder} takes no new file ({(error.strerror or str(error)).lower()}).", "Name a file in another folder."
        ) from error

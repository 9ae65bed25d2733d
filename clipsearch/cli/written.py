"""A file that a verb is to write: refused before the work where it cannot be written after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from clipsearch.errors import SystemFault, UsageError


def new_file_ending(*suffixes: str) -> Callable[[click.Context, click.Parameter, Path | None], Path | None]:
    """What an option's value goes through. Raises UsageError for another ending, SystemFault for a name that is taken
    and for a folder that is not there."""

    def checked(context: click.Context, parameter: click.Parameter, target: Path | None) -> Path | None:
        from clipsearch.files import check_new

        if target is None:
            return None
        if target.suffix not in suffixes:
            raise UsageError(f"{target} is no report.", f"Name a file that ends with {' or '.join(suffixes)}.")
        check_new(target)
        if not target.parent.is_dir():
            raise SystemFault(f"There is no folder {target.parent}.", "Make it, or name another one.")
        return target

    return checked

"""Before a verb changes what cannot be had back: it says what it will do, and asks on a terminal.

Without a terminal nobody can be asked, so only `--yes` goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from clipsearch.cli import output

Function = TypeVar("Function", bound=Callable[..., Any])


def yes_option(function: Function) -> Function:
    return click.option("-y", "--yes", is_flag=True, help="Do it without asking; without it a script only gets told.")(
        function
    )


def dry_run_option(function: Function) -> Function:
    return click.option("-n", "--dry-run", is_flag=True, help="Only say what would be done.")(function)


def agreed(question: str, *, yes: bool) -> bool:
    """Whether to go on; what is not agreed to is told. A verb that does not go on ends with 2, for scripts."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        output.narrate("Nothing is changed yet. To do it, add --yes.")
        return False
    agrees: bool = click.confirm(question, err=True)
    if not agrees:
        output.narrate("Nothing is changed.")
    return agrees

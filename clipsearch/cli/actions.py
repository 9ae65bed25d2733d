"""What `search` and `similar` do with the photos that fit: open, run a command, copy, link.

Acts on what the table shows, so nothing that is far off is opened or copied unless --all asks for it. Originals are
only read. A photo that fails is told and the others go on. How each is done is deeds.py's.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Folder
from clipsearch.cli.streams import SIGPIPE
from clipsearch.cli.voice import is_verbose
from clipsearch.errors import SystemFault, UsageError
from clipsearch.types import Hit

Function = TypeVar("Function", bound=Callable[..., Any])

MOST_OPENED = 10  # windows; more than a person can look at is a slip

EPILOG = """\b
The command of --exec stands in quotes and runs once for each photo; {} is its
path, and no shell takes part. Its output takes the place of the list.
--copy-to and --link-to make name-2.jpg where name.jpg is taken.
"""


@dataclass(frozen=True, slots=True)
class Actions:
    """What the command line asks for."""

    opens: bool = False
    command: tuple[bytes, ...] = ()
    copy_to: Path | None = None
    link_to: Path | None = None

    def __bool__(self) -> bool:
        return self.opens or bool(self.command) or self.copy_to is not None or self.link_to is not None

    def check(self, *, form_is_asked: bool) -> None:
        """Raises UsageError where the list that --exec replaces was asked for by name."""
        if self.command and form_is_asked:
            raise UsageError(
                "The output of --exec takes the place of the list.",
                "Leave out --show, --html, --json, --ndjson and -0, or run the command on them: -0 | xargs -0",
            )


def action_options(function: Function) -> Function:
    """Gives the verb's function one argument, `actions`."""

    @functools.wraps(function)
    def bundled(
        *args: Any, opens: bool, command: tuple[bytes, ...], copy_to: Path | None, link_to: Path | None, **kwargs: Any
    ) -> Any:
        return function(*args, actions=Actions(opens, command, copy_to, link_to), **kwargs)

    for option in (
        click.option("--link-to", type=Folder(), metavar="DIR", help="Make symbolic links to them."),
        click.option("--copy-to", type=Folder(), metavar="DIR", help="Copy them; nothing is overwritten."),
        click.option("--exec", "command", metavar="'CMD {}'", callback=_command, help="Run a command for each."),
        click.option("--open", "opens", is_flag=True, help="Open them in the system's viewer, at most 10."),
    ):
        bundled = option(bundled)
    return bundled  # type: ignore[return-value]  # click's decorators keep the function


def act(actions: Actions, hits: Sequence[Hit]) -> bool:
    """Does what was asked with all hits; False when something of it failed, which has been told by then.

    Raises SystemFault when nothing of it can be done: no such program, a folder that cannot be made.
    """
    sys.stdout.flush()  # before the output of commands
    paths = [hit.path for hit in hits]
    if not paths:
        return True
    placed = [
        *([_place_all(paths, "copy", actions.copy_to)] if actions.copy_to is not None else []),
        *([_place_all(paths, "link", actions.link_to)] if actions.link_to is not None else []),
    ]
    run = [
        *([_execute_all(paths, actions.command)] if actions.command else []),
        *([_open_all(paths)] if actions.opens else []),
    ]
    if not all(run):
        output.tell("hint: What is not named here is done.")
    elif not all(placed):
        output.tell("hint: What is not named here is done; the same command again does the rest.")
    return all(placed) and all(run)


# -- copies and links ------------------------------------------------------------------------------


def _place_all(paths: Sequence[bytes], kind: Literal["copy", "link"], folder: Path) -> bool:
    from clipsearch.deeds import placed

    done = []
    for one in placed(paths, kind, folder):
        done.append(one)
        if one.is_new and is_verbose():
            output.narrate(f"{output.shown(one.photo)} -> {output.shown(one.target or b'')}")
    new, known = sum(one.is_new for one in done), sum(one.target is not None and not one.is_new for one in done)
    renamed = sum(one.is_renamed for one in done)
    did = "Copied" if kind == "copy" else "Linked"
    where = f"{'to' if kind == 'copy' else 'in'} {output.shown(os.fsencode(folder))}"
    notes = f"{did} {new:,} photo{'' if new == 1 else 's'} {where}"
    notes += f", {renamed:,} under another name" if renamed else ""
    notes += f"; {known:,} {'was' if known == 1 else 'were'} there already" if known else ""
    output.narrate(notes + ".")
    failed = [one for one in done if one.target is None]
    for one in failed:
        output.tell(f"clipsearch: {output.shown(one.photo)} was left out: {one.reason}")
    return not failed


# -- opening and running ---------------------------------------------------------------------------


def _open_all(paths: Sequence[bytes]) -> bool:
    from clipsearch.deeds import opened, opener

    if len(paths) > MOST_OPENED:
        output.narrate(
            f"Opening the first {MOST_OPENED} of {len(paths):,}; fewer: -k, all of them: --exec 'xdg-open {{}}'"
        )
    failed = opened(paths[:MOST_OPENED])
    for path, code in failed:
        output.tell(f"clipsearch: {output.shown(path)} was not opened: {opener()} ended with {code}")
    return not failed


def _command(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[bytes, ...]:
    """The words of the command, each in the bytes that were typed. {} is added at the end when it is nowhere."""
    if value is None:
        return ()
    import shlex

    try:
        words = shlex.split(value)
    except ValueError as error:
        raise UsageError(f"--exec cannot be read: {str(error).lower()}: {value}", "Close the quote.") from None
    if not words:
        raise UsageError("--exec names no command.", "Write it in quotes: --exec 'exiftool {}'")
    if not any("{}" in word for word in words):
        words.append("{}")
    return tuple(map(os.fsencode, words))


def _execute_all(paths: Sequence[bytes], command: Sequence[bytes]) -> bool:
    import subprocess

    failed = 0
    for path in paths:
        try:
            code = subprocess.run([word.replace(b"{}", path) for word in command]).returncode
        except FileNotFoundError:
            raise SystemFault(
                f"There is no program {output.shown(command[0])}.", "--exec takes the whole command in quotes."
            ) from None
        except PermissionError:
            raise SystemFault(f"{output.shown(command[0])} may not be run.", "Name a program.") from None
        if code == -SIGPIPE:
            raise BrokenPipeError  # who read its output has seen enough, and would get the next ones' complaints
        if code:
            failed += 1
            output.tell(f"clipsearch: {output.shown(command[0])} {_ending(code)} for {output.shown(path)}")
    return not failed


def _ending(code: int) -> str:
    return f"ended with {code}" if code > 0 else f"was ended by signal {-code}"

"""What `search` and `similar` do with the photos that fit: open, run a command, copy, link.

Acts on what the table shows, so nothing that is far off is opened or copied unless --all asks for it. Originals are
only read. A photo that fails is told and the others go on. Copies and links are place.py's.
"""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Folder
from clipsearch.cli.place import copy_all, link_all
from clipsearch.cli.streams import SIGPIPE
from clipsearch.errors import SystemFault, UsageError
from clipsearch.types import Hit

Function = TypeVar("Function", bound=Callable[..., Any])

MOST_OPENED = 10  # windows; more than a person can look at is a slip
_OPENER_S = 1.0  # a program that cannot open a photo says so within this time

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
        *([copy_all(paths, actions.copy_to)] if actions.copy_to is not None else []),
        *([link_all(paths, actions.link_to)] if actions.link_to is not None else []),
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


# -- opening and running ---------------------------------------------------------------------------


def _open_all(paths: Sequence[bytes]) -> bool:
    """Not click.launch: its viewer keeps our stdout open, and a reader in a pipe would wait for its end."""
    if len(paths) > MOST_OPENED:
        output.narrate(
            f"Opening the first {MOST_OPENED} of {len(paths):,}; fewer: -k, all of them: --exec 'xdg-open {{}}'"
        )
    if sys.platform == "win32":
        for path in paths[:MOST_OPENED]:
            os.startfile(os.fsdecode(path))
        return True
    program = "open" if sys.platform == "darwin" else "xdg-open"
    started = [(path, _start_viewer(program, path)) for path in paths[:MOST_OPENED]]
    until = time.monotonic() + _OPENER_S
    failed = [path for path, process in started if not _has_opened(program, path, process, until)]
    return not failed


def _start_viewer(program: str, path: bytes) -> subprocess.Popen[bytes]:
    null = subprocess.DEVNULL
    try:
        # In a session of its own, so that Ctrl-C here closes no picture there.
        return subprocess.Popen([program, path], stdin=null, stdout=null, stderr=null, start_new_session=True)
    except FileNotFoundError:
        raise SystemFault(
            f"There is no program {program} here to open photos with.", "Name your viewer: --exec 'viewer {}'"
        ) from None


def _has_opened(program: str, path: bytes, process: subprocess.Popen[bytes], until: float) -> bool:
    try:
        code = process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.returncode = 0  # a viewer that stays is one that works; Python need not warn that nobody waits for it
        return True
    if code:
        output.tell(f"clipsearch: {output.shown(path)} was not opened: {program} ended with {code}")
    return code == 0


def _command(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[bytes, ...]:
    """The words of the command, each in the bytes that were typed. {} is added at the end when it is nowhere."""
    if value is None:
        return ()
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

"""What the words of a command line may be: paths, folders, files that are read.

An empty word is none of them: it is a variable of the shell that was never set, and would mean the folder one is in.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import click
from click.shell_completion import CompletionItem

from clipsearch.cli.complaints import name_of
from clipsearch.errors import SystemFault, UsageError


class Named(click.Path):
    """The path of a photo or folder, wherever it leads."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        refuse_empty(value, param)
        return super().convert(value, param, ctx)


class NamedOrURI(Named):
    """The same, or what lies on an object store; as it was typed, for a path has no // in it."""

    def __init__(self) -> None:
        click.Path.__init__(self, path_type=str)


class Folder(Named):
    """A folder that is there, or can be made."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        folder: Path = super().convert(value, param, ctx)
        if folder.exists() and not folder.is_dir():
            raise SystemFault(f"{folder} is a file.", "Name a folder; it is made where there is none.")
        return folder

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        return [CompletionItem(incomplete, type="dir")]


class Source(click.File):
    """A file that is read, or stdin."""

    def __init__(self) -> None:
        super().__init__("rb")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> IO[Any]:
        refuse_empty(value, param)
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            reason = error.message.rpartition(": ")[2]
            raise SystemFault(f"{value} cannot be read ({reason}).", "Name a file, or - for stdin.") from error


def filled(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A click callback for words that are no paths."""
    refuse_empty(value, parameter)
    return value


def refuse_empty(value: object, parameter: click.Parameter | None) -> None:
    """Raises UsageError."""
    if value == "" and parameter is not None:
        raise UsageError(f"{name_of(parameter)} is empty.", "Write its value; a variable of the shell may not be set.")

"""What there is to document: every verb as click knows it, as plain data. Knows nothing of Markdown or roff."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click

from clipsearch.cli import cli


@dataclass(frozen=True, slots=True)
class Option:
    names: str  # "-k INTEGER RANGE"
    meaning: str  # with the default, as --help shows it


@dataclass(frozen=True, slots=True)
class Block:
    text: str
    as_written: bool  # lines stay lines


@dataclass(frozen=True, slots=True)
class Verb:
    name: str  # "clipsearch config show"
    usage: str
    help: str
    options: tuple[Option, ...]
    notes: tuple[Block, ...]


def program() -> Verb:
    """The program without a verb."""
    return _described(cli, _root())


def verbs() -> Iterator[Verb]:
    """Every verb, and below it the verbs that it has."""
    return _below(cli, _root())


def _root() -> click.Context:
    return click.Context(cli, info_name="clipsearch", **cli.context_settings)


def _below(group: click.Group, context: click.Context) -> Iterator[Verb]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None  # the group has listed it
        inner = click.Context(command, info_name=name, parent=context)
        yield _described(command, inner)
        if isinstance(command, click.Group):
            yield from _below(command, inner)


def _described(command: click.Command, context: click.Context) -> Verb:
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    records = [option.get_help_record(context) for option in options]
    return Verb(
        name=context.command_path,
        usage=" ".join([context.command_path, *command.collect_usage_pieces(context)]),
        help=command.help or "",
        options=tuple(Option(*record) for record in records if record is not None),
        notes=tuple(blocks(command.epilog or "")),
    )


def blocks(text: str) -> Iterator[Block]:
    """Paragraphs; one that begins with \\b is as written, as in click's help texts."""
    for paragraph in text.strip("\n").split("\n\n"):
        if paragraph.startswith("\b\n"):
            yield Block(paragraph.removeprefix("\b\n").rstrip(), as_written=True)
        elif paragraph.strip():
            yield Block(" ".join(paragraph.split()), as_written=False)

"""What there is to document: every verb as click knows it, as plain data. Knows nothing of Markdown or roff."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click

from clipsearch.cli import cli
from clipsearch.cli.sections import in_sections

# Named once, for all verbs. (The few that use no library have no --library.)
ON_EVERY_VERB = ("--library", "--quiet", "--verbose", "--color", "--help")


@dataclass(frozen=True, slots=True)
class Option:
    names: str  # "-k INTEGER RANGE"
    meaning: str  # with the default, as --help shows it


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Block:
    text: str
    as_written: bool  # lines stay lines


@dataclass(frozen=True, slots=True)
class Verb:
    name: str  # "clipsearch config show"
    usage: str
    help: str
    sections: tuple[Section, ...]  # without what every verb has
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
    return Verb(
        name=context.command_path,
        usage=" ".join([context.command_path, *command.collect_usage_pieces(context)]),
        help=command.help or "",
        sections=tuple(_sections(command, context)),
        notes=tuple(blocks(command.epilog or "")),
    )


def _sections(command: click.Command, context: click.Context) -> Iterator[Section]:
    is_program = context.parent is None
    for title, options in in_sections(command.get_params(context)):
        shown = [one for one in options if is_program or one.opts[-1] not in ON_EVERY_VERB]
        records = [record for one in shown if (record := one.get_help_record(context)) is not None]
        if records:
            yield Section(title, tuple(Option(*record) for record in records))


def blocks(text: str) -> Iterator[Block]:
    """Paragraphs; one that begins with \\b is as written, as in click's help texts."""
    for paragraph in text.strip("\n").split("\n\n"):
        if paragraph.startswith("\b\n"):
            yield Block(paragraph.removeprefix("\b\n").rstrip(), as_written=True)
        elif paragraph.strip():
            yield Block(" ".join(paragraph.split()), as_written=False)

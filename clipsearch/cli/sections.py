"""The options of a verb, in the order in which they are looked for: its own, the form of its answer, what everyone has.

`--help`, docs/cli.md and the man page show the same sections.
"""

from __future__ import annotations

from collections.abc import Iterable

import click

OWN = "Options"
_SECTIONS = {
    "The answer": ("--show", "--pictures", "--html", "--json", "--ndjson", "--null", "--explain"),
    "With the photos that fit": ("--open", "--exec", "--copy-to", "--link-to"),
}
_GENERAL = ("--backend", "--threads", "--library", "--quiet", "--verbose", "--color", "--version", "--help")


class Verb(click.Command):
    """A command whose help is in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, options in in_sections(self.get_params(ctx)):
            records = [record for one in options if (record := one.get_help_record(ctx)) is not None]
            with formatter.section(title):
                formatter.write_dl(records)


def in_sections(parameters: Iterable[click.Parameter]) -> list[tuple[str, list[click.Option]]]:
    """Titles and options; a section without options is left out. What is listed above keeps the order it has there."""
    options = [one for one in parameters if isinstance(one, click.Option)]
    listed = {**_SECTIONS, "In general": _GENERAL}
    known = {name for names in listed.values() for name in names}
    own = [one for one in options if one.opts[-1] not in known]
    found = [(OWN, own)]
    for title, names in listed.items():
        found.append((title, [one for name in names for one in options if one.opts[-1] == name]))
    return [(title, some) for title, some in found if some]

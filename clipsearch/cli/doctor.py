"""`clipsearch doctor`: what is well, what is wrong and what to do about it."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from clipsearch.cli import output
from clipsearch.cli.consent import agreed, yes_option
from clipsearch.cli.meter import meter
from clipsearch.cli.options import library_option, opened
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

if TYPE_CHECKING:
    from clipsearch.library import Library
    from clipsearch.upkeep.checks import Check
    from clipsearch.upkeep.recall import Recall

EPILOG = """\b
It ends with 0 when all is well, else with the code of what is gravest: 3 the
library, 4 the model or a runtime, 5 the system. --repair copies the catalog
into a folder beside it first and keeps that; photos are never touched.

\b
Examples:
  clipsearch doctor
  clipsearch doctor --json | jq '.checks[] | select(.state == "wrong")'
  clipsearch doctor --repair && clipsearch index
  clipsearch doctor --recall
"""


@click.command("doctor", cls=Verb, epilog=EPILOG)
@click.option("--repair", is_flag=True, help="Put right what can be put right from what the library holds.")
@yes_option
@click.option(
    "--recall",
    is_flag=True,
    help="Measure in short what searches find of what an exact search finds; in full: clipsearch eval recall.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: healthy, checks, repaired, recall.")
@library_option
@click.pass_context
def command(context: click.Context, repair: bool, yes: bool, recall: bool, as_json: bool, library: str | None) -> int:
    """Check the library and this machine, and repair what can be."""
    repaired = measured = None
    with opened(context, library) as opened_library:
        checks = _checked(opened_library, shows=not as_json)
        if repair and any(check.repairable for check in checks):
            if agreed("Repair it? The catalog is copied first.", yes=yes):
                repaired = opened_library.repair()
                if not as_json:
                    _tell_repaired(repaired.copy, repaired.done, repaired.lost)
                checks = _checked(opened_library, shows=not as_json)
        elif repair and not as_json:
            output.narrate("There is nothing to repair.")
        if recall:
            with meter("asking") as progress:
                measured = opened_library.recall(progress=progress)
            if not as_json:
                _tell_recall(measured)
    if as_json:
        output.write_json(
            {
                "healthy": _code(checks) == Exit.DONE,
                "checks": [asdict(check) for check in checks],
                "repaired": None if repaired is None else {**asdict(repaired), "copy": str(repaired.copy)},
                "recall": None if measured is None else {**asdict(measured), "verdict": measured.verdict},
            }
        )
    return _code(checks)


def _code(checks: list[Check]) -> Exit:
    from clipsearch.upkeep.checks import exit_code

    return exit_code(checks)


def _checked(library: Library, *, shows: bool) -> list[Check]:
    checks = []
    for check in library.check():
        checks.append(check)
        if shows:
            click.echo(f"{check.state:<6} {check.name}: {output.printable(check.text)}")
            if check.advice is not None:
                click.echo(f"       {output.dim(output.printable(check.advice))}")
    return checks


def _tell_repaired(copy: os.PathLike[str], done: tuple[str, ...], lost: int) -> None:
    output.narrate(f"The catalog as it was is kept in {output.shown(os.fsencode(copy))}")
    for one in done:
        output.narrate(f"- {one}")
    if lost:
        output.narrate(f"{lost:,} rows could not be read. The next clipsearch index reads their photos again.")


def _tell_recall(measured: Recall) -> None:
    for one in measured.measured:
        click.echo(
            f"recall@20 of {one.questions} {one.kind}: mean {one.mean:.3f}, worst {one.worst:.3f} "
            f"({one.plan}; {one.p50_ms:.0f} ms, p95 {one.p95_ms:.0f}; "
            f"exact {one.exact_p50_ms:.0f} ms, p95 {one.exact_p95_ms:.0f}; {measured.photos:,} photos)"
        )
    click.echo(measured.verdict)

"""`clipsearch backends`: the ways to run a model on this machine, what each is worth and which one is taken."""

from __future__ import annotations

import sys

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import filled
from clipsearch.cli.columns import Columns, table_lines
from clipsearch.cli.options import answering, chosen_paths
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import model_names
from clipsearch.errors import Exit, ModelError
from clipsearch.types import MeasuredWay

EPILOG = """\b
Each way is tried once, in a process of its own: it must give the model's own
vectors. What the time did not suffice for is tried by the next call, and all
again when the machine, a runtime or the model changes.

\b
Examples:
  clipsearch backends
  clipsearch backends --json | jq '.[] | {runtime, images_per_s}'
"""
_PURPOSES = {"ingest": "photos", "query": "texts"}
_COLUMNS = Columns(
    head=("way", "photos/s", "ms a text", "cosine", "MB", "chosen"), numbers=(1, 2, 3, 4), dropped=(4, 3, 2)
)


@click.command("backends", cls=Verb, epilog=EPILOG)
@click.option(
    "--model",
    metavar="NAME",
    callback=filled,
    shell_complete=model_names,
    help="The model to run; by default the one that the library searches with.",
)
@click.option("--again", is_flag=True, help="Measure, though it was measured before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_context
def command(context: click.Context, model: str | None, again: bool, as_json: bool) -> int:
    """Show the ways to run a model here, and which are chosen."""
    from clipsearch.encoding import Engine
    from clipsearch.engine.choosing.choice import BUDGET_S, forget, is_measured
    from clipsearch.engine.store import find_model

    paths = chosen_paths(context, None)
    handle = model or _in_use(context)
    card, shown = find_model(handle, paths.models), output.printable(handle)
    if again:
        forget(card, paths.cache)
    if not is_measured(card, paths.cache):
        output.narrate(f"Measuring the ways to run {shown} on this machine, {BUDGET_S:.0f} s at most.")
    with Engine(card, cache_folder=paths.cache) as engine:
        ways = engine.ways()
    if as_json:
        output.write_json([_fields(way) for way in ways])
    elif ways:
        output.narrate(f"{shown} on this machine:")
        _table(ways)
    if not any(way.fit_for for way in ways):
        said = f"No way to run {shown} works on this machine."
        if not ways:
            needed = ", ".join(sorted({runtime for variant in card.variants for runtime in variant.runtimes}))
            raise ModelError(said, f"Its files are for {needed}: docs/backends.md says how to install it.")
        raise ModelError(said, "The reasons stand in the table above.")
    return Exit.DONE


def _in_use(context: click.Context) -> str:
    from clipsearch.engine.store import DEFAULT_MODEL
    from clipsearch.opened import is_there

    if not is_there(chosen_paths(context, None)):
        return DEFAULT_MODEL
    with answering(context, None) as library:
        return library.status().model


def _fields(way: MeasuredWay) -> dict[str, object]:
    """A way in JSON; docs/backends.md documents the fields."""
    return {
        "runtime": way.runtime,
        "device": way.device,
        "precision": _precision(way),
        "batch": way.batch,
        "threads": way.threads,
        "images_per_s": way.images_per_s,
        "query_ms": way.query_ms,
        "cosine": way.cosine,
        "peak_mb": way.peak_mb,
        "verdict": way.verdict,
        "reason": way.reason,
        "chosen_for": list(way.chosen_for),
    }


def _precision(way: MeasuredWay) -> str:
    """What its numbers are: those of the model's files, or what the runtime makes of them."""
    if way.arithmetic == "f32":
        return way.precision
    return way.arithmetic if way.precision == "fp32" else f"{way.precision}-{way.arithmetic}"


def _table(ways: tuple[MeasuredWay, ...]) -> None:
    for line in table_lines(_COLUMNS, [_row(way) for way in ways], [way.reason for way in ways]):
        click.echo(line)
    sys.stdout.flush()


def _row(way: MeasuredWay) -> tuple[str, ...]:
    chosen = "for " + " and ".join(_PURPOSES[one] for one in way.chosen_for) if way.chosen_for else ""
    verdict = way.verdict if way.verdict != "good" else ""
    return (
        f"{way.runtime} {way.device} {_precision(way)}, batch {way.batch}",
        "" if way.images_per_s is None else f"{way.images_per_s:,.0f}",
        "" if way.query_ms is None else f"{way.query_ms:.1f}",
        "" if way.cosine is None else f"{way.cosine:.4f}",
        "" if way.peak_mb is None else f"{way.peak_mb:,}",
        ", ".join(part for part in (verdict, chosen) if part),
    )

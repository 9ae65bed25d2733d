"""`clipsearch model quantize`: makes variants of a model in fewer bits, and shows what each costs and gains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named, filled
from clipsearch.cli.columns import Columns, table_lines
from clipsearch.cli.options import chosen_paths, library_option
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import model_names
from clipsearch.engine.cards import LEAST_COSINE, LEAST_TOP10, ModelCard, Variant
from clipsearch.engine.store import find_model, model_handle
from clipsearch.errors import Exit
from clipsearch.types import MeasuredWay

if TYPE_CHECKING:  # numpy comes with it
    from clipsearch.engine.quantize.making import Precision

EPILOG = """\b
fp16 halves the files, int8 is for speed (OpenVINO) and size, int4 for size.
Each variant is compared with the model as it is, on photos that did not
calibrate it; one that moves too much is never chosen by itself. Photos need
not be indexed again. Needs pip install 'clipsearch[quantize]'.

\b
Examples:
  clipsearch model quantize vit-b-32-256-datacomp --to int8
  clipsearch model quantize siglip2-b-32-256 --to int4 --calibrate ~/Photos/2024
"""


@click.command("quantize", cls=Verb, epilog=EPILOG)
@click.argument("name", callback=filled, shell_complete=model_names)
@click.option("--to", "precision", type=click.Choice(["fp16", "int8", "int4"]), required=True, help="Bits of a weight.")
@click.option(
    "--calibrate",
    type=Named(),
    multiple=True,
    metavar="DIR",
    help="Calibrate and compare with the photos in this folder; by default with the library's.",
)
@click.option(
    "--captions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Compare with these photos: a photo, a tab and its caption a line.",
)
@click.option(
    "--least-cosine",
    type=click.FloatRange(0, 1),
    default=LEAST_COSINE,
    show_default=True,
    metavar="X",
    help="Mean cosine with the model as it is, below which a variant is refused.",
)
@click.option(
    "--least-overlap",
    type=click.FloatRange(0, 1),
    default=LEAST_TOP10,
    show_default=True,
    metavar="X",
    help="Share of the ten nearest photos that must stay.",
)
@library_option
@click.pass_context
def quantize(
    context: click.Context,
    name: str,
    precision: Precision,
    calibrate: tuple[Path, ...],
    captions: Path | None,
    least_cosine: float,
    least_overlap: float,
    library: str | None,
) -> int:
    """Add variants of the model NAME in fewer bits, and say how far each is from the model as it is."""
    from clipsearch.encoding import Engine
    from clipsearch.engine.choosing.choice import BUDGET_S
    from clipsearch.engine.quantize.making import Added
    from clipsearch.quantizing import quantize as quantized

    paths = chosen_paths(context, library)
    card = find_model(name, paths.models)
    for step in quantized(
        card, paths, precision, calibrate=calibrate, captions=captions,
        least_cosine=least_cosine, least_top10=least_overlap,
    ):  # fmt: skip
        if isinstance(step, Added):
            card = step.card
            output.narrate(f"{step.variant.name} is added.")
        else:
            output.narrate(step.what)
    output.narrate(f"Measuring the ways to run {output.printable(card.name)}, {BUDGET_S:.0f} s at most.")
    with Engine(card, cache_folder=paths.cache) as engine:
        _table(card, engine.ways())
    handle = model_handle(card, paths.models)
    output.narrate(f"The variants lie in {output.printable(str(card.folder))}.")
    if handle != name:
        output.narrate(f"It is a copy; search with it: clipsearch model use {output.printable(handle)}")
    return Exit.DONE


_COLUMNS = Columns(
    head=("variant", "MB", "photos/s", "ms a text", "cosine", "least", "texts", "top 10", "R@1", "labels", "chosen"),
    numbers=range(1, 10),
    dropped=(9, 8, 6, 5, 3),
)


def _table(card: ModelCard, ways: tuple[MeasuredWay, ...]) -> None:
    by_variant = [(one, [way for way in ways if way.precision == one.name]) for one in card.variants]
    notes = ["; ".join(dict.fromkeys(way.reason for way in some if way.reason)) for _, some in by_variant]
    for line in table_lines(_COLUMNS, [_row(card, one, some) for one, some in by_variant], notes):
        click.echo(line)
    output.say(
        "photos/s and ms a text: the fastest way here. cosine, least: of photos' vectors with the model as it is; "
        "texts: the mean of texts'. top 10: share of the ten photos nearest to a text that stay. R@1: change of the "
        "share of captions that find their photo first. labels: share of photos whose likeliest label is another.",
        hanging="",
    )


def _row(card: ModelCard, variant: Variant, ways: list[MeasuredWay]) -> tuple[str, ...]:
    names = dict.fromkeys(name for tower in (variant.image, variant.text) for name, _ in tower.files)
    size = sum((card.folder / name).stat().st_size for name in names)
    rates = [way.images_per_s for way in ways if way.images_per_s]
    times = [way.query_ms for way in ways if way.query_ms]
    found = variant.compared
    numbers = ("",) * 6 if found is None else (
        f"{found.image_mean:.4f}", f"{found.image_least:.4f}", f"{found.text_mean:.4f}", f"{found.top10:.3f}",
        f"{found.recall[0]:+.3f}" if found.recall else "–", f"{found.labels:.3f}",
    )  # fmt: skip
    chosen = " and ".join({"ingest": "photos", "query": "texts"}[one] for way in ways for one in way.chosen_for)
    return (
        variant.name,
        f"{size / 1e6:,.0f}",
        f"{max(rates):,.0f}" if rates else "–",
        f"{min(times):.1f}" if times else "–",
        *numbers,
        f"for {chosen}" if chosen else "",
    )

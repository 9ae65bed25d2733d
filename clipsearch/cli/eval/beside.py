"""Measured figures beside published ones: `--against published`, the table and its fields in JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clipsearch.cli import output
from clipsearch.cli.columns import Columns, table_lines

if TYPE_CHECKING:
    from clipsearch.evaluation.published import Beside, PublishedModel

Function = TypeVar("Function", bound=Callable[..., Any])


def against_option(function: Function) -> Function:
    return click.option(
        "--against",
        type=click.Choice(["published"]),
        help="Print published figures beside the measured ones: of the same model, or of models of its size.",
    )(function)


def show_beside(
    name: str, set_title: str, set_name: str | None, kinds: Sequence[str], measured: Sequence[float], beside: Beside
) -> None:
    """`measured` are shares 0..1, one of each of `kinds` of figures, as the published ones are."""
    click.echo()
    if beside.model is None and not beside.others:
        output.say(f"Nobody's figures over {set_title} are known here: there is nothing to compare with.", hanging="")
        return
    assert set_name is not None
    shown: list[PublishedModel] = [beside.model] if beside.model else list(beside.others)
    if beside.model is None:
        output.say(f"No figure of {name} over {set_title} is published. Published models nearest in size:", hanging="")
    rows = [
        (kind, output.printable(name), "", f"{100 * share:.1f}", *_of_same(beside, set_name, place, share))
        for place, (kind, share) in enumerate(zip(kinds, measured, strict=True))
    ]
    rows += [
        (
            kind,
            one.title,
            "–" if one.params is None else f"{one.params:g}",
            "",
            f"{one.figures[set_name][place]:.1f}",
            "",
        )
        for one in beside.others
        for place, kind in enumerate(kinds)
    ]
    head = ("%", "model", "million weights", "measured", "published", "difference")
    for line in table_lines(Columns(head, numbers=(2, 3, 4, 5), dropped=(2,)), rows):
        click.echo(line)
    from clipsearch.evaluation.published import sources

    for source in sources(shown):
        output.say(output.dim(f"Published: {source}"), hanging="")


def _of_same(beside: Beside, set_name: str, place: int, share: float) -> tuple[str, str]:
    """The published figure of the same model, and how many points the measured one differs."""
    if beside.model is None:
        return "–", "–"
    figure = beside.model.figures[set_name][place]
    return f"{figure:.1f}", f"{100 * share - figure:+.1f}"


def beside_fields(set_name: str | None, kinds: Sequence[str], beside: Beside) -> dict[str, Any]:
    def row(one: PublishedModel) -> dict[str, Any]:
        assert set_name is not None
        figures = dict(zip(kinds, one.figures[set_name], strict=True))
        return {"model": one.name, "title": one.title, "percent": figures, "source": one.source}

    return {
        "same_model": None if beside.model is None else row(beside.model),
        "nearest_in_size": [row(one) for one in beside.others],
    }

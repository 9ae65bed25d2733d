"""`clipsearch model list`: which models are here, what they are worth and what one must know of them."""

from __future__ import annotations

import textwrap

import click

from clipsearch.cli import output
from clipsearch.cli.options import chosen_paths
from clipsearch.cli.sections import Verb
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.store import DEFAULT_MODEL, available_models
from clipsearch.errors import Exit


@click.group("model")
def command() -> None:
    """Show the models that turn photos and words into vectors."""


@command.command("list", cls=Verb)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_context
def model_list(context: click.Context, as_json: bool) -> int:
    """List the models on this machine."""
    paths = chosen_paths(context, None)
    cards, broken = available_models(paths.models)
    for error in broken:
        output.tell(f"clipsearch: {output.printable(error.message)}\nhint: {error.hint}")
    if as_json:
        output.write_json([_fields(card) for card in cards])
        return Exit.DONE
    for card in cards:
        _say(f"{card.name} {card.version}  ({card.dim} dimensions, {card.licence})")
        _say(f"  {card.summary}")
        for name, value in card.measured.items():
            _say(f"  {name}: {value}")
        if card.caution:
            _say(f"  Caution: {card.caution}")
    if [card.name for card in cards] == [DEFAULT_MODEL]:
        click.echo()
        _say(
            "The starter is a small model to begin with; a CLIP model finds much more. Put its folder (card.toml, two "
            f"ONNX towers, tokenizer) into {paths.models} and run: clipsearch index --model NAME",
            hanging="",
        )
    return Exit.DONE


def _say(text: str, *, hanging: str = "    ") -> None:
    """A paragraph; a terminal gets it in lines."""
    if output.is_terminal():
        text = textwrap.fill(
            text, output.width(), subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
        )
    click.echo(text)


def _fields(card: ModelCard) -> dict[str, object]:
    return {
        "name": card.name,
        "version": card.version,
        "summary": card.summary,
        "licence": card.licence,
        "caution": card.caution,
        "dim": card.dim,
        "measured": card.measured,
        "folder": str(card.folder),
    }

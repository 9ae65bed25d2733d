"""`clipsearch similarity`: the cosines of words and pictures, as the model itself sees them."""

from __future__ import annotations

import os
from pathlib import Path

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.columns import Columns, table_lines
from clipsearch.cli.options import backend_option, model_option, opened_engine, utf8
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit, UsageError

EPILOG = """\b
A cosine is no percentage: a right pair of the starter has 0.2, a wrong one
0.05. It needs no library.

\b
Examples:
  clipsearch similarity --text "a cat" --image cat.jpg
  clipsearch similarity --text "a cat" --text "a dog" --image pet.jpg --json
"""


@click.command("similarity", cls=Verb, epilog=EPILOG)
@click.option("--text", "texts", multiple=True, metavar="TEXT", help="Words; may be given several times.")
@click.option("--image", "images", multiple=True, type=Named(), metavar="PATH", help="A photo; likewise.")
@model_option
@click.option("--json", "as_json", is_flag=True, help="One JSON array, an object for each pair.")
@backend_option
@click.pass_context
def command(
    context: click.Context,
    texts: tuple[str, ...],
    images: tuple[Path, ...],
    model: str,
    as_json: bool,
    backend: str,
) -> int:
    """Show how alike words and photos are: one cosine for each pair."""
    if not texts or not images:
        raise UsageError("A text and a photo are compared.", 'clipsearch similarity --text "a cat" --image cat.jpg')
    asked = [utf8(text, "A text") for text in texts]
    if not all(text.strip() for text in asked):
        raise UsageError("A text is empty.", 'clipsearch similarity --text "a cat" --image cat.jpg')
    with opened_engine(context, model, backend) as engine:
        cosines = engine.similarity(asked, list(images))
    if as_json:
        output.write_json(
            [
                {"text": text, **output.path_fields(os.fsencode(image)), "score": round(float(cosine), 6)}
                for text, row in zip(asked, cosines, strict=True)
                for image, cosine in zip(images, row, strict=True)
            ]
        )
        return Exit.DONE
    head = ("", *(output.shown(os.fsencode(image.name)) for image in images))
    rows = [
        (output.printable(text), *(f"{cosine:.4f}" for cosine in row)) for text, row in zip(asked, cosines, strict=True)
    ]
    for line in table_lines(Columns(head, numbers=range(1, len(head))), rows):
        click.echo(line)
    return Exit.DONE

"""`clipsearch eval words`: mean average precision of single words."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.columns import Columns, table_lines
from clipsearch.cli.left_out import failure_fields, tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, model_option, opened_engine, utf8
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

if TYPE_CHECKING:
    from clipsearch.evaluation.encoded import EncodedObjects
    from clipsearch.evaluation.words import FoundWord

EPILOG = """\b
FILE is a table with the columns file and objects, a tab between them; the
objects are words with commas between. The photos lie beside it, in photos/ or
images/ there, or where --photos says. Each word is asked of all photos; its
figure is the average precision (scikit-learn's), and word mAP their mean.
In brackets: the 95 % interval, photos drawn anew.

\b
Examples:
  clipsearch eval words ~/data/objects.tsv
  clipsearch eval words ~/data/objects.tsv --min-photos 5 --template "a photo of a {}." --model vit-b-32-laion2b
"""
_SHOWN = 12  # words in the table of a terminal: the best and the worst half


@click.command("words", cls=Verb, epilog=EPILOG)
@click.argument("file", type=Named())
@click.option("--photos", "folder", type=Named(), metavar="DIR", help="Where the photos lie.")
@click.option(
    "--min-photos", type=click.IntRange(1), metavar="N", default=1, show_default=True, help="Words in N photos or more."
)
@click.option(
    "--template",
    "templates",
    multiple=True,
    help="A sentence with {} for the word, or the name of published ones; several are averaged. The word alone if none "
    "is given.",
)
@model_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@backend_option
@click.pass_context
def words(
    context: click.Context,
    file: Path,
    folder: Path | None,
    min_photos: int,
    templates: tuple[str, ...],
    model: str,
    as_json: bool,
    backend: str,
) -> int:
    """Measure how well a single word finds the photos that it is in."""
    from clipsearch.evaluation.encoded import classifier, encoded_objects
    from clipsearch.evaluation.objects import in_photos, objects_of_photos
    from clipsearch.evaluation.words import word_search
    from clipsearch.labels.sets import checked_templates

    sentences = checked_templates([utf8(template, "A template") for template in templates] or ["{}"])
    asked = in_photos(objects_of_photos(file, folder), min_photos)
    with opened_engine(context, model, backend) as engine, meter("photos") as progress:
        encoded = encoded_objects(engine, asked, min_photos, progress)
        words = encoded.asked.words
        found = word_search(encoded.vectors @ classifier(engine, words, sentences).T, encoded.asked.present, words)
        name = engine.card.name
    if as_json:
        said = {"model": name, "photos": len(encoded.vectors), "templates": sentences, "min_photos": min_photos}
        left_out = {"failures": failure_fields(encoded.failures), "words_left_out": list(encoded.left_out)}
        output.write_json(said | asdict(found) | left_out)
        return Exit.DONE
    output.say(f"{name} · {len(encoded.vectors):,} photos · {len(found.words):,} words")
    output.say(f"word mAP {found.mean:.3f} [{found.low:.3f}, {found.high:.3f}], by chance {found.chance:.3f}")
    click.echo()
    _show_words(sorted(found.words, key=lambda one: -one.precision))
    _show_left_out(encoded, min_photos)
    return Exit.DONE


def _show_left_out(encoded: EncodedObjects, least: int) -> None:
    if not encoded.failures:
        return
    photos, words = len(encoded.failures), encoded.left_out
    said = f"Left out: {photos:,} photo{'s' * (photos != 1)} that cannot be read"
    if words:
        others = "no other" if least == 1 else f"fewer than {least:,} others"
        is_in = f"{'words that are' if len(words) > 1 else 'word that is'} in {others}"
        said += f", with {len(words):,} {is_in}: {', '.join(words)}"
    output.say(output.printable(said))
    tell_failures(encoded.failures)


def _show_words(found: list[FoundWord]) -> None:
    if len(found) > _SHOWN:
        output.say(f"The best and the worst of {len(found):,} words; --json has all.", hanging="")
        found = [*found[: _SHOWN // 2], *found[-_SHOWN // 2 :]]
    rows = [
        (output.printable(one.word), f"{one.photos:,}", f"{one.precision:.3f}", f"{one.chance:.3f}") for one in found
    ]
    for line in table_lines(Columns(("word", "photos", "precision", "by chance"), numbers=(1, 2, 3)), rows):
        click.echo(line)

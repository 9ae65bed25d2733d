"""`clipsearch eval retrieval`: R@1, 5 and 10 of captions and of photos."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.columns import Columns, table_lines
from clipsearch.cli.eval.beside import against_option, beside_fields, show_beside
from clipsearch.cli.left_out import failure_fields, tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, model_option, opened_engine
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

if TYPE_CHECKING:
    from clipsearch.evaluation.captions import CaptionedPhotos
    from clipsearch.evaluation.encoded import EncodedCaptions
    from clipsearch.evaluation.retrieval import Recall

EPILOG = """\b
FILE is a table with the columns file and caption, COCO's captions JSON, one of
Karpathy's splits (dataset_coco.json, dataset_flickr30k.json; the test part),
or one of Flickr's token files. The photos lie beside it, in photos/ or images/
there, or where --photos says. In brackets: the 95 % interval, photos drawn anew.

\b
Examples:
  clipsearch eval retrieval ~/data/captions.tsv
  clipsearch eval retrieval dataset_flickr30k.json --photos ~/flickr30k-images --against published
  clipsearch eval retrieval ~/coco/captions_val2017.json --photos ~/coco/val2017 --model vit-b-32-laion2b
"""
_KINDS = ("captions R@1", "photos R@1")  # what others publish


@click.command("retrieval", cls=Verb, epilog=EPILOG)
@click.argument("file", type=Named())
@click.option("--photos", "folder", type=Named(), metavar="DIR", help="Where the photos lie.")
@click.option(
    "--set",
    "set_name",
    type=click.Choice(["coco", "flickr30k"]),
    help="Which published set it is, where FILE does not tell: for --against.",
)
@against_option
@model_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@backend_option
@click.pass_context
def retrieval(
    context: click.Context,
    file: Path,
    folder: Path | None,
    set_name: str | None,
    against: str | None,
    model: str,
    as_json: bool,
    backend: str,
) -> int:
    """Measure how often a caption finds its photo, and a photo its captions."""
    from clipsearch.evaluation.captions import SETS, captioned_photos
    from clipsearch.evaluation.encoded import encoded_captions
    from clipsearch.evaluation.published import published_beside
    from clipsearch.evaluation.retrieval import to_captions, to_photos

    asked = captioned_photos(file, folder, set_name)
    with opened_engine(context, model, backend) as engine:
        with meter("photos") as progress:
            encoded = encoded_captions(engine, asked, progress)
        name = engine.card.name
        beside = published_beside(engine.card, asked.published) if against else None
    by_caption = to_photos(encoded.captions, encoded.photos, encoded.photo_of)
    by_photo = to_captions(encoded.photos, encoded.captions, encoded.photo_of)
    if as_json:
        fields = _fields(name, asked, encoded, by_caption, by_photo)
        if beside is not None:
            fields["published"] = beside_fields(asked.published, _KINDS, beside)
        output.write_json(fields)
        return Exit.DONE
    _show(name, asked, encoded, [("captions find their photo", by_caption), ("photos find a caption", by_photo)])
    if beside is not None:
        title = output.printable(file.name) if asked.published is None else SETS[asked.published][0]
        show_beside(name, title, asked.published, _KINDS, (by_caption[0].share, by_photo[0].share), beside)
    return Exit.DONE


def _show(name: str, asked: CaptionedPhotos, encoded: EncodedCaptions, rows: list[tuple[str, list[Recall]]]) -> None:
    output.say(f"{name} · {len(encoded.photos):,} photos · {len(encoded.captions):,} captions")
    head = ("", *(f"R@{one.k}" for one in rows[0][1]))
    shown = [(what, *map(_share, recalls)) for what, recalls in rows]
    for line in table_lines(Columns(head, numbers=range(1, len(head))), shown):
        click.echo(line)
    if encoded.failures:
        photos = f"{len(encoded.failures):,} photo{'s' * (len(encoded.failures) != 1)}"
        output.say(f"Left out: {photos} that cannot be read, with {encoded.left_out:,} captions")
    if asked.differences:
        output.say(f"Note: no figure like the published ones: {'; '.join(asked.differences)}")
    tell_failures(encoded.failures)


def _fields(
    name: str, asked: CaptionedPhotos, encoded: EncodedCaptions, by_caption: list[Recall], by_photo: list[Recall]
) -> dict[str, Any]:
    return {
        "model": name,
        "published_set": asked.published,
        "unlike_published": list(asked.differences),
        "photos": len(encoded.photos),
        "captions": len(encoded.captions),
        "failures": failure_fields(encoded.failures),
        "captions_left_out": encoded.left_out,
        "text_to_image": [asdict(one) for one in by_caption],
        "image_to_text": [asdict(one) for one in by_photo],
    }


def _share(one: Recall) -> str:
    return f"{one.share:.3f} [{one.low:.3f}, {one.high:.3f}]"

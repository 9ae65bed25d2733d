"""`clipsearch eval retrieval`: R@1, 5 and 10 of captions and of photos."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.columns import Columns, table_lines
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, model_option, opened_engine
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

if TYPE_CHECKING:
    from clipsearch.evaluation.retrieval import Recall

EPILOG = """\b
FILE is a table with the columns file and caption, COCO's captions JSON, or one
of Flickr's token files. The photos lie beside it, in photos/ or images/ there,
or where --photos says. In brackets: the 95 % interval, photos drawn anew.

\b
Examples:
  clipsearch eval retrieval ~/data/captions.tsv
  clipsearch eval retrieval ~/coco/captions_val2017.json --photos ~/coco/val2017 --model vit-b-32-laion2b
"""


@click.command("retrieval", cls=Verb, epilog=EPILOG)
@click.argument("file", type=Named())
@click.option("--photos", "folder", type=Named(), metavar="DIR", help="Where the photos lie.")
@model_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@backend_option
@click.pass_context
def retrieval(context: click.Context, file: Path, folder: Path | None, model: str, as_json: bool, backend: str) -> int:
    """Measure how often a caption finds its photo, and a photo its captions."""
    from clipsearch.evaluation.captions import captioned_photos
    from clipsearch.evaluation.encoded import photo_vectors
    from clipsearch.evaluation.retrieval import to_captions, to_photos

    asked = captioned_photos(file, folder)
    with opened_engine(context, model, backend) as engine, meter("photos") as progress:
        photos = photo_vectors(engine, asked.photos, progress)
        # Past the text cache, which holds vectors of whichever way came first, and a person's own queries.
        captions = engine.freshly_encoded(asked.captions)
        name = engine.card.name
    by_caption = to_photos(captions, photos, asked.photo_of)
    by_photo = to_captions(photos, captions, asked.photo_of)
    if as_json:
        output.write_json(
            {
                "model": name,
                "photos": len(asked.photos),
                "captions": len(asked.captions),
                "text_to_image": [asdict(one) for one in by_caption],
                "image_to_text": [asdict(one) for one in by_photo],
            }
        )
        return Exit.DONE
    output.say(f"{name} · {len(asked.photos):,} photos · {len(asked.captions):,} captions")
    rows = [("captions find their photo", by_caption), ("photos find a caption", by_photo)]
    head = ("", *(f"R@{one.k}" for one in by_caption))
    shown = [(what, *map(_share, recalls)) for what, recalls in rows]
    for line in table_lines(Columns(head, numbers=range(1, len(head))), shown):
        click.echo(line)
    return Exit.DONE


def _share(one: Recall) -> str:
    return f"{one.share:.3f} [{one.low:.3f}, {one.high:.3f}]"

"""`clipsearch lab map`: the library as a map of pictures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli import output
from clipsearch.cli.lab.showing import command_line, page_option
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, library_option, opened, utf8
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

if TYPE_CHECKING:
    from clipsearch.lab.projection import Projection

_MOST = 20_000  # photos of a page that a browser still opens

EPILOG = """\b
One page that needs nothing else: photos that look alike lie together, more of
them appear as one zooms in, a click opens the original. PCA needs nothing and
takes a second; UMAP keeps neighbours together far better, takes longer, and
needs the extra [lab]: pip install 'clipsearch[lab]'

\b
Examples:
  clipsearch lab map --output map.html
  clipsearch lab map --by umap --photos 5000 --output map.html
  clipsearch lab map in:Crete year:2018 --output crete.html
"""


@click.command("map", cls=Verb, epilog=EPILOG)
@click.argument("words", nargs=-1, metavar="[QUERY]...")
@page_option
@click.option(
    "--by",
    type=click.Choice(["pca", "umap"]),
    default="pca",
    show_default=True,
    help="How vectors become places; umap needs the extra [lab].",
)
@click.option(
    "--photos",
    type=click.IntRange(3, _MOST),
    metavar="N",
    default=2_000,
    show_default=True,
    help="The most photos; of a larger library those that stand for all.",
)
@click.option("--json", "as_json", is_flag=True, help="What was drawn, as one JSON object.")
@backend_option
@library_option
@click.pass_context
def map_(
    context: click.Context,
    words: tuple[str, ...],
    target: Path,
    by: Projection,
    photos: int,
    as_json: bool,
    backend: str,
    library: str | None,
) -> int:
    """Write the library as a map of pictures, alike beside alike."""
    from clipsearch.files import new_file
    from clipsearch.lab.map import library_map
    from clipsearch.lab.map_page import map_page

    started = time.perf_counter()
    with opened(context, library, backend) as opened_library:
        found = library_map(opened_library, utf8(" ".join(words), "The query"), by=by, photos=photos)
        with meter("pictures") as progress, new_file(target) as part, part.open("w", encoding="utf-8") as page:
            page.writelines(map_page(opened_library, found, command_line(), progress))
    size = target.stat().st_size
    if as_json:
        output.write_json(
            {
                "model": found.model,
                "by": found.by,
                "photos": len(found.photos),
                "of": found.of,
                "neighbours_kept": round(found.kept, 4),
                "regions": [{"name": one.name, "photos": one.photos} for one in found.regions],
                "bytes": size,
                "seconds": round(time.perf_counter() - started, 2),
            }
        )
        return Exit.DONE
    of = "" if len(found.photos) == found.of else f" of {found.of:,}"
    output.say(f"{target} · {len(found.photos):,}{of} photos · {output.size_text(size)}")
    output.say(f"{found.kept:.0%} of each photo's nearest are its nearest on the map too.")
    if by == "pca":
        output.narrate("UMAP keeps more of them: --by umap")
    return Exit.DONE

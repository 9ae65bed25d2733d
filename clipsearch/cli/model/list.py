"""`clipsearch model list`: which models are here, which can be fetched, what they find and what they cost."""

from __future__ import annotations

from collections.abc import Sequence

import click

from clipsearch.cli import output
from clipsearch.cli.columns import Columns, table_lines
from clipsearch.cli.model.words import card_fields, entry_fields, gflop_text, measured_text, percent_text
from clipsearch.cli.options import chosen_paths
from clipsearch.cli.sections import Verb
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.pulling.catalogue import Entry, catalogue
from clipsearch.engine.store import available_models, begun_models, model_handle
from clipsearch.errors import Exit

EPILOG = """\b
"finds" is text-to-image R@1 on COCO, in percent, as published; "GFLOP" is
one photo and one text (~ computed from parameters, – unknown). The list is
sorted by the first per the second.

\b
Examples:
  clipsearch model list
  clipsearch model list --json | jq '.[] | select(.languages == "many") | .name'
"""

_COLUMNS = Columns(
    head=("", "model", "finds", "GFLOP", "size", "languages", "licence"),
    numbers=(2, 3, 4),
    dropped=(5, 6, 4, 3),
    indent=2,
)


@click.command("list", cls=Verb, epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="One JSON array: what is here, then what is known.")
@click.pass_context
def model_list(context: click.Context, as_json: bool) -> int:
    """List the models on this machine, and those that can be fetched."""
    paths = chosen_paths(context, None)
    cards, broken = available_models(paths.models)
    for error in broken:
        output.tell(f"clipsearch: {output.printable(error.message)}\nhint: {error.hint}")
    here = {card.folder.name for card in cards}
    if as_json:
        known = [entry_fields(entry) for entry in catalogue() if entry.name not in here]
        by_name = {entry.name: entry_fields(entry) for entry in catalogue()}
        output.write_json([*({**by_name.get(card.folder.name, {}), **card_fields(card)} for card in cards), *known])
        return Exit.DONE
    click.echo("Here")
    for card in cards:
        _installed(card, model_handle(card, paths.models))
    for name in begun_models(paths.models):
        output.say(
            f"  {output.printable(name)}  fetched in part: clipsearch model pull {output.printable(name)} goes on"
        )
    ready = [entry for entry in catalogue() if entry.repository]
    click.echo()
    output.say("Known, the most found per cost first (● here, ! research only)", hanging="")
    for line in table_lines(_COLUMNS, [_row(entry, here) for entry in ready]):
        click.echo(line)
    click.echo()
    others = len(catalogue()) - len(ready)
    output.say(
        f"finds: text-to-image R@1 on COCO in percent, as published. GFLOP: one photo and one text, ~ computed, – "
        f"unknown. {others} more have to be exported first; clipsearch model list --json has them too.",
        hanging="",
    )
    output.say("Fetch one with clipsearch model pull NAME, then search with it: clipsearch model use NAME", hanging="")
    return Exit.DONE


def _installed(card: ModelCard, name: str) -> None:
    """Under the name that the other commands take: its card may call it otherwise."""
    output.say(f"  {output.printable(name)} {card.version}  ({card.dim} dimensions, {output.printable(card.licence)})")
    output.say(f"    {output.printable(card.summary)}", hanging="      ")
    for name, value in card.measured.items():
        output.say(f"    {name}: {measured_text(value)}", hanging="      ")
    if card.caution:
        output.say(f"    Caution: {output.printable(card.caution)}", hanging="      ")


def _row(entry: Entry, here: set[str]) -> Sequence[str]:
    mark = "●" if entry.name in here else "!" if entry.restricted else ""
    licence = "research" if entry.restricted else entry.licence
    size = output.size_text(entry.megabytes * 1e6)
    found, cost = percent_text(entry.coco), gflop_text(entry)
    return (mark, entry.name, found, cost, size, entry.family.languages, licence)

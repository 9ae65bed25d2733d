"""`clipsearch model info`: all that is known of one model, here or not."""

from __future__ import annotations

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import filled
from clipsearch.cli.model.words import card_fields, entry_fields, gflop_text, measured_text, percent_text
from clipsearch.cli.options import chosen_paths
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import known_models
from clipsearch.engine.cards import ModelCard, Variant
from clipsearch.engine.pulling.catalogue import Entry, entry_for
from clipsearch.engine.store import find_model
from clipsearch.errors import Exit, ModelError


@click.command("info", cls=Verb, epilog="\b\nExamples:\n  clipsearch model info siglip2-b-32-256")
@click.argument("name", callback=filled, shell_complete=known_models)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def info(context: click.Context, name: str, as_json: bool) -> int:
    """Show all that is known of the model NAME: what it finds, costs, reads, and under which terms."""
    card, entry = _found(name, context)
    if as_json:
        output.write_json({**(entry_fields(entry) if entry else {}), **(card_fields(card) if card else {})})
        return Exit.DONE
    rows = [*(_published(entry) if entry else ()), *(_here(card) if card else ())]
    if entry and card is None:
        way = (
            f"clipsearch model pull {entry.name}"
            if entry.repository
            else f"no ready-made towers; export {entry.weights}"
        )
        rows.append(("To get it", way))
    width = max(len(title) for title, _ in rows)
    for title, text in rows:
        output.say(f"{title:<{width}}  {output.printable(text)}", hanging=" " * (width + 2))
    return Exit.DONE


def _found(name: str, context: click.Context) -> tuple[ModelCard | None, Entry | None]:
    entry = entry_for(name)
    try:
        card = find_model(name, chosen_paths(context, None).models)
    except ModelError:
        if entry is None:
            raise
        return None, entry
    return card, entry or entry_for(card.name)


def _published(entry: Entry) -> list[tuple[str, str]]:
    unsure = f" ({', '.join(entry.unconfirmed)}: not confirmed)" if entry.unconfirmed else ""
    parts = " + ".join(f"{part:g}" for part in entry.params)
    found = [
        ("ImageNet zero-shot", entry.imagenet), ("Flickr30k R@1", entry.flickr), ("COCO R@1", entry.coco),
        ("36 languages R@1", entry.crossmodal),
    ]  # fmt: skip
    return [
        ("Model", f"{entry.name}: {entry.title}{unsure}"),
        ("Languages", entry.family.languages),
        ("Pictures", f"{entry.size} px, {entry.image.resize}, {entry.image.interpolation}"),
        ("Vectors", f"{entry.dim} dimensions"),
        ("Parameters", f"{parts} million"),
        ("Cost", f"{gflop_text(entry)} GFLOP for one photo and one text"),
        ("On the disk", f"about {output.size_text(entry.megabytes * 1e6)}"),
        ("Finds", ", ".join(f"{name} {percent_text(value)} %" for name, value in found if value is not None) or "–"),
        ("Source", entry.source or "nothing published is known"),
        ("Licence", entry.licence_text),
        *([("Caution", entry.family.caution)] if entry.family.caution else []),
    ]


def _here(card: ModelCard) -> list[tuple[str, str]]:
    return [
        ("Here", f"{card.name} {card.version}, {card.folder}"),
        ("From", card.origin or "–"),
        ("Summary", card.summary),
        ("Its licence", card.licence),
        *([("Its caution", card.caution)] if card.caution else []),
        ("Variants", "; ".join(_variant(card, one) for one in card.variants)),
        *((name, measured_text(value)) for name, value in card.measured.items()),
    ]


def _variant(card: ModelCard, variant: Variant) -> str:
    from clipsearch.engine.choosing.candidates import refusal  # numpy comes with it

    found, refused = variant.compared, refusal(card, variant)
    if found is None:
        return f"{variant.name} (refused: {refused})" if refused else variant.name
    cosines = f"cosine {found.image_mean:.4f}, texts {found.text_mean:.4f}"
    return f"{variant.name} ({cosines}, ten nearest {found.top10:.3f}{', refused' if refused else ''})"

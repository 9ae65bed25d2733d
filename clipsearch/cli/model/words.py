"""What is said of a model: the same facts for a table, a page of one model, and JSON."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from clipsearch.engine.cards import ModelCard
from clipsearch.engine.pulling.catalogue import Entry


def agreed(question: str) -> bool | None:
    """What a person answers; None where nobody can be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return click.confirm(question, err=True)


def card_fields(card: ModelCard) -> dict[str, object]:
    return {
        "name": card.name,
        "installed": True,
        "version": card.version,
        "summary": card.summary,
        "licence": card.licence,
        "caution": card.caution,
        "dim": card.dim,
        "measured": card.measured,
        "origin": card.origin,
        "folder": str(card.folder),
        "variants": [
            {"name": one.name, "compared": None if one.compared is None else asdict(one.compared)}
            for one in card.variants
        ],
    }


def entry_fields(entry: Entry) -> dict[str, object]:
    """Published facts; null where nothing is published."""
    return {
        "name": entry.name,
        "installed": False,
        "title": entry.title,
        "repository": entry.repository,
        "weights": entry.weights,
        "licence": entry.licence_text,
        "restricted": entry.restricted,
        "languages": entry.family.languages,
        "caution": entry.family.caution,
        "dim": entry.dim,
        "size_px": entry.size,
        "params_millions": round(sum(entry.params), 1),
        "gflop": entry.gflop,
        "gflop_computed": entry.gflop_computed,
        "megabytes": entry.megabytes,
        "imagenet": entry.imagenet,
        "flickr_r1": entry.flickr,
        "coco_r1": entry.coco,
        "crossmodal_r1": entry.crossmodal,
        "coco_r1_per_gflop": round(entry.value, 3) if entry.value else None,
        "source": entry.source,
        "unconfirmed": list(entry.unconfirmed),
    }


def gflop_text(entry: Entry) -> str:
    if entry.gflop is None:
        return "–"
    return f"{'~' if entry.gflop_computed else ''}{entry.gflop:,.0f}"


def percent_text(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def measured_text(value: float | str) -> str:
    """A share as the table of published ones has it, in percent."""
    return f"{value:.1%}".replace("%", " %") if isinstance(value, float) else str(value)

"""How photos and their labels look: a table on a terminal, rows and CSV for programs, JSON."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click

from clipsearch.cli import output
from clipsearch.cli.voice import is_verbose
from clipsearch.printable import percent
from clipsearch.types import Labelled

UNKNOWN = "unknown"  # what stands where a label would


def teller(as_csv: bool, as_json: bool, ndjson: bool, places: Sequence[bytes]) -> Callable[[Labelled], None]:
    """What is done with each result as it comes; what all `places` share is said once, above the first."""
    if as_json:
        return lambda result: None
    if ndjson:
        return lambda result: output.write_ndjson([labelled_fields(result)])
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["path", "label", "probability", "score", "others"])
        return partial(_csv_row, writer)
    if output.is_terminal():
        return _table(_common_folder(places))
    return _row


def labelled_fields(result: Labelled) -> dict[str, Any]:
    return {
        **output.path_fields(result.path),
        "label": result.label,
        "probability": None if result.probability is None else round(result.probability, 6),
        "labels": [
            {"label": one.label, "probability": round(one.probability, 6), "score": round(one.score, 6)}
            for one in result.labels
        ],
    }


def _csv_row(writer: Any, result: Labelled) -> None:
    """The numbers are the label's: none where it is a broader one, or none fits; the best is among the others then."""
    best = result.labels[0]
    is_best = result.label == best.label
    numbers = [f"{best.probability:.4f}", f"{best.score:.4f}"] if is_best else ["", ""]
    rest = "; ".join(f"{one.label} {one.probability:.4f}" for one in result.labels[is_best:])
    path = result.path.decode("utf-8", "backslashreplace")
    writer.writerow([path, result.label or UNKNOWN, *numbers, rest])


def _row(result: Labelled) -> None:
    """For programs: path, label and its probability, tab-separated; the path in the disk's own bytes."""
    label = result.label or UNKNOWN
    share = "" if result.probability is None else f"{result.probability:.4f}"
    sys.stdout.buffer.write(result.path + f"\t{label}\t{share}\n".encode())


def _table(folder: bytes) -> Callable[[Labelled], None]:
    head = [folder] if folder else []

    def tell(result: Labelled) -> None:
        while head:  # with the first row: where there is none, an error stands alone
            click.echo(output.dim(output.shown(head.pop())))
        _line(folder, result)

    return tell


def _line(folder: bytes, result: Labelled) -> None:
    """For a person: the name, the label in its column, and dimmed what else it could be."""
    best, others = result.labels[0], result.labels[1:]
    is_best = result.label == best.label
    cosine = f"  {best.score:.3f}" if is_verbose() else ""
    room = min(56, max(28, output.width() - 52))
    if output.width() < 50:  # the label is what was asked for
        room, others = output.width() - 28 - len(cosine), ()
    name = _name(output.shown(result.path[len(folder) :].lstrip(b"/")), room)
    label = output.padded(output.fitted(output.printable(result.label or UNKNOWN), 20), 20)
    share = "     " if result.probability is None else percent(result.probability)
    row = f"{output.padded(name, room)}  {label} {share}{cosine}"
    rest = [
        f"  {output.printable(one.label)} {percent(one.probability).strip()}"
        for one in (others if is_best else (best, *others))
    ]
    while rest and output.cells(row + "".join(rest)) > output.width():
        rest.pop()
    click.echo(row + output.dim("".join(rest)))


def _name(path: str, room: int) -> str:
    """The end of a path that is too long: files of one folder differ there."""
    while output.cells(path) > room and "/" in path.lstrip("…/"):
        path = "…/" + path.lstrip("…/").split("/", 1)[1]
    return output.fitted(path, room)


def _common_folder(places: Sequence[bytes]) -> bytes:
    """Nothing where it would say nothing."""
    folders = [path if os.path.isdir(path) else os.path.dirname(path) for path in map(os.path.abspath, places)]
    common = os.path.commonpath(folders) if folders else b""
    return b"" if common == b"/" else common

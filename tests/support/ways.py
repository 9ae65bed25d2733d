"""A machine on which the starter was measured and int8 found best: the verdict is written here, nothing is measured."""

from __future__ import annotations

import tempfile
from functools import cache as once
from pathlib import Path

from clipsearch.engine.backends import usable_cores
from clipsearch.engine.cards import read_card
from clipsearch.engine.choosing import choice
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.types import MeasuredWay

_ROW = MeasuredWay(
    "onnxruntime", "cpu", "f32", "int8", 16, usable_cores(), images_per_s=90.0, query_ms=3.0,
    verdict="good", fit_for=("ingest", "query"),
)  # fmt: skip


def measured_before(cache: Path) -> None:
    """int8 opens and runs in a third of the time of float32. Tests of what is chosen, and how, do without this."""
    target, text = _kept()
    folder = cache / target.parent
    folder.mkdir(parents=True, exist_ok=True)
    (cache / target).write_bytes(text)


@once
def _kept() -> tuple[Path, bytes]:
    card = read_card(STARTER_FOLDER)
    with tempfile.TemporaryDirectory() as folder:
        choice._keep(card, Path(folder), choice._Known({"onnxruntime": [["cpu", "f32"]]}, [_ROW]))
        (file,) = (path for path in Path(folder).rglob("*") if path.is_file())
        return file.relative_to(folder), file.read_bytes()

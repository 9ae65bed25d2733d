"""A machine on which the starter was measured and its int8 graph found best, as it is on most."""

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
    """Tests of what is searched and kept need a sixth of the arithmetic then; what is chosen, and how, has its own."""
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

"""The arithmetic of docs/scale.md stands on what the pages say, and multiplies it rightly.

That the page holds what the script prints is held by test_docs.py.
"""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType

import pytest

from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def scale() -> ModuleType:
    sys.path.insert(0, str(REPOSITORY / "scripts"))
    try:
        return importlib.import_module("manual.scale")
    finally:
        sys.path.remove(str(REPOSITORY / "scripts"))


def test_every_figure_is_said_where_it_claims_to_be_said(scale: ModuleType) -> None:
    """A benchmark that was run again, and costs that are still those of the last time."""
    assert len(scale.FIGURES) > 30
    for one in scale.FIGURES:
        assert one.quote in scale.said(one.page), f"{one.page} no longer says {one.quote!r} ({one.what})"
        assert f"{one.value:,g}" in re.findall(r"\d[\d,]*(?:\.\d+)?", one.quote), one


def test_every_command_names_a_benchmark_that_is_there(scale: ModuleType) -> None:
    """A number that nobody can make again."""
    for one in scale.FIGURES:
        if (named := re.match(r"python (\S+)", one.command)) is not None:
            assert (REPOSITORY / named[1]).is_file(), one


def test_cells_are_what_a_pocket_calculator_says(scale: ModuleType) -> None:
    """A slipped power of ten, which nobody sees among forty cells."""
    rows = {row.what: row for row in (*scale.ENCODING, *scale.LIBRARY, *scale.STORE)}
    hundred = {what: row.cell(10**8) for what, row in rows.items()}
    assert hundred["originals of 12 megapixels"] == "470 TB"  # 1e8 x 4.7 MB
    assert hundred["core-hours, ViT-B/32 int8"] == "1,900"  # 1e8 x 0.069 s / 3600 s = 1,917
    assert hundred["on 2 cores"] == "40 days"  # 1,917 h / 2 / 24 h = 39.9
    assert hundred["`merge`, one core"] == "1.2 h"  # 100 x 42.5 s = 4,250 s
    assert hundred["`vectors/`; twice that while a checkpoint is made"] == "130 GB"  # 1e8 x 1,288
    assert hundred["checkpoint from nothing"] == "15 min"  # 10 x 90 s
    assert hundred["added to each by the longest tail"] == "1.5 s"  # 500,000 / 20,000 x 60 ms
    assert hundred["a reader keeps on its disk"] == "40 GB"  # 100 x 400 MB
    assert rows["`vectors/`; twice that while a checkpoint is made"].cell(10**6) == "1.8 GB"  # with a graph: + 468


def test_bold_is_what_was_measured_at_that_size(scale: ModuleType) -> None:
    """What was multiplied, taken for what was measured."""
    for row in (*scale.ENCODING, *scale.LIBRARY, *scale.STORE):
        assert {size for size in scale.SIZES if "**" in row.cell(size)} == set(row.measured)
        assert max(row.measured, default=0) <= 10**7
        for size, value in row.measured.items():  # a line through the origin of the largest; a smaller one may differ
            if size == max(row.measured):
                assert row.of(size) == pytest.approx(value), row.what


def test_the_prose_repeats_what_the_figures_make(scale: ModuleType) -> None:
    """Tables made anew among sentences that were written about the old ones."""
    prose = scale.said("docs/scale.md")
    core_s, million = scale.photo_ms.value / 1000, 10**6
    bytes_each = scale.catalog_b.value + scale.files_b.value
    for said in (
        f"{million * core_s / 2 / 3600:.0f} h on 2 cores, {(bytes_each + scale.graph_b.value) / 1000:.1f} GB of disk",
        f"{round(10 * million * core_s / 3600, -1):.0f} core-hours, {bytes_each / 100:.0f} GB of disk",
        f"{round(100 * million * core_s / 3600, -2):,.0f} core-hours, {100 * scale.photo_mb.value:.0f} TB to read",
        f"reads {scale.photo_mb.value / core_s:.0f} MB/s meanwhile",
        f"{10 * scale.GIGABIT / (scale.photo_mb.value * scale.MB / core_s):.0f} one of 10",
        f"gains {scale.photo_ms.value / (scale.photo_ms.value - scale.model_ms.value):.1f} times at most",
        f"{scale.tail_ms.value / 20:.0f} ms for a thousand",
        f"{100 * scale.fetched_gb.value:.0f} GB to fetch and {scale.reader_mb.value / 10:.0f} GB to keep",
    ):
        assert said in prose, said


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0014, "1.4 ms"), (0.9, "900 ms"), (1, "1 s"), (59.9, "60 s"), (60, "1 min"), (3599, "60 min"),
     (47 * 3600, "47 h"), (49 * 3600, "2 days"), (400 * 86400, "400 days")],
)  # fmt: skip
def test_durations_have_two_digits_and_the_unit_that_people_use(scale: ModuleType, seconds: float, shown: str) -> None:
    """4.0e5 s, which nobody can picture."""
    assert scale.duration(seconds) == shown

"""Other programs read an exported table: the lines of docs/portable.md, run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipsearch.config import Paths
from clipsearch.library import Library
from tests.conftest import REPOSITORY, SAMPLES


def lines_of(program: str) -> str:
    """The block of the page that begins with the program's name."""
    page = (REPOSITORY / "docs" / "portable.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"```(?:sql|python)\n(?:--|#) {program}\n(.*?)```", page, flags=re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def true(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, float]]]:
    """A folder with photos.parquet, and what is nearest to the flower."""
    base = tmp_path_factory.mktemp("readers")
    photos = Path(shutil.copytree(SAMPLES / "garden", base / "Photos"))
    (photos / "broken.jpg").write_bytes(b"broken")
    with Library(Paths(base / "library", base / "cache", base / "models")) as library:
        assert list(library.index([photos], workers=1))
        library.export(base / "photos.parquet")
        found = library.similar(photos / "red-flower.jpg", k=10).hits
    return base, [(os.fsdecode(hit.path), round(hit.score or 0, 2)) for hit in found]


Rows = list[tuple[str, float]]


def by_duckdb() -> Rows:
    import duckdb

    return duckdb.sql(lines_of("DuckDB")).fetchall()


def by_pandas() -> Rows:
    import pandas

    names: dict[str, Any] = {"pandas": pandas, "numpy": np}
    exec(lines_of("pandas"), names)
    return list(names["best"].itertuples(index=False, name=None))


def by_spark() -> Rows:
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    names: dict[str, Any] = {"spark": spark}
    try:
        exec(lines_of("Spark"), names)
        return [tuple(row) for row in names["best"].collect()]
    finally:
        spark.stop()


@pytest.mark.parametrize(
    ("program", "needs"),
    [
        pytest.param(by_duckdb, "duckdb", id="DuckDB"),
        pytest.param(by_pandas, "pandas", id="pandas"),
        pytest.param(by_spark, "pyspark", id="Spark", marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_the_page_is_right_about_other_programs(
    true: tuple[Path, list[tuple[str, float]]],
    program: Callable[[], Rows],
    needs: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """People paste these lines; a type that one program does not know makes the file useless there."""
    if find_spec(needs) is None or (needs == "pyspark" and shutil.which("java") is None):
        pytest.skip(f"{needs} is not installed")
    folder, wanted = true
    monkeypatch.chdir(folder)
    assert [(path, round(cosine, 2)) for path, cosine in program()] == wanted

"""`clipsearch lab report`: all experiments in one page, and none lost to another that fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clipsearch import Engine
from clipsearch.errors import UsageError
from clipsearch.evaluation.captions import captioned_photos
from clipsearch.evaluation.labelled import labelled_photos
from clipsearch.lab.findings import Finding
from clipsearch.lab.page import page
from clipsearch.lab.report import Experiment, Material, experiments
from tests.cli.program import Program

CLASSES = {"cat": ("cat-on-armchair", "cat-face-cutout"), "bird": ("perched-osprey", "canyon-wren")}


def test_an_experiment_that_fails_is_named_and_costs_no_other() -> None:
    """Hours of measuring would be lost to one class too few."""

    def fails(progress: object) -> Finding:
        raise UsageError("One class says nothing.", "Name two.")

    finding, done = Experiment("Temperature", fails).found(lambda done, total: None)
    assert not done and finding.says == "Not done. One class says nothing. Name two."


def test_a_mistake_of_ours_is_not_hidden() -> None:
    """A page would say that an experiment could not be done, where it is broken."""

    def broken(progress: object) -> Finding:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Experiment("Temperature", broken).found(lambda done, total: None)


def test_what_cannot_be_written_is_told_before_hours_of_measuring(
    program: Program, photos: Path, tmp_path: Path
) -> None:
    assert program("lab", "report", photos, "--output", tmp_path / "nowhere" / "report.html").code == 5
    assert program("lab", "report", photos, "--output", tmp_path / "report.png").code == 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_experiments_are_in_one_page(photos: Path, tmp_path: Path) -> None:
    """The page would be no report of what was asked."""
    for name, files in CLASSES.items():
        (tmp_path / "set" / name).mkdir(parents=True)
        for file in files:
            source = next((photos / "animals").glob(f"{file}.*"))
            shutil.copy(source, tmp_path / "set" / name)
    captions = tmp_path / "captions.tsv"
    captions.write_text("file\tcaption\nset/cat/cat-on-armchair.jpg\ta cat\nset/bird/perched-osprey.jpg\ta bird\n")
    with Engine("starter", models_folder=tmp_path, cache_folder=tmp_path / "cache") as engine:
        labelled = labelled_photos(tmp_path / "set")
        material = Material([engine, engine], labelled, captioned_photos(captions), (), tmp_path / "cache")
        outcomes = [one.found(lambda done, total: None) for one in experiments(material)]
    text = page("Report", "a test", [finding for finding, _ in outcomes])
    assert [finding.says for finding, done in outcomes if not done] == []
    headings = ("Models", "Prompts", "Temperature", "Embedding space", "text cache", "Precision", "Batches", "compared")
    assert [one for one in headings if one not in text] == []
    assert "<script" not in text and text.count("<svg") > 8

"""`clipsearch lab report`: all experiments in one page, and none lost to another that fails."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from clipsearch import Engine
from clipsearch.cli import run
from clipsearch.errors import UsageError
from clipsearch.evaluation.captions import captioned_photos
from clipsearch.evaluation.labelled import labelled_photos
from clipsearch.lab.findings import Finding
from clipsearch.lab.page import page
from clipsearch.lab.report import Experiment, Material, experiments
from clipsearch.types import Picture
from tests.cli.program import Program

Report = Callable[[Path, Path], int]

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


@pytest.fixture
def report(program: Program, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Its exit code, in this process: experiments can be replaced."""
    for name, value in program.environment.items():
        monkeypatch.setenv(name, value)
    return lambda folder, target: run(["lab", "report", str(folder), "--output", str(target)])


def tiny_set(folder: Path, photos: Path, *, broken: int = 0, whole: bool = True) -> Path:
    """Two classes of two photos each, if `whole`; and `broken` files that are none."""
    for name, files in CLASSES.items():
        (folder / name).mkdir(parents=True)
        for file in files if whole else ():
            shutil.copy(next((photos / "animals").glob(f"{file}.*")), folder / name)
        for number in range(broken):
            (folder / name / f"broken-{number}.jpg").write_bytes(b"nothing")
    return folder


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (ZeroDivisionError, 5)])
def test_what_was_found_is_written_although_the_run_ends_early(
    report: Report, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException], code: int
) -> None:
    """Hours of measuring would be lost to one key, or to a mistake of ours in the last experiment."""

    def ends(progress: object) -> Finding:
        raise error

    asked = [Experiment("First", lambda progress: Finding("First", "It was found.")), Experiment("Second", ends)]
    asked.append(Experiment("Third", lambda progress: Finding("Third", "Never asked.")))
    monkeypatch.setattr("clipsearch.lab.report.experiments", lambda material: tuple(asked))
    target = tmp_path / "report.html"
    folder = tiny_set(tmp_path / "set", photos)
    assert report(folder, target) == code
    text = target.read_text("utf-8")
    assert "It was found." in text and "Never asked." not in text
    assert re.findall("<h2[^>]*>(.*?)</h2>\n<p>(Not done.*?)</p>", text) == [
        ("Second", "Not done: the run ended during it."),
        ("Third", "Not done: the run ended before it."),
    ]


def test_photos_of_which_none_can_be_read_leave_a_page_that_says_so(
    report: Report, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else was measured for a minute, and no page written at its end."""
    folder = tiny_set(tmp_path / "set", photos, broken=1, whole=False)
    monkeypatch.setattr("clipsearch.lab.report.experiments", lambda material: experiments(material)[:2])
    target = tmp_path / "report.html"
    assert report(folder, target) == 5
    text = target.read_text("utf-8")
    assert ">Models</h2>" in text and "Not done. None of the photos can be read." in text


def test_photos_that_cannot_be_read_are_all_in_the_page(
    report: Report, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Stderr names five, and says that the page has the rest."""
    folder = tiny_set(tmp_path / "set", photos, broken=4)
    wanted = ("Models", "The space of the classes")
    monkeypatch.setattr(
        "clipsearch.lab.report.experiments",
        lambda material: tuple(one for one in experiments(material) if one.title in wanted),
    )
    target = tmp_path / "report.html"
    assert report(folder, target) == 0
    assert "3 more were left out; the page names them all" in capfd.readouterr().err
    assert target.read_text("utf-8").count("broken-") == 8


@pytest.mark.parametrize("whole", [True, False])
def test_a_photo_that_cannot_be_read_is_tried_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """On a failing disk each try takes minutes, and every experiment tried again."""
    folder = tiny_set(tmp_path / "set", photos, broken=1, whole=whole)
    asked: list[str] = []

    def noted(engine: Engine, pictures: Sequence[Picture]) -> Iterator[object]:
        asked.extend(str(one) for one in pictures)
        return each_prepared(engine, pictures)

    def timed(*all: object) -> None:
        raise UsageError("Not timed.", "It takes long.")

    each_prepared = Engine.each_prepared
    monkeypatch.setattr(Engine, "each_prepared", noted)
    monkeypatch.setattr("clipsearch.lab.precision._measured", lambda *all: [])  # it has read all photos by then
    monkeypatch.setattr("clipsearch.lab.compare._speeds", timed)
    with Engine("starter", models_folder=tmp_path, cache_folder=tmp_path / "cache") as engine:
        material = Material([engine, engine], labelled_photos(folder), None, (), tmp_path / "cache")
        for one in experiments(material):
            if one.title in ("The space of the classes", "Precision", "Models compared"):
                one.found(lambda done, total: None)
    assert [one.split("/")[-2:] for one in asked if "broken" in one] == [
        ["bird", "broken-0.jpg"],
        ["cat", "broken-0.jpg"],
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_experiments_are_in_one_page(photos: Path, tmp_path: Path) -> None:
    """The page would be no report of what was asked."""
    tiny_set(tmp_path / "set", photos)
    captions = tmp_path / "captions.tsv"
    captions.write_text("file\tcaption\nset/cat/cat-on-armchair.jpg\ta cat\nset/bird/perched-osprey.jpg\ta bird\n")
    with Engine("starter", models_folder=tmp_path, cache_folder=tmp_path / "cache") as engine:
        labelled = labelled_photos(tmp_path / "set")
        material = Material([engine, engine], labelled, captioned_photos(captions), (), tmp_path / "cache")
        outcomes = [one.found(lambda done, total: None) for one in experiments(material)]
    text = page("Report", "a test", [finding for finding, _ in outcomes])
    assert [finding.says for finding, done in outcomes if not done] == []
    headings = ["Accuracy", "Models", "Prompts", "Temperature", "captions", "cache", "Precision", "Batches", "compared"]
    assert [one for one in headings if one not in text] == []
    assert "<script" not in text and text.count("<svg") > 8

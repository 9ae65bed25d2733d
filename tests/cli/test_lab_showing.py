"""How findings look: nothing runs over the terminal, nothing is lost, and JSON names a path alike everywhere."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from clipsearch.cli.lab import showing
from clipsearch.cli.left_out import failure_fields
from clipsearch.cli.written import new_file_ending
from clipsearch.errors import SystemFault
from clipsearch.lab.findings import Column, Finding, Table
from clipsearch.types import FailedFile

HEAD = ("acc@1", "called otherwise", "images of a second", "memory at its most", "to the first", "of all texts")
ROWS = (("fp32/onnxruntime-cpu with a long name", *range(6)), ("int8", *range(1000, 1006)))
WIDE = Table("What it costs", (Column("variant and way"), *(Column(one, "measured") for one in HEAD)), ROWS)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns, with colours."""
    monkeypatch.setattr("clipsearch.cli.output.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")


def told(finding: Finding, capsys: pytest.CaptureFixture[str]) -> str:
    with click.Context(click.Command("lab"), color=True):
        showing.show(None, finding, None, False)
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 60, 30])
def test_a_wide_table_is_folded_and_loses_nothing(
    terminal: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    """The terminal breaks lines anywhere, and no figure stands below its head."""
    monkeypatch.setenv("COLUMNS", str(columns))
    text = re.sub(r"\x1b\[[0-9]*m", "", told(Finding("Precision", "It is fast.", (WIDE,)), capsys))
    assert max(map(len, text.splitlines())) <= columns, text
    words = [word for one in HEAD for word in one.split()] + ["1,005", "1,000", "int8", "onnxruntime"]
    assert [one for one in words if one not in text.replace("\n", " ")] == []
    assert text.count("int8") == text.count("variant")  # each block says whose figures these are


def test_a_table_that_fits_is_as_it_was(terminal: None, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("Sizes", (Column("model"), Column("size", "measured", "MB")), (("starter", 12),))
    assert "model    size, MB" in told(Finding("Models", "Small.", (table,)), capsys)


def test_dim_notes_use_the_whole_line(terminal: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Codes of colours were counted as letters: lines ended early, and one colour ran over several lines."""
    note = "word " * 30
    lines = told(Finding("Notes", "Says.", notes=(note,)), capsys).splitlines()
    dim = [one for one in lines if "word" in one]
    assert all(one.startswith("\x1b[2m") and one.endswith("\x1b[0m") for one in dim)
    assert len(re.sub(r"\x1b\[[0-9]*m", "", dim[0])) == 79


def test_a_name_in_a_finding_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    """A folder's name could hide or forge what was found."""
    text = told(Finding("T", "Best is a\x1b[2Jb.", notes=("Not a\x1b[2Jb.",)), capsys)
    assert "\x1b[2J" not in text and text.count("a\\x1b[2Jb") == 2


def test_a_path_that_is_not_utf_8_can_be_turned_back_from_json() -> None:
    """A script could not name the photo; and each command wrote it in another way."""

    @dataclass(frozen=True)
    class Result:
        failures: tuple[FailedFile, ...]

    failures = (FailedFile(b"/p/caf\xe9.jpg", "damaged", 1),)
    found = showing.fields(Result(failures))["failures"]
    assert found == failure_fields(failures) and "path_b64" in found[0]


def test_a_folder_that_takes_no_file_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is mounted to be read cost the whole measurement."""
    check, (context, option) = (
        new_file_ending(".html"),
        (click.Context(click.Command("lab")), click.Option(["--output"])),
    )
    assert check(context, option, tmp_path / "page.html") == tmp_path / "page.html"
    assert list(tmp_path.iterdir()) == []

    def refused(*, dir: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    with pytest.raises(SystemFault, match="takes no new file \\(read-only file system"):
        check(context, option, tmp_path / "page.html")

"""Settings: who wins, and what a settings file may say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipsearch.config import SETTINGS, Settings, resolved_settings, settings_file
from clipsearch.errors import SystemFault, UsageError

PLACES = {"CLIPSEARCH_LIBRARY": "/l", "CLIPSEARCH_CACHE": "/c", "CLIPSEARCH_MODELS": "/m"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings" / "config.toml"


def read(file: Path, text: str, flags: dict[str, object] | None = None, **variables: str) -> Settings:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return resolved_settings(flags, PLACES | {"CLIPSEARCH_CONFIG": str(file)} | variables)


def refused(file: Path, text: str, **variables: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read(file, text, **variables)
    return caught.value


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(file: Path) -> None:
    """A flag that the file overrules could not be tried out; a file that a forgotten variable ignores is a riddle."""
    text = "count = 5\n"
    seen = [
        read(file, ""),
        read(file, text),
        read(file, text, CLIPSEARCH_COUNT="7"),
        read(file, text, {"count": 9}, CLIPSEARCH_COUNT="7"),
    ]
    assert [one.count for one in seen] == [20, 5, 7, 9]
    assert [one.origins["count"] for one in seen] == ["default", str(file), "environment CLIPSEARCH_COUNT", "flag -k"]


def test_every_setting_can_be_set_in_the_file(file: Path) -> None:
    """A setting that exists on the command line only makes people write aliases."""
    text = """
library = "/photos/library"
cache = "~/cache"
models = "../models"
backend = "onnxruntime"
threads = 3
count = 0
color = "never"
[keys]
"grid.open" = "ctrl+o"
"""
    file.parent.mkdir()
    file.write_text(text)
    settings = resolved_settings({}, {"CLIPSEARCH_CONFIG": str(file)})
    assert settings.library == Path("/photos/library")
    assert settings.cache == Path(os.path.expanduser("~/cache"))
    assert settings.models == file.parent / "../models"  # relative to the file, wherever one stands
    assert (settings.backend, settings.threads, settings.count, settings.color) == ("onnxruntime", 3, 0, "never")
    assert settings.keys == {"grid.open": "ctrl+o"}
    assert set(settings.origins) == {one.name for one in SETTINGS}
    assert set(settings.origins.values()) == {str(file)}


def test_an_unknown_setting_names_the_file_and_the_nearest_one(file: Path) -> None:
    """A misspelt key that is ignored looks like a setting that does not work."""
    error = refused(file, 'librari = "/x"\n')
    assert str(file) in error.message and '"librari"' in error.message
    assert 'Did you mean "library"?' in error.hint


@pytest.mark.parametrize(
    ("text", "name", "takes"),
    [
        ('count = "twenty"', "count", "whole number"),
        ('count = "20"', "count", "without quotes"),
        ("count = -1", "count", "from 0 on"),
        ("count = true", "count", "whole number"),
        ("count = 1.5", "count", "whole number"),
        ("library = 5", "library", "path of a folder"),
        ('library = ""', "library", "path of a folder"),
        ('backend = "onnx"', "backend", "onnxruntime"),
        ('color = "yes"', "color", "auto, always, never"),
        ('keys = "q"', "keys", "[keys]"),
        ("[keys]\nopen = 5", "keys", "[keys]"),
    ],
)
def test_a_value_of_the_wrong_kind_says_where_and_what_it_takes(file: Path, text: str, name: str, takes: str) -> None:
    """A value that is quietly replaced by the default sends people looking everywhere else."""
    error = refused(file, text)
    assert error.message.startswith(f"{file}: {name} is ") and takes in error.hint


def test_a_variable_that_does_not_fit_is_named(file: Path) -> None:
    """As above; and nobody remembers what is exported in a profile."""
    assert refused(file, "", CLIPSEARCH_COUNT="many").message.startswith('CLIPSEARCH_COUNT is "many"')
    assert "auto, onnxruntime" in refused(file, "", CLIPSEARCH_BACKEND="cuda").hint


def test_an_empty_variable_is_none(file: Path) -> None:
    """`CLIPSEARCH_LIBRARY= clipsearch …` would make the library in the folder one stands in."""
    assert read(file, "", CLIPSEARCH_COUNT="").origins["count"] == "default"


def test_a_file_that_is_no_toml_is_told_with_its_line(file: Path) -> None:
    """A traceback of a parser, or a program that will not start, for one missing quote."""
    error = refused(file, "count = 5\ncolor = never\n")
    assert str(file) in error.message and "line 2" in error.message


def test_a_file_named_by_the_environment_has_to_be_there(file: Path) -> None:
    """Who names a file and misspells it would run with defaults, and index into the wrong library."""
    with pytest.raises(UsageError, match="is not there"):
        resolved_settings({}, PLACES | {"CLIPSEARCH_CONFIG": str(file)})


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A folder in its place, or no permission, must not look like an empty file."""
    with pytest.raises(SystemFault, match="cannot be read"):
        resolved_settings({}, PLACES | {"CLIPSEARCH_CONFIG": str(tmp_path)})


def test_settings_cannot_be_changed_once_resolved(file: Path) -> None:
    """A part that changes them would change them for every other part."""
    settings = read(file, "")
    with pytest.raises(AttributeError):
        settings.count = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.keys["q"] = "x"  # type: ignore[index]


def test_the_file_is_where_the_environment_says(file: Path) -> None:
    """`config path` would name a file that nobody reads."""
    assert settings_file({"CLIPSEARCH_CONFIG": str(file)}) == file

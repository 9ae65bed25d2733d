"""`clipsearch config`, and that verbs obey the settings."""

from __future__ import annotations

from pathlib import Path

from tests.cli.program import Program, said_once


def write(program: Program, text: str) -> Path:
    """The settings file where the platform has it."""
    file = Path(program("config", "path").stdout.decode().rstrip("\n"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_show_names_value_and_origin_of_every_setting(program: Program) -> None:
    """Nobody could tell why another library is searched than the one in the file."""
    file = write(program, 'count = 3\nmodels = "~/models"\n')
    shown = program("config", "show", "--json", "--color", "never", env={"CLIPSEARCH_BACKEND": "openvino"}).json
    rows = {row["name"]: (row["value"], row["origin"]) for row in shown}
    assert rows == {
        "library": (str(program.library), "environment CLIPSEARCH_LIBRARY"),
        "cache": (str(program.cache), "environment CLIPSEARCH_CACHE"),
        "models": (str(program.folder / "models"), "environment CLIPSEARCH_MODELS"),
        "backend": ("openvino", "environment CLIPSEARCH_BACKEND"),
        "threads": (0, "default"),
        "count": (3, str(file)),
        "color": ("never", "flag --color"),
        "keys": ({}, "default"),
    }
    text = program("--library", "/elsewhere", "config", "show").stdout.decode()
    assert [line.split()[0] for line in text.splitlines()] == list(rows)
    assert "/elsewhere" in text and "flag --library" in text and str(file) in text


def test_the_file_lies_in_the_platforms_config_folder(program: Program) -> None:
    """A file of settings that lies beside the photos is found by nobody."""
    path = Path(program("config", "path").stdout.decode().strip())
    assert path.name == "config.toml" and path.is_relative_to(program.folder / "home")
    assert not path.exists()  # nothing is written unasked


def test_search_obeys_count_and_a_flag_wins(indexed: Program, tmp_path: Path) -> None:
    """`config show` would show what nobody does."""
    file = tmp_path / "settings.toml"
    file.write_text("count = 2\n")
    env = {"CLIPSEARCH_CONFIG": str(file)}
    assert len(indexed("search", "in:food", env=env).paths) == 2
    assert len(indexed("search", "in:food", "-k", "3", env=env).paths) == 3
    assert len(indexed("search", "in:food", env=env | {"CLIPSEARCH_COUNT": "1"}).paths) == 1


def test_the_library_of_the_file_is_used(indexed: Program, tmp_path: Path) -> None:
    """As above, for the setting that people have a file for."""
    file = tmp_path / "settings.toml"
    file.write_text(f'library = "{indexed.library}"\n')
    outcome = indexed("status", "--json", env={"CLIPSEARCH_CONFIG": str(file), "CLIPSEARCH_LIBRARY": ""})
    assert outcome.json["library"] == str(indexed.library)


def test_a_mistake_in_the_file_ends_in_one_sentence_and_code_2(program: Program) -> None:
    """A traceback, or a program that ignores the file."""
    file = write(program, 'colour = "never"\n')
    outcome = program("status")
    assert str(file) in said_once(outcome, 2) and 'Did you mean "color"?' in outcome.stderr
    assert program("--help").code == 0 and program("--version").code == 0

"""What loads what: seen in fresh interpreters through sys.modules, for a linter does not see run time."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys

import pytest

from clipsearch.cli import VERBS, module_of
from tests.conftest import REPOSITORY

RUNTIMES = {"onnxruntime", "openvino", "torch"}
HEAVY = {
    "numpy",
    "PIL",
    "usearch",
    "tokenizers",
    "ftfy",
    "textual",
    "rich",
    "huggingface_hub",
    "watchdog",
    "lance",
    "ray",
    "pyarrow",
} | RUNTIMES


def loaded_by(code: str) -> set[str]:
    """Modules that a fresh interpreter has loaded after `code`."""
    code += "\nimport json, sys; sys.stderr.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_importing_the_package_loads_nothing_heavy() -> None:
    """A program that only wants the version would wait for numpy and SQLite."""
    loaded = loaded_by("import clipsearch; assert clipsearch.__version__")
    assert not (HEAVY | {"sqlite3", "click"}) & loaded
    assert not {name for name in loaded if name.startswith("clipsearch.")}


def test_the_public_classes_load_no_model_and_no_pixels() -> None:
    """A program that only opens a library would wait for runtimes that it may never use."""
    loaded = loaded_by("from clipsearch import Engine, Library; assert Engine and Library")
    assert "clipsearch.library" in loaded
    assert not (HEAVY - {"numpy"} | {"click"}) & loaded


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["-h"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """`--help` that takes half a second teaches people not to ask."""
    loaded = loaded_by(f"from clipsearch.cli import run; assert run({arguments!r}) == 0")
    assert "click" in loaded  # this check can see something
    assert not (HEAVY | {"sqlite3"}) & loaded


def test_the_help_names_every_verb_with_its_own_words() -> None:
    """The list is written down twice, for speed; two lists drift apart."""
    for verb, what in VERBS.items():
        command = importlib.import_module(module_of(verb)).command
        assert command.name == verb
        assert command.help.split("\n")[0] == what


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_loads_nothing_heavy(verb: str) -> None:
    """As above, for the help that people ask for most; completion loads the same."""
    loaded = loaded_by(f"from clipsearch.cli import run; assert run([{verb!r}, '--help']) == 0")
    assert not (HEAVY | {"sqlite3"}) & loaded


def test_help_of_the_cluster_loads_no_ray() -> None:
    """Two seconds, and a warning where it is not installed, for who only asks what there is."""
    loaded = loaded_by("from clipsearch.cli import run; assert run(['cluster', 'encode', '--help']) == 0")
    assert not (HEAVY | {"sqlite3"}) & loaded


def test_settings_without_a_file_load_no_toml() -> None:
    """Each query would wait for a parser of a file that most people do not have."""
    loaded = loaded_by("from clipsearch.cli import run; run(['config', 'path'])")
    assert "clipsearch.config" in loaded and "tomllib" not in loaded


def test_index_does_not_load_engine() -> None:
    """Storage that knows models would have to change with every one of them."""
    for module in ("index.update", "index.catalog", "index.vectors", "decoding.decode", "decoding.workers"):
        loaded = loaded_by(f"import clipsearch.{module}")
        assert f"clipsearch.{module}" in loaded
        assert not {name for name in loaded if name.startswith(("clipsearch.engine", "clipsearch.library"))}


def test_engine_does_not_load_index() -> None:
    """A model that knows the library could not be measured without one."""
    for module in ("towers", "textcache", "store", "scoring", "preprocess", "tokenize"):
        loaded = loaded_by(f"import clipsearch.engine.{module}")
        assert f"clipsearch.engine.{module}" in loaded
        assert not {name for name in loaded if name.startswith(("clipsearch.index", "clipsearch.library"))}


def test_a_decode_worker_loads_no_model_and_no_index() -> None:
    """Each of them would cost every worker its start and its memory, a core over."""
    prepares = "clipsearch.engine.preprocess, clipsearch.decoding.shrink"
    loaded = loaded_by(f"import clipsearch.decoding.decode, clipsearch.decoding.workers, {prepares}")
    assert "clipsearch.index.catalog" not in loaded
    assert not (RUNTIMES | {"usearch", "tokenizers", "click", "rich", "textual"}) & loaded


def test_the_facade_loads_no_runtime_and_no_pixels() -> None:
    """A repeated query needs numpy and SQLite, and nothing else that is large."""
    loaded = loaded_by("import clipsearch.library")
    assert not (HEAVY - {"numpy"} | {"click"}) & loaded


def test_ways_of_showing_pictures_load_nothing_that_asks_the_terminal() -> None:
    """textual_image asks the terminal on import, and ends the program where stdin is none."""
    modules = ("protocol", "blocks", "graphics")
    loaded = loaded_by("import " + ", ".join(f"clipsearch.pictures.{module}" for module in modules))
    assert "clipsearch.pictures.graphics" in loaded
    assert not (HEAVY | {"textual_image"}) & loaded


def test_the_dependency_rule_holds() -> None:
    """Layers that know each other both ways are one layer. `scripts/lint` runs the same contracts."""
    beside = os.path.dirname(sys.executable)
    command = shutil.which("lint-imports", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    if command is None:
        pytest.skip("import-linter is not installed here; scripts/lint runs it")
    done = subprocess.run([command, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr

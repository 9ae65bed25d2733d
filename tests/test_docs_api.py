"""docs/api.md says what is so: its examples run, in their order, over the sample photos."""

from __future__ import annotations

import doctest
import re
import shutil
from pathlib import Path

import pytest

import clipsearch
from clipsearch import Engine, Library
from clipsearch.config import CACHE_VARIABLE, LIBRARY_VARIABLE, MODELS_VARIABLE
from clipsearch.keeping import Keeping
from clipsearch.labelling import Labelling
from tests.conftest import REPOSITORY, SAMPLES

PAGE = REPOSITORY / "docs" / "api.md"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the sample photos, to stand in; nothing of one's own is near."""
    shutil.copytree(SAMPLES, tmp_path / "sample_images")
    monkeypatch.chdir(tmp_path)
    for variable, name in ((LIBRARY_VARIABLE, "own"), (CACHE_VARIABLE, "cache"), (MODELS_VARIABLE, "models")):
        monkeypatch.setenv(variable, str(tmp_path / name))
    return tmp_path


def failures_of(test: doctest.DocTest) -> str:
    """What doctest says of the examples that do not give what stands there; empty when all do."""
    said: list[str] = []
    doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    return "".join(said)


def test_the_examples_of_the_page_give_what_stands_there(checkout: Path) -> None:
    """An example that does not work is the first thing that a new user meets."""
    test = doctest.DocTestParser().get_doctest(code_of(PAGE.read_text("utf-8")), {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 40
    assert failures_of(test) == ""


def code_of(page: str) -> str:
    """The Python blocks alone, each line at its own number."""
    lines, inside = [], False
    for line in page.splitlines():
        fence = line.startswith("```")
        inside = line == "```python" if fence else inside
        lines.append(line if inside and not fence else "")
    return "\n".join(lines)


@pytest.mark.parametrize("owner", [Library, Engine])
def test_the_examples_in_docstrings_give_what_stands_there(checkout: Path, owner: type) -> None:
    """As above, for those who type help()."""
    for test in doctest.DocTestFinder().find(owner, globs={"Library": Library, "Engine": Engine}):
        assert failures_of(test) == ""


@pytest.mark.parametrize("owner", [Library, Labelling, Keeping, Engine])
def test_every_public_name_is_explained_and_mentioned(owner: type) -> None:
    """What is not written down does not exist for those who look it up."""
    page = PAGE.read_text("utf-8")
    for name, member in vars(owner).items():
        if name.startswith("_"):
            continue
        function = getattr(member, "__func__", member)  # of a classmethod
        assert function.__doc__, f"{owner.__name__}.{name} has no docstring"
        if name not in PLUMBING:
            assert re.search(rf"[.`]{name}\b", page), f"docs/api.md does not mention {owner.__name__}.{name}"


# For the parts above the library's own; `help()` explains them.
PLUMBING = {"text_vectors", "labeller", "label_vectors", "bank", "each_prepared", "rivals"}


def test_the_page_names_every_public_class_and_error() -> None:
    """As above."""
    page = PAGE.read_text("utf-8")
    for name in set(clipsearch.__all__) - {"__version__"}:
        assert f"`{name}`" in page, name

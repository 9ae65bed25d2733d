"""The generated docs say what the program does, and all of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import click
import pytest

from clipsearch.cli import VERBS, cli
from clipsearch.cli.completion import EPILOG as COMPLETION
from clipsearch.config import SETTINGS
from clipsearch.errors import Exit
from clipsearch.query import KEYS, parse
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "man" / "clipsearch.1"
DESKTOP = REPOSITORY / "share" / "applications" / "clipsearch.desktop"


def text(name: str) -> str:
    return (REPOSITORY / name).read_text("utf-8")


def plain_page() -> str:
    """The man page without its escapes."""
    page = PAGE.read_text("utf-8").replace("\\-", "-").replace("\\&", "")
    for escape, sign in (("\\(dq", '"'), ("\\(aq", "'"), ("\\(ti", "~"), ("\\(ha", "^"), ("\\e", "\\")):
        page = page.replace(escape, sign)
    return page


def options(command: click.Command) -> set[str]:
    own = {name for one in command.params if isinstance(one, click.Option) for name in (*one.opts, *one.secondary_opts)}
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union(*map(options, inner))


def test_the_docs_are_those_of_this_program(tmp_path: Path) -> None:
    """Pages that say what the program did a month ago."""
    done = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "docs", "--check"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_each_of_its_options_is_mentioned(verb: str) -> None:
    """What is not written down does not exist, for who reads."""
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None and command.help
    assert f"## clipsearch {verb}\n" in text("docs/cli.md") and f".SS {verb}\n" in plain_page()
    section = re.split(rf"(?m)^## clipsearch {verb}(?= |$)", text("docs/cli.md"), maxsplit=1)[1]
    everywhere = text("docs/cli.md").split("\n## ", 1)[0]
    for name in options(command):
        alone = rf"(?<![\w-]){re.escape(name)}(?![\w-])"
        assert re.search(rf"(?m)^\| `[^`]*{alone}", everywhere + section), name
        assert re.search(rf"(?m)^\.B .*{alone}", plain_page()), name
    for one in command.params:
        assert not isinstance(one, click.Option) or one.help, one.name


def test_every_filter_setting_and_exit_code_is_mentioned() -> None:
    """As above."""
    page = plain_page()
    for one in KEYS:
        assert f"`{one.example}`" in text("docs/query.md") and one.example in page
    for word in ("`+`", "`not:people`", "`like:cat.jpg`", "`@name`", "last summer", "Seasons are northern"):
        assert word in text("docs/query.md")
    for setting in SETTINGS:
        assert f"`{setting.name}`" in text("docs/settings.md")
        assert setting.variable is None or f"`{setting.variable}`" in text("docs/settings.md")
        assert setting.variable is None or setting.variable in page
    for code in Exit:
        assert f"| {int(code)} | {code.meaning} |" in text("docs/exit-codes.md")


def test_every_query_of_the_lessons_can_be_read() -> None:
    """Who learns by examples types them; one that is refused is the last that he types."""
    lessons = text("docs/query.md").split("## Filters")[0]
    queries = re.findall(r"(?m)^\| `(.+?)` \|", lessons)
    assert len(queries) > 15
    for one in queries:
        query = parse(one.replace("@evenings", "sunset"))
        assert query.terms or query.filters
        # What is meant as a filter is not read as a word.
        said = "".join(term.text for term in query.terms if one[0] != '"')
        assert ":" not in said and "+" not in said and " - " not in said, one


def test_the_manual_page_has_no_mistake_in_its_markup() -> None:
    """A page that shows half a sentence, or a dot less, where a line begins with one."""
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed here")
    done = subprocess.run(["mandoc", "-Tlint", PAGE], capture_output=True, text=True, timeout=60)
    # The date is left out: it would be another reason for the page to be stale.
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


def test_the_manual_page_reads_as_it_should() -> None:
    """Options that look right and cannot be copied: a minus that has become a hyphen, a tilde that is an accent."""
    if shutil.which("man") is None:
        pytest.skip("man is not installed here")
    done = subprocess.run(
        ["man", "-l", PAGE],
        capture_output=True, text=True, timeout=60,
        env={"MANWIDTH": "90", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "MANPAGER": "cat"},
    )  # fmt: skip
    for line in ("--copy-to DIR", "--exec 'CMD {}'", 'after:"last summer"', "~/.config/clipsearch/config.toml"):
        assert line in done.stdout, line


def test_the_desktop_entry_is_valid() -> None:
    """A menu without the program, and nobody who says why."""
    if shutil.which("desktop-file-validate") is None:
        pytest.skip("desktop-file-validate is not installed here")
    done = subprocess.run(["desktop-file-validate", DESKTOP], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stdout, done.stdout


def test_the_wheel_installs_man_page_entry_and_icon(tmp_path: Path) -> None:
    """Files that lie in the repository, and on nobody's machine."""
    pytest.importorskip("hatchling")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=REPOSITORY, check=True, capture_output=True, timeout=110,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = [name.partition(".data/data/")[2] for name in zipfile.ZipFile(wheel).namelist()]
    for name in (
        "man/man1/clipsearch.1",
        "applications/clipsearch.desktop",
        "icons/hicolor/scalable/apps/clipsearch.svg",
    ):
        assert f"share/{name}" in names


def test_the_way_to_completion_is_the_one_that_works() -> None:
    """A line for ~/.bashrc that was never tried. (test_completion.py loads the same scripts.)"""
    for shell in ("bash", "zsh", "fish"):
        assert f"clipsearch completion {shell}" in COMPLETION

"""The program in a real terminal: tmux draws it, keys are sent to it, and what stands on its screen is read back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clipsearch.config import Paths
from tests.cli.program import Program, said_once
from tests.tui.driving import LIMIT_S

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed here")


class Terminal:
    """One window of tmux, 80 x 24, with a server of its own."""

    def __init__(self, folder: Path, command: str, environment: dict[str, str]) -> None:
        self._socket = str(folder / "tmux")
        self.folder = folder
        variables = " ".join(f"{name}='{value}'" for name, value in environment.items())
        self._tmux(
            "new-session",
            "-d",
            "-c",
            str(folder),
            "-x",
            "80",
            "-y",
            "24",
            f"env {variables} {command}; echo CODE $?; exec cat",
        )

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", self._socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    @property
    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def send(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def until(self, condition: Callable[[str], object], what: str) -> str:
        """The first screen on which `condition` holds."""
        deadline = time.monotonic() + LIMIT_S
        while not condition(screen := self.screen):
            assert time.monotonic() < deadline, f"never happened: {what}\n{screen}"
            time.sleep(0.02)
        return screen

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def environment(indexed: Paths, tmp_path: Path) -> dict[str, str]:
    return {
        "CLIPSEARCH_LIBRARY": str(indexed.library),
        "CLIPSEARCH_CACHE": str(indexed.cache),
        "CLIPSEARCH_MODELS": str(indexed.models),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture
def terminal(environment: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path, f"{sys.executable} -m clipsearch", environment)
    yield opened
    opened.close()


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path, "bash --norc --noprofile -i", environment)
    yield opened
    opened.close()


def test_a_person_searches_looks_and_leaves(terminal: Terminal) -> None:
    """Everything may work in a pilot, and nothing in a terminal."""
    terminal.until(lambda screen: "45 photos" in screen and "▀" in screen, "the first photos")
    terminal.send("flowers")
    screen = terminal.until(lambda screen: "3 fit" in screen and "●●●●●" in screen, "the answer")
    assert all(len(line) <= 80 for line in screen.splitlines())
    terminal.send("Enter")
    terminal.until(lambda screen: "␣ select" in screen and "? help" in screen, "the keys of the photos")
    terminal.send("Space")
    terminal.until(lambda screen: "1 selected" in screen and "✓" in screen, "the selection")
    terminal.send("?")
    terminal.until(lambda screen: "select a range" in screen, "the help")
    terminal.send("Escape")
    terminal.until(lambda screen: "select a range" not in screen, "the help goes")
    terminal.send("q")
    screen = terminal.until(lambda screen: "CODE" in screen, "the end")
    assert "CODE 0" in screen and "Traceback" not in screen


def test_ctrl_z_gives_the_shell_back_and_fg_the_photos(shell: Terminal) -> None:
    """Who lives in a shell suspends programs; one that does not obey is killed."""
    shell.send(f"{sys.executable} -m clipsearch", "Enter")
    shell.until(lambda screen: "45 photos" in screen and "▀" in screen, "the first photos")
    shell.send("C-z")
    shell.until(lambda screen: "Stopped" in screen and "▀" not in screen, "the shell")
    shell.send("fg", "Enter")
    shell.until(lambda screen: "45 photos" in screen and "▀" in screen, "the photos again")
    shell.send("C-q")
    shell.until(lambda screen: "▀" not in screen, "the end")


def test_a_program_that_is_ended_gives_the_terminal_back(shell: Terminal) -> None:
    """After a kill nobody should have to type `reset` blindly."""
    shell.send(f"{sys.executable} -m clipsearch & echo $! > pid; fg", "Enter")
    shell.until(lambda screen: "45 photos" in screen and "▀" in screen, "the first photos")
    os.kill(int((shell.folder / "pid").read_text()), signal.SIGTERM)
    shell.until(lambda screen: "▀" not in screen and "fg" in screen, "the shell as it was")


def test_without_a_terminal_it_helps_and_does_not_hang(indexed: Paths, tmp_path: Path) -> None:
    """A script that calls it without a command must not wait for keys for ever."""
    program = Program(tmp_path / "machine")
    outcome = program()
    assert outcome.code == 2 and "Usage: clipsearch" in outcome.stderr
    assert "The interface needs a terminal" in said_once(program("tui"), 2)

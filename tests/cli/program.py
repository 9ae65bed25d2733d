"""The program as a person meets it: a real process, its bytes and its exit code, on a pipe or a pseudo-terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support.ways import measured_before

_SPY = """
import json, os, sys
from clipsearch.cli import run
code = run(sys.argv[1:])
with open(os.environ["SPY_REPORT"], "w") as report:
    json.dump(sorted(sys.modules), report)
sys.exit(code)
"""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Outcome:
    code: int
    stdout: bytes
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def paths(self) -> list[str]:
        return os.fsdecode(self.stdout).splitlines()

    @property
    def text(self) -> str:
        """What a terminal showed, without colours and cursor movements."""
        return _ESCAPES.sub("", self.stdout.decode("utf-8", "backslashreplace"))


class Program:
    """clipsearch with a library, a cache and a home of its own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = folder / "library"
        self.cache = folder / "cache"
        home = folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        measured_before(self.cache)
        kept = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT", "TMPDIR", "PYTHONPATH") if key in os.environ}
        self.environment = kept | {
            "HOME": str(home),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "CLIPSEARCH_LIBRARY": str(self.library),
            "CLIPSEARCH_CACHE": str(self.cache),
            "CLIPSEARCH_MODELS": str(folder / "models"),
            "PYTHONWARNINGS": "error",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
        }

    def __call__(
        self,
        *arguments: str | bytes | Path,
        stdin: bytes = b"",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        before: Callable[[], object] | None = None,
        user: int | None = None,
    ) -> Outcome:
        return self._run([sys.executable, "-m", "clipsearch", *arguments], stdin, cwd, env, before, user)

    def modules(self, *arguments: str | bytes | Path, cwd: Path | None = None) -> tuple[Outcome, set[str]]:
        """The outcome, and the modules that the call has loaded in its process."""
        report = self.folder / "modules.json"
        outcome = self._run([sys.executable, "-c", _SPY, *arguments], b"", cwd, {"SPY_REPORT": str(report)})
        return outcome, set(json.loads(report.read_text()))

    def start(self, *arguments: str | bytes | Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "clipsearch", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            start_new_session=True,
        )

    def on_terminal(
        self,
        *arguments: str | bytes | Path,
        columns: int = 100,
        env: Mapping[str, str] | None = None,
        until: Callable[[bytes], bool] = lambda shown: False,
    ) -> Outcome:
        """Both streams on one pseudo-terminal; what it showed is in `stdout`. Ctrl-C comes once `until` says so."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        try:
            with subprocess.Popen(
                [sys.executable, "-m", "clipsearch", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                env={**self.environment, **(env or {})},
            ) as process:
                os.close(theirs)
                shown = bytearray()
                while chunk := _read(ours):
                    shown += chunk
                    if until(bytes(shown)):
                        process.send_signal(signal.SIGINT)
                code = process.wait(60)
        finally:
            os.close(ours)
        return Outcome(code, bytes(shown), "")

    def _run(
        self,
        command: list[str | bytes | Path],
        stdin: bytes,
        cwd: Path | None,
        env: Mapping[str, str] | None,
        before: Callable[[], object] | None = None,
        user: int | None = None,
    ) -> Outcome:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            cwd=cwd,
            env={**self.environment, **(env or {})},
            preexec_fn=before,
            user=user,
            timeout=100,
        )
        return Outcome(done.returncode, done.stdout, done.stderr.decode("utf-8", "backslashreplace"))


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says EIO when the last writer of a pseudo-terminal is gone
        return b""


def said_once(outcome: Outcome, code: int) -> str:
    """The sentence of the one error that `outcome` tells, after checking the form that every error has."""
    lines = outcome.stderr.splitlines()
    assert "Traceback" not in outcome.stderr, outcome.stderr
    assert [line.startswith("clipsearch: ") for line in lines].count(True) == 1, outcome.stderr
    assert [line.startswith("hint: ") for line in lines].count(True) == 1, outcome.stderr
    assert lines[-1].startswith("hint: ") and len(lines[-1]) > len("hint: "), outcome.stderr
    assert outcome.code == code, (outcome.code, outcome.stderr)
    said = next(index for index, line in enumerate(lines) if line.startswith("clipsearch: "))
    assert all(line.startswith("  ") for line in lines[said + 1 : -1]), "only a query and its caret come between"
    return lines[said].removeprefix("clipsearch: ")


def make_photos(folder: Path, count: int, *, start: int = 0) -> list[Path]:
    """Small photos, each of other pixels, so that each is a content of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"photo-{number:04d}.png" for number in range(start, start + count)]
    for number, path in enumerate(paths, start):
        Image.new("RGB", (24, 16), (number % 256, number // 256, (number * 37) % 256)).save(path)
    return paths


def copied(samples: Path, folder: Path, *names: str) -> list[Path]:
    """Chosen sample photos, flat in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy2(samples / name, folder)) for name in names]

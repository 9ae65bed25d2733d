"""Completion in the real bash, zsh and fish: what TAB offers, and what it costs."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from clipsearch.cli import VERBS
from tests.cli.program import Program

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module")
def complete(indexed: Program, tmp_path_factory: pytest.TempPathFactory) -> Completion:
    folder = tmp_path_factory.mktemp("completion")
    indexed("search", "in:food", "--save", "lunches", "-q")
    return Completion(indexed, folder)


class Completion:
    """The program as the command `clipsearch`, with its scripts."""

    def __init__(self, program: Program, folder: Path) -> None:
        command = folder / "bin" / "clipsearch"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m clipsearch "$@"\n')
        command.chmod(0o755)
        self.environment = program.environment | {"PATH": f"{command.parent}:{program.environment['PATH']}"}
        self.scripts = {shell: folder / f"script.{shell}" for shell in SHELLS}
        for shell, script in self.scripts.items():
            outcome = program("completion", shell)
            assert outcome.code == 0, outcome.stderr
            script.write_bytes(outcome.stdout)
        self.folder = folder

    def __call__(self, shell: str, line: str) -> list[str]:
        """What the shell offers at the end of the line."""
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed here")
        offered: list[str] = getattr(self, f"_{shell}")(line)
        return sorted(offered)

    def _run(self, *command: str) -> list[str]:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, cwd=self.folder
        )
        assert done.returncode == 0 and not done.stderr, done.stderr
        return [item for item in done.stdout.split("\n") if item]

    def _bash(self, line: str) -> list[str]:
        # The words as readline makes them: it ends them at : and @, too.
        words = re.findall(r"[:@]|[^\s:@]+", line) + ([""] if line.endswith((" ", ":", "@")) else [])
        quoted = " ".join(f"'{word}'" for word in words)
        code = f"""
source '{self.scripts["bash"]}'
compopt() {{ :; }}   # it needs readline; test_bash_itself has one
COMP_WORDBREAKS=$' \\t\\n"\\'@><=;|&(:' COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({quoted})
COMP_CWORD={len(words) - 1}
_clipsearch_completion clipsearch
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        kept = re.split(r"[\s:]", line)[-1]  # an @ is replaced with what stands behind it
        prefix = line.split(" ")[-1].removesuffix(kept)
        return [prefix + item for item in self._run("bash", "--norc", "-c", code)]

    def _fish(self, line: str) -> list[str]:
        code = f"source '{self.scripts['fish']}'; complete -C '{line}'"
        return [item.split("\t")[0] for item in self._run("fish", "--no-config", "-c", code)]

    def _zsh(self, line: str) -> list[str]:
        """What shows completions needs a line editor; here it prints. test_tab_in_a_real_shell has one."""
        code = f"""
_describe() {{ print -rl -- "${{(@P)3}}" }}
compadd() {{ for one in "${{(@P)@[-1]}}"; do print -r -- "=$one"; done }}  # as it is, without a description
compdef() {{ }}
words=(${{(z):-"{line}"}}); [[ "{line}" == *' ' ]] && words+=('')
CURRENT=$#words
source '{self.scripts["zsh"]}'
_clipsearch_completion
"""
        items = self._run("zsh", "-f", "-c", code)
        described = re.compile(r"(?<!\\):(?!$)")
        return [item[1:] if item.startswith("=") else described.split(item)[0].replace("\\:", ":") for item in items]


@pytest.mark.parametrize("shell", SHELLS)
def test_verbs_options_and_choices_are_offered(complete: Completion, shell: str) -> None:
    """Lazy verbs that a shell cannot see."""
    assert complete(shell, "clipsearch ") == sorted(VERBS)
    assert complete(shell, "clipsearch sea") == ["search"]
    assert complete(shell, "clipsearch --qu") == ["--quiet"]
    assert complete(shell, "clipsearch search dog --min") == ["--min-relevance"]
    assert complete(shell, "clipsearch search dog --sort ") == ["date", "name", "score"]
    assert complete(shell, "clipsearch config ") == ["path", "show"]
    assert complete(shell, "clipsearch index --backend openvino-g") == ["openvino-gpu", "openvino-gpu-f16"]
    assert complete(shell, "clipsearch nonsense xy") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_the_query_language_is_offered(complete: Completion, shell: str) -> None:
    """Filters that have to be looked up are not used; the colon in them ends a word in bash."""
    assert complete(shell, "clipsearch search cam") == ["camera:"]
    assert complete(shell, "clipsearch search dog is:") == ["is:landscape", "is:portrait", "is:screenshot", "is:square"]
    assert complete(shell, "clipsearch search dog is:po") == ["is:portrait"]
    assert complete(shell, "clipsearch search @lu") == ["@lunches"]
    assert complete(shell, "clipsearch search @") == ["@lunches"]
    assert complete(shell, "clipsearch saved remove lu") == ["lunches"]


def test_fish_shows_a_description_with_a_comma_whole(complete: Completion) -> None:
    """`is:` would be "one of portrait", and nothing else."""
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed here")
    code = f"source '{complete.scripts['fish']}'; complete -C 'clipsearch search is'"
    assert "screenshot" in "".join(complete._run("fish", "--no-config", "-c", code))


@pytest.mark.parametrize("shell", SHELLS)
def test_models_are_offered(complete: Completion, shell: str) -> None:
    """A name that has to be typed exactly, and that nobody remembers."""
    assert complete(shell, "clipsearch index --model sta") == ["starter"]


@pytest.mark.parametrize(
    ("shell", "start"), [("bash", "--norc --noprofile -i"), ("zsh", "-f -i"), ("fish", "--no-config -i")]
)
def test_tab_in_a_real_shell_completes_the_line(complete: Completion, shell: str, start: str) -> None:
    """A script that its shell cannot read, or that puts a blank after `is:`."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    setup = {"bash": "PS1='READY> '; ", "zsh": "PS1='READY> '; autoload -U compinit; compinit -u -D; ",
             "fish": "function fish_prompt; echo 'READY> '; end; "}[shell]  # fmt: skip
    with Terminal(
        [shell, *start.split()], complete.environment | {"TERM": "dumb" if shell != "fish" else "xterm"}
    ) as terminal:
        terminal.write(f"{setup} source {complete.scripts[shell]}; echo LOAD''ED\n")
        terminal.wait_for("LOADED")
        terminal.wait_for("READY> ")
        terminal.write("clipsearch sea\t")
        terminal.wait_for("clipsearch search ")
        terminal.write("is:scr\t")
        terminal.wait_for("is:screenshot")
        terminal.write("camer\tnikon")
        terminal.wait_for("camera:nikon")
        terminal.write(" @lu\t")
        terminal.wait_for("@lunches")


class Terminal:
    """A shell that believes that a person types."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self._shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def write(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> None:
        """Until the text has been shown after all that was waited for before."""
        limit = time.monotonic() + 30
        while text not in self._shown:
            left = limit - time.monotonic()
            assert left > 0 and select.select([self._ours], [], [], left)[0], (text, self._shown)
            self._shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|[\r\x07]", "", os.read(self._ours, 4096).decode())
        self._shown = self._shown.partition(text)[2]


def test_completing_loads_nothing_heavy(indexed: Program, tmp_path: Path) -> None:
    """A key that takes half a second is not pressed again."""
    report = tmp_path / "modules"
    for line in ("clipsearch ", "clipsearch search ", "clipsearch search --", "clipsearch index --model "):
        code = (
            "import sys, atexit\n"
            f"atexit.register(lambda: open({str(report)!r}, 'w').write(' '.join(sys.modules)))\n"
            "from clipsearch.cli import run; run([])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, timeout=60,
            env=indexed.environment | {"_CLIPSEARCH_COMPLETE": "bash_complete", "COMP_WORDS": line},
        )  # fmt: skip
        assert done.stdout.startswith(b"plain,"), done.stderr
        assert not {"numpy", "sqlite3", "PIL", "rich", "textual", "onnxruntime"} & set(report.read_text().split())


def test_completing_is_silent_where_there_is_no_library(program: Program) -> None:
    """An error message in the middle of the line that one types."""
    env = {"_CLIPSEARCH_COMPLETE": "bash_complete", "COMP_WORDS": "clipsearch search @"}
    outcome = program(env=env)
    assert (outcome.stdout.strip(), outcome.stderr) == (b"", "")

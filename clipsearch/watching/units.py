"""What makes a system run `clipsearch watch` by itself: a systemd user unit, a launchd agent. Texts only."""

from __future__ import annotations

import os
import plistlib
import shutil
import sys
from collections.abc import Mapping, Sequence

from clipsearch.config import CACHE_VARIABLE, CONFIG_VARIABLE, LIBRARY_VARIABLE, MODELS_VARIABLE, Paths

_LABEL = "clipsearch.watch"


def service_text(paths: Paths, options: Sequence[str], folders: Sequence[str], platform: str = sys.platform) -> str:
    """The unit for this program, this library and these folders (all of the library's if none is named)."""
    command = [*_program(), "watch", *options, *(["--", *folders] if folders else [])]
    environment = {
        LIBRARY_VARIABLE: paths.named,
        CACHE_VARIABLE: str(paths.cache),
        MODELS_VARIABLE: str(paths.models),
    }
    if CONFIG_VARIABLE in os.environ:
        environment[CONFIG_VARIABLE] = os.path.abspath(os.environ[CONFIG_VARIABLE])
    return launchd_agent(command, environment) if platform == "darwin" else systemd_unit(command, environment)


def systemd_unit(command: Sequence[str], environment: Mapping[str, str]) -> str:
    lines = [f"Environment={_quoted(f'{name}={value}')}" for name, value in environment.items()]
    return "\n".join(
        [
            "# ~/.config/systemd/user/clipsearch.service, then:",
            "#   systemctl --user daemon-reload && systemctl --user enable --now clipsearch",
            "[Unit]",
            "Description=clipsearch: keep the photo library current",
            "",
            "[Service]",
            f"ExecStart={' '.join(_quoted(word, is_command=True) for word in command)}",
            *lines,
            "Nice=10",
            "IOSchedulingClass=idle",
            "Restart=on-failure",
            "RestartSec=30",
            "",
            "[Install]",
            "WantedBy=default.target",
        ]
    )


def launchd_agent(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """For ~/Library/LaunchAgents/clipsearch.watch.plist."""
    agent = {
        "Label": _LABEL,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ProcessType": "Background",
        "LowPriorityIO": True,
    }
    return plistlib.dumps(agent, sort_keys=False).decode().rstrip("\n")


def _program() -> list[str]:
    """How this program is called from anywhere."""
    script = shutil.which(sys.argv[0])
    if script and os.path.basename(script).startswith("clipsearch"):
        return [os.path.abspath(script)]
    return [sys.executable, "-P", "-m", "clipsearch"]


def _quoted(word: str, *, is_command: bool = False) -> str:
    """systemd.syntax(7), Quoting; % begins a specifier, and $ a variable in a command only."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n").replace("\t", "\\t")
    return f'"{word.replace("$", "$$") if is_command else word}"'

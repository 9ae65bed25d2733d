"""What this machine brings: runtimes and extras with their versions, and how many folders it can watch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from clipsearch.errors import Exit
from clipsearch.upkeep.checks import Check, note, ok, wrong

_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")


def runtimes() -> Iterator[Check]:
    """Builds of one runtime beside each other overwrite each other's files, and either one may run."""
    installed = _installed()
    builds = sorted(name for name in installed if re.fullmatch(r"onnxruntime(-(?!extensions|tools).+)?", name))
    found = [f"{name} {installed[name]}" for name in (*builds, "openvino") if name in installed]
    if len(builds) > 1:
        yield wrong(
            "runtimes", f"{' and '.join(builds)} are installed over each other",
            f"Keep one: pip uninstall {' '.join(builds)}, then pip install the one you want", Exit.MODEL,
        )  # fmt: skip
    elif not found:
        yield wrong("runtimes", "none is installed", "pip install onnxruntime", Exit.MODEL)
    else:
        yield ok("runtimes", ", ".join(found))


def extras() -> Iterator[Check]:
    """Optional parts by the names under which pip installs them."""
    installed = _installed()
    try:
        required = metadata.requires("clipsearch") or []
    except metadata.PackageNotFoundError:
        yield note("extras", "clipsearch is not installed as a package, so its extras are not known")
        return
    wanted: dict[str, set[str]] = {}
    for line in required:
        if match := re.match(r"([\w.-]+).*;.*extra == [\"']([\w-]+)[\"']", line):
            wanted.setdefault(match[2], set()).add(_normal(match[1]))
    here = sorted(extra for extra, names in wanted.items() if names <= installed.keys())
    missing = sorted(wanted.keys() - set(here))
    text = f"{', '.join(here) or 'none'} installed" + (f"; not {', '.join(missing)}" if missing else "")
    yield ok("extras", text)


def watches(folders: int) -> Iterator[Check]:
    """Only where the system says what it allows."""
    try:
        most = int(_WATCHES.read_text("ascii"))
    except (OSError, ValueError):
        return
    if folders > most // 2:
        yield note(
            "watching", f"{folders:,} folders, and this machine watches {most:,} for all programs together",
            "sudo sysctl fs.inotify.max_user_watches=1048576",
        )  # fmt: skip
    else:
        yield ok("watching", f"{folders:,} folders of {most:,} that this machine can watch")


def _installed() -> dict[str, str]:
    return {_normal(one.metadata["Name"]): one.version for one in metadata.distributions() if one.metadata["Name"]}


def _normal(name: str) -> str:
    """As https://packaging.python.org/specifications/name-normalization says."""
    return re.sub(r"[-_.]+", "-", name).lower()

"""What this machine brings: runtimes and extras with their versions, and how many folders it can watch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from clipsearch.errors import Exit
from clipsearch.upkeep.checks import Check, note, ok, wrong

_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_NVIDIA = Path("/proc/driver/nvidia/version")
_RENDERERS = Path("/dev/dri")
_PLUGINS = ("onnxruntime-ep-", "onnxruntime-ggml")  # they stand beside the plain onnxruntime


def runtimes() -> Iterator[Check]:
    """What is installed to run models, and what this machine's GPU would want.

    Builds of one runtime beside each other overwrite each other's files, and any of them may run.
    """
    builds, installed = _builds(), _installed()
    found = [f"{name} {version}" for name, version in sorted(builds.items())]
    found += [f"openvino {installed['openvino']}"] if "openvino" in installed else []
    if len(builds) > 1:
        yield wrong(
            "runtimes", f"{' and '.join(sorted(builds))} are installed over each other",
            f"Keep one: pip uninstall {' '.join(sorted(builds))}, then pip install {_kept(builds)}", Exit.MODEL,
        )  # fmt: skip
    elif not found:
        yield wrong("runtimes", "none is installed", "pip install onnxruntime", Exit.MODEL)
    else:
        yield ok("runtimes", ", ".join(found))
    if plugins := sorted(name for name in installed if name.startswith(_PLUGINS)):
        yield ok("plug-ins", ", ".join(f"{name} {installed[name]}" for name in plugins))
    if list(builds) == ["onnxruntime"] and not plugins:
        yield from _gpu()


def _kept(builds: Mapping[str, str]) -> str:
    """The one that was wanted: nobody adds a build for a GPU to get the CPU's."""
    return next((name for name in sorted(builds) if name != "onnxruntime"), "onnxruntime")


def _gpu() -> Iterator[Check]:
    if _NVIDIA.exists() or shutil.which("nvidia-smi"):
        yield note(
            "GPU", "an NVIDIA GPU is here, and onnxruntime is the build for the CPU",
            "pip uninstall onnxruntime, then pip install 'onnxruntime-gpu[cuda,cudnn]'",
        )  # fmt: skip
    elif any(_RENDERERS.glob("renderD*")):
        yield note("GPU", "a GPU is here, and no plug-in for it", "pip install 'clipsearch[webgpu]'")


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
    missing = sorted(wanted.keys() - set(here) - {"all"})  # which is not a part, but the others
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


def _builds() -> dict[str, str]:
    """Packages that bring the module onnxruntime, whatever they are called."""
    return {
        _normal(one.metadata["Name"]): one.version
        for one in metadata.distributions()
        if _normal(one.metadata["Name"] or "").startswith("onnxruntime")
        and any(file.as_posix() == "onnxruntime/__init__.py" for file in one.files or ())
    }


def _normal(name: str) -> str:
    """As https://packaging.python.org/specifications/name-normalization says."""
    return re.sub(r"[-_.]+", "-", name).lower()

"""What a verdict on a way to run a model depends on beside the model: this machine, its drivers, a runtime's version.

Reads files and the names of the platform; loads no runtime, for a query asks this each time.
"""

from __future__ import annotations

import contextlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from clipsearch.engine.backends import OTHER_PACKAGES, TABLE, usable_cores

_NVIDIA = Path("/proc/driver/nvidia/version")
_DEVICES = (Path("/dev/dri"), Path("/dev/accel"))  # GPUs and NPUs whose drivers come with the kernel
# Where a driver's part outside the kernel says that it is there: Vulkan, OpenCL.
_LOADERS = (Path("/usr/share/vulkan/icd.d"), Path("/etc/vulkan/icd.d"), Path("/etc/OpenCL/vendors"))


def machine() -> list[str]:
    return [platform.system(), platform.machine(), processor(), str(usable_cores()), *drivers()]


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def drivers() -> list[str]:
    """Of GPUs and NPUs, where there are any: a new one may be faster, or wrong."""
    if platform.system() == "Windows":
        return [platform.version()]  # drivers come with updates of the system, or by hand: those are not seen
    if platform.system() == "Darwin":
        return [platform.mac_ver()[0]]
    found = []
    if _NVIDIA.is_file():
        found.append(_NVIDIA.read_text("utf-8", "replace").splitlines()[0])
    if any(folder.is_dir() for folder in _DEVICES):
        found.append(platform.release())
        files = sorted(file for folder in _LOADERS if folder.is_dir() for file in folder.iterdir())
        found += [f"{file.name} {file.stat().st_mtime_ns}" for file in files if file.is_file()]
    return found


def runtime_version(runtime: str) -> str | None:
    """Of its package, its other builds and its plug-ins. None where none is installed."""
    if runtime not in TABLE:  # it was written down by another release
        return None
    found = []
    for package in (TABLE[runtime].package, *OTHER_PACKAGES.get(runtime, ())):
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    return ", ".join(found) or None

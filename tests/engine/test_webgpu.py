"""WebGPU for real, on a processor: Mesa's software Vulkan stands in for a graphics card.

In a child, for the plug-in would stay in this process and be offered to every test after it. Where Dawn, the plug-in's
WebGPU, refuses the driver this is skipped with its words: Mesa 22.3 (Debian 12) is too old, 25.0 (Debian 13, or
bookworm-backports) is not. Another driver is named with VK_DRIVER_FILES.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import json, sys
import numpy as np
from clipsearch.engine.choosing.candidates import default_candidate
from clipsearch.engine.cards import read_card
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.towers import ImageTower, TextTower

card, golden = read_card(STARTER_FOLDER), np.load(STARTER_FOLDER / "golden.npz")
how = default_candidate(card, "onnxruntime-webgpu")
if sys.argv[1] == "text":
    tower = TextTower(card, how)
    found = tower.encode([str(text) for text in golden["texts"]]).vectors
else:
    tower = ImageTower(card, how)
    found = tower.encode_pixels(golden["pixels"])
session = tower._session
cosines = (found * golden[sys.argv[1] + "_vectors"]).sum(axis=1)
print(json.dumps({"cosines": cosines.tolist(), "device": session.device, "placed": dict(session.placed)}))
"""


def through_webgpu(tower: str, tmp_path: Path) -> dict[str, object]:
    """What the child found. Skips where there is no plug-in or no driver that it takes."""
    if importlib.util.find_spec("onnxruntime_ep_webgpu") is None:
        pytest.skip("the plug-in is not installed: pip install 'clipsearch[webgpu]'")
    drivers = sorted(Path("/usr/share/vulkan/icd.d").glob("lvp_icd*.json"))
    driver = os.environ.get("VK_DRIVER_FILES") or (str(drivers[0]) if drivers else "")
    if not driver:
        pytest.skip("there is no software Vulkan: apt install mesa-vulkan-drivers")
    software = {
        "VK_DRIVER_FILES": driver,
        "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER": "1",
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", CHILD, tower], capture_output=True, text=True, env=os.environ | software, check=False
    )
    if done.returncode and "Failed to get a WebGPU adapter" in done.stderr and "required." in done.stderr:
        refused = next(line for line in done.stderr.splitlines() if "required." in line)
        pytest.skip(f"{driver} is refused ({refused.removeprefix('Warning: ')}): Mesa 25 or newer is wanted")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def check(found: dict[str, object]) -> None:
    assert found["device"] == "onnxruntime-webgpu"
    assert min(found["cosines"]) >= 0.999
    assert found["placed"]["WebGpuExecutionProvider"] > 4 * found["placed"].get("CPUExecutionProvider", 0)


def test_texts_get_the_golden_vectors(tmp_path: Path) -> None:
    """Not one kernel of a GPU would have run before a user's did."""
    check(through_webgpu("text", tmp_path))


@pytest.mark.slow
def test_photos_get_the_golden_vectors(tmp_path: Path) -> None:
    """As above, through convolutions."""
    check(through_webgpu("image", tmp_path))

"""How much memory an index run takes, all its processes together, and whether it grows.

    python benchmarks/memory.py [--photos N] [--model FOLDER] [--backend NAME] [--workers N]
        [--large baseline|progressive|png|none]

N JPEGs of 24 megapixels, no two with the same pixels, lie in a temporary folder, one of 200 megapixels in the middle.
`clipsearch index` runs over them in a child process, after a run over one small photo, so that the first use of the
model is not counted. Every 0.1 s the PSS of the child and of all its descendants is read from /proc/*/smaps_rollup.
JSON lines: both runs with their timings; the peak with its target; and the growth from photo 200 (a fifth of them, if
that is less) to the last, in MB for 1,000 photos, with its standard error from the means of five parts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from PIL import Image

PEAK_TARGET_MB = 900
SAMPLE_S = 0.1
SIDES = (6000, 4000)
LARGE_SIDES = (16_320, 12_240)  # 200 megapixels, as telephones have them
BLOCK = 1000  # px; photos are made of distinct blocks of the same few, which is quick and compresses like a photo


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--photos", type=int, default=1000)
    arguments.add_argument("--model", metavar="FOLDER", help="the starter if it is not named")
    arguments.add_argument("--backend", default="auto")
    arguments.add_argument("--large", choices=["baseline", "progressive", "png", "none"], default="baseline")
    arguments.add_argument("--workers", type=int)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipsearch-memory-") as folder:
        base = Path(folder)
        write_photos(base / "photos", asked.photos, asked.large)
        (base / "first").mkdir()
        Image.new("RGB", (64, 64), (90, 120, 30)).save(base / "first" / "first.png")
        options = ["--backend", asked.backend, *(["--model", asked.model] if asked.model else [])]
        index(base, base / "first", options)
        if asked.workers:
            options += ["--workers", str(asked.workers)]
        samples = index(base, base / "photos", options)
        report(samples, asked.photos, asked.large)


def write_photos(folder: Path, count: int, large: str) -> None:
    """Blocks of noise at photo-like scales, shuffled and brightened differently for each photo."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    blocks = [new_block(noise) for _ in range(12)]
    for number in range(count):
        write_photo(folder / f"{number:05}.jpg", SIDES, blocks, np.random.default_rng(number), quality=88)
    middle = folder / f"{count // 2:05}-large"
    if large == "png":
        write_photo(middle.with_suffix(".png"), LARGE_SIDES, blocks, noise, compress_level=1)
    elif large != "none":
        write_photo(
            middle.with_suffix(".jpg"), LARGE_SIDES, blocks, noise, quality=88, progressive=large == "progressive"
        )


def new_block(noise: np.random.Generator) -> Image.Image:
    """Octaves of noise: as much fine detail as a photo has (about 0.4 bytes a pixel at quality 88)."""
    total = np.zeros((BLOCK, BLOCK, 3), np.float32)
    for side, strength in ((4, 70.0), (20, 35.0), (100, 18.0), (500, 9.0), (BLOCK, 4.0)):
        coarse = Image.fromarray(noise.integers(0, 256, (side, side, 3), np.uint8))
        total += (
            (np.asarray(coarse.resize((BLOCK, BLOCK), Image.Resampling.BICUBIC), np.float32) - 128) * strength / 128
        )
    return Image.fromarray(np.clip(total + 128, 0, 255).astype(np.uint8))


def write_photo(
    path: Path, sides: tuple[int, int], blocks: list[Image.Image], choice: np.random.Generator, **options: object
) -> None:
    canvas = Image.new("RGB", sides)
    for top in range(0, sides[1], BLOCK):
        for left in range(0, sides[0], BLOCK):
            block = blocks[choice.integers(len(blocks))]
            turned = block.transpose(Image.Transpose(int(choice.integers(7))))
            canvas.paste(turned, (left, top))
    canvas.save(path, **options)  # type: ignore[arg-type]  # what each format takes


def index(base: Path, folder: Path, options: list[str]) -> list[tuple[int, float]]:
    """(photos done, PSS of the process tree in MB) every SAMPLE_S, until the run has ended."""
    command = [sys.executable, "-m", "clipsearch", "index", str(folder), "--progress", "json", *options]
    names = ("CLIPSEARCH_LIBRARY", "CLIPSEARCH_CACHE")
    environment = os.environ | {name: str(base / name) for name in names}
    done = 0
    samples: list[tuple[int, float]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        ended = threading.Event()

        def sample() -> None:
            while not ended.wait(SAMPLE_S):
                samples.append((done, tree_pss(process.pid)))

        sampling = threading.Thread(target=sample)
        sampling.start()
        assert process.stdout
        for line in process.stdout:
            event = json.loads(line)
            done = event.get("done", done)
            last = event
        ended.set()
        sampling.join()
    assert process.returncode == 0 and last["event"] == "done", last
    print(
        json.dumps({"run": folder.name, **{name: last[name] for name in ("indexed", "failed", "seconds", "timings")}})
    )
    return samples


def tree_pss(root: int) -> float:
    """MB of a process and all its descendants; one that ends meanwhile counts as nothing."""
    total, pending = 0.0, [root]
    while pending:
        pid = pending.pop()
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            children = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0) / 1024
        pending += [int(child) for line in children for child in line.split()]
    return total


def report(samples: list[tuple[int, float]], photos: int, large: str) -> None:
    done, pss = (np.array(column, np.float64) for column in zip(*samples, strict=True))
    peak = float(pss.max())
    row: dict[str, object] = {
        "benchmark": "peak memory of an index run, all processes",
        "peak_mb": round(peak),
        "target_mb": PEAK_TARGET_MB,
        "met": peak <= PEAK_TARGET_MB,
        "at_photo": int(done[pss.argmax()]),
        "median_mb": round(float(np.median(pss))),
        "photos": photos,
        "large": large,
        "samples": len(samples),
    }
    print(json.dumps(row), flush=True)
    # Samples are no independent measurements: memory follows what is being decoded. The means of long parts nearly are.
    later = (done >= min(200, photos // 5)) & (done < photos)
    centres, means = (np.array([part.mean() for part in np.array_split(column[later], 5)]) for column in (done, pss))
    (slope, _), residuals, *_ = np.polyfit(centres, means, 1, full=True)
    error = float(np.sqrt(residuals[0] / (len(means) - 2) / ((centres - centres.mean()) ** 2).sum()))
    row = {
        "benchmark": "growth of memory, photo 200 to the last",
        "mb_per_1000_photos": round(float(slope) * 1000, 1),
        "standard_error": round(error * 1000, 1),
        "within_noise": float(slope) <= 2 * error,
        "means_mb": [round(float(mean)) for mean in means],
    }
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

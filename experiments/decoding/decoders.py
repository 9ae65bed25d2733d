"""JPEG decoders against Pillow: CPU time from a camera's file to RGB pixels of twice the model's side.

    python -m venv ENV && ENV/bin/pip install pillow numpy simplejpeg PyTurboJPEG opencv-python-headless imagecodecs
    ENV/bin/python experiments/decoding/decoders.py PHOTOS [--side 512] [--photos N] [--rounds N] [--turbojpeg LIB]

PHOTOS are JPEGs (benchmarks/camera_photos.py makes them). The decoders take turns on every photo; reading the file is
part of it, from a warm cache. One JSON line a decoder: CPU ms a photo, median over the photos of the least of the
rounds, and the ratio to Pillow with `draft`. PyTurboJPEG needs libturbojpeg of the system, or its path; its version 2
needs version 3 of that library.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, features

Decode = Callable[[Path], tuple[int, int]]  # returns (height, width) of what it made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="PHOTOS")
    parser.add_argument("--side", type=int, default=512, help="px that the shorter side must have (default 512)")
    parser.add_argument("--photos", type=int, default=40, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--turbojpeg", metavar="LIB", help="path of libturbojpeg")
    arguments = parser.parse_args()
    photos = sorted(arguments.folder.glob("*.jpg"))[: arguments.photos]
    decoders = known(arguments.side, arguments.turbojpeg)
    made: dict[str, tuple[int, int]] = {}
    least: dict[str, list[float]] = {name: [] for name in decoders}
    for photo in photos:
        times: dict[str, list[float]] = {name: [] for name in decoders}
        for _ in range(arguments.rounds):
            for name, decode in decoders.items():
                started = time.process_time()
                made[name] = decode(photo)
                times[name].append(time.process_time() - started)
        for name, taken in times.items():
            least[name].append(min(taken))
    baseline = least["Pillow, draft"]
    for name, taken in least.items():
        row = {
            "decoder": name,
            "cpu_ms": round(statistics.median(taken) * 1000, 1),
            "ratio_to_pillow": round(statistics.median(own / b for own, b in zip(taken, baseline, strict=True)), 3),
            "photos": len(photos),
            "made": made[name],
        }
        print(json.dumps(row), flush=True)


def known(side: int, library: str | None) -> dict[str, Decode]:
    """Every decoder that is installed. Scales are powers of two: the largest that leaves `side` px."""

    def power(path: Path) -> int:
        with Image.open(path) as image:
            return next(scale for scale in (8, 4, 2, 1) if min(image.size) // scale >= side or scale == 1)

    def pillow(path: Path, draft: bool = True, config: int = 0) -> tuple[int, int]:
        with Image.open(path) as image:
            if draft:
                image.draft(None, (side, side))
                image.decoderconfig = (image.decoderconfig[0], config)  # type: ignore[attr-defined]
            image.load()
            return image.height, image.width

    def entropy(path: Path) -> tuple[int, int]:
        """The least that any decoder must do: all Huffman codes, one pixel of 64."""
        with Image.open(path) as image:
            image.draft(None, (1, 1))
            image.load()
            return image.height, image.width

    decoders: dict[str, Decode] = {
        "Pillow, draft": pillow,
        "Pillow, draft, fastest DCT and upsampling": lambda path: pillow(path, config=1),
        "Pillow, one pixel of 64": entropy,
        "Pillow, full size": lambda path: pillow(path, draft=False),
        "reading and hashing alone": hashed,
    }
    print(json.dumps({"libjpeg_turbo of Pillow": features.version("libjpeg_turbo")}))
    try:
        import simplejpeg

        def simple(path: Path, fast: bool = False) -> tuple[int, int]:
            data = path.read_bytes()
            pixels = simplejpeg.decode_jpeg(data, min_height=side, min_width=side, fastdct=fast, fastupsample=fast)
            return pixels.shape[:2]

        decoders["simplejpeg"] = simple
        decoders["simplejpeg, fastest DCT and upsampling"] = lambda path: simple(path, True)
    except ImportError:
        pass
    try:
        import turbojpeg

        turbo = turbojpeg.TurboJPEG(library) if library else turbojpeg.TurboJPEG()

        def turbo_decode(path: Path, flags: int = 0) -> tuple[int, int]:
            pixels = turbo.decode(
                path.read_bytes(), pixel_format=turbojpeg.TJPF_RGB, scaling_factor=(1, power(path)), flags=flags
            )
            return pixels.shape[:2]

        decoders["PyTurboJPEG"] = turbo_decode
    except (ImportError, RuntimeError):
        pass
    try:
        import cv2

        cv2.setNumThreads(1)
        flags = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: 64 | 1}

        def opencv(path: Path) -> tuple[int, int]:
            data = np.fromfile(path, np.uint8)
            return cv2.imdecode(data, flags[power(path)] | cv2.IMREAD_IGNORE_ORIENTATION).shape[:2]

        decoders["OpenCV, IMREAD_REDUCED"] = opencv
    except ImportError:
        pass
    try:
        import imagecodecs

        def codecs(path: Path) -> tuple[int, int]:
            return imagecodecs.jpeg8_decode(path.read_bytes()).shape[:2]

        decoders["imagecodecs (full size only)"] = codecs
    except ImportError:
        pass
    return decoders


def hashed(path: Path) -> tuple[int, int]:
    import hashlib

    with path.open("rb") as handle:
        hashlib.file_digest(handle, "sha256").digest()
    return 0, 0


if __name__ == "__main__":
    main()

"""How far above the model's side a JPEG must be decoded: photos scaled so that the decoded one has just that ratio.

    python experiments/decoding/ratios.py PHOTOS [--model FOLDER] [--ratios 1.5 1.75 2] [--scales 2 4 8] [--photos N]

measure.py sees the ratios that its photos happen to have. Here every photo that is large enough is scaled down (never
up: that would leave nothing for a decoder to lose) so that its shorter side, decoded at one pixel of 2, 4 or 8, is the
ratio times the model's side; it is saved as a JPEG of quality 92 with halved colours, and the vectors of that file
decoded scaled and in full are compared. One JSON line for each scale and ratio.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from measure import IN_FULL, photographs, prepared
from PIL import Image

from clipsearch.engine.cards import read_card
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.towers import ImageTower


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="PHOTOS")
    parser.add_argument("--model", type=Path, default=STARTER_FOLDER, metavar="FOLDER")
    parser.add_argument("--ratios", type=float, nargs="+", default=[1.5, 1.75, 1.95, 2.05])
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--photos", type=int, metavar="N", help="the first N that are large enough, for each scale")
    arguments = parser.parse_args()
    tower = ImageTower(read_card(arguments.model))
    for scale in arguments.scales:
        for ratio in arguments.ratios:
            cosines = compared(photographs(arguments.folder), tower, scale, ratio, arguments.photos)
            row = {"model": read_card(arguments.model).name, "scale": scale, "ratio": ratio, "photos": len(cosines)}
            if cosines:
                row |= {"least": round(min(cosines), 5), "mean": round(float(np.mean(cosines)), 5)}
            print(json.dumps(row), flush=True)


def compared(photos: list[Path], tower: ImageTower, scale: int, ratio: float, count: int | None) -> list[float]:
    # Rounded up to whole blocks of the scale, so that the decoder leaves no fraction of a pixel.
    side = scale * int(np.ceil(ratio * tower.prepare.size))
    cosines: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        for photo in photos:
            with Image.open(photo) as image:
                if min(image.size) < side:
                    continue
                by = side / min(image.size)
                sides = round(image.width * by), round(image.height * by)
                image.convert("RGB").resize(sides, Image.Resampling.LANCZOS).save(path, quality=92)
            full = prepared(path, tower, IN_FULL)
            scaled = prepared(path, tower, side / scale / tower.prepare.size)
            assert full is not None and scaled is not None
            one, other = tower.encode_pixels(np.stack([full, scaled]))
            cosines.append(float(one @ other))
            if len(cosines) == count:
                break
    return cosines


if __name__ == "__main__":
    main()

"""What a person reads of a file that was not read: a sentence of ours, and the right one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from PIL import Image

from clipsearch.decoding import reasons
from clipsearch.decoding.decode import decode
from clipsearch.types import Decoded, Failure
from tests.decoding.test_decode import SHORTEST, WHOLE

FORMS = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF", "webp": "WEBP", "avif": "AVIF", "jp2": "JPEG2000"}
# Of Pillow, of Python, of libheif: names in capitals, calls, error numbers, byte counts.
INSIDES = re.compile(
    r"[A-Za-z]+_[A-Za-z_]+|\w+\(\)|\w+Error|error -?\d|Plugin|bytes|decoder|literal|data stream|EOF|Invalid input|box"
)


@pytest.mark.parametrize(
    "files",
    [
        "formats/*",
        "hostile/tr*",
        "hostile/jpeg-[dnz]*",
        "hostile/*ztxt*",
        pytest.param("hostile/*", marks=pytest.mark.slow),
    ],
)
def test_no_reason_holds_the_words_of_a_library(shared: Path, files: str) -> None:
    """Nobody can do anything about MAX_TEXT_CHUNK."""
    failures = {}
    for path in sorted((shared / "data").glob(files)):
        outcome = decode(os.fsencode(path), SHORTEST)
        if isinstance(outcome, Failure):
            failures[path.name] = outcome.reason
    assert failures
    assert {name: reason for name, reason in failures.items() if INSIDES.search(reason) or len(reason) > 120} == {}
    cut = [name for name in failures if name.startswith("truncated-") and name != "truncated-jpeg-1.jpg"]
    assert {name: failures[name] for name in cut if failures[name] != reasons.CUT_SHORT} == {}


@pytest.mark.parametrize("ending", FORMS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_what_is_left_of_a_copy_that_broke_off_is_cut_short(tmp_path: Path, ending: str, share: float) -> None:
    """ "Save it as an 8-bit JPEG" sends one off to do what cannot be done with half a file."""
    path = tmp_path / f"half.{ending}"
    Image.effect_noise((200, 150), 80).convert("RGB").save(path, FORMS[ending])
    whole = path.read_bytes()
    path.write_bytes(whole[: max(16, int(share * len(whole)))])
    assert decode(os.fsencode(path), SHORTEST) == Failure(reasons.CUT_SHORT)
    path.write_bytes(whole)
    assert isinstance(decode(os.fsencode(path), WHOLE), Decoded)


def test_a_whole_file_that_is_broken_is_not_called_cut_short(tmp_path: Path) -> None:
    """Whoever fetches the original because of it fetches the same again."""
    path = tmp_path / "damaged.webp"
    Image.effect_noise((200, 150), 80).convert("RGB").save(path, lossless=True)
    content = path.read_bytes()
    path.write_bytes(content[:25] + bytes(len(content) - 25))
    assert decode(os.fsencode(path), SHORTEST) == Failure(reasons.BROKEN)


def test_what_no_table_knows_is_no_library_talk_either(tmp_path: Path) -> None:
    """The next version of a library has other words."""
    path = tmp_path / "number.ppm"
    path.write_bytes(b"P3\n4 4\n255\n" + b"x " * 48)
    assert decode(os.fsencode(path), SHORTEST) == Failure(reasons.BROKEN)

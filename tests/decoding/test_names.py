"""Which names a walk takes."""

from __future__ import annotations

import pytest

from clipsearch.decoding.names import RAW_SUFFIXES, is_listed, is_raw, is_skipped, one_of_each
from clipsearch.types import Stamp


@pytest.mark.parametrize("name", [b"a.jpg", b"UPPER.JPG", b"Mixed.JpEg", b"two.dots.png", b"caf\xe9.webp", b"x.jfif"])
def test_a_photo_is_known_by_its_ending_in_any_case(name: bytes) -> None:
    """Cameras write DSC_0001.JPG."""
    assert is_listed(name) and not is_skipped(name)


@pytest.mark.parametrize("name", [b"jpg", b"notes.txt", b"ends-with-dot.", b"a.jpg.part", b"", b"jpg."])
def test_other_files_are_left_alone(name: bytes) -> None:
    """A half download or a file called "jpg" is not a photo that failed."""
    assert not is_listed(name)


@pytest.mark.parametrize("name", [b".hidden.jpg", b"._IMG_1.jpg", b"@eaDir", b"$RECYCLE.BIN", b"Trash"])
def test_rubbish_is_skipped(name: bytes) -> None:
    """Thumbnails of a NAS and AppleDouble files would fill `errors` and the results."""
    assert is_skipped(name)


@pytest.mark.parametrize("name", [b"IMG_1.CR3", b"a.heic", b"DSC_1.NEF", b"a.hif", b"a.jxl", b".IMG_1.HEIC.icloud"])
def test_what_needs_an_extra_or_a_download_is_listed_all_the_same(name: bytes) -> None:
    """A folder of RAWs that is passed over in silence looks like a folder without photos."""
    assert is_listed(name) and not is_skipped(name)


@pytest.mark.parametrize("name", [b".notes.txt.icloud", b"._IMG_1.HEIC.icloud", b".icloud"])
def test_stand_ins_of_other_files_are_left_alone(name: bytes) -> None:
    """iCloud keeps whole home directories."""
    assert is_skipped(name) or not is_listed(name)


def test_every_raw_ending_is_known_in_any_case() -> None:
    """`is_raw` looks at four bytes."""
    for suffix in RAW_SUFFIXES:
        assert is_raw(b"a" + suffix.upper()) and is_listed(b"a" + suffix)
    assert not is_raw(b"a.jpg") and not is_raw(b"nef")


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        ([b"1.NEF", b"1.jpg"], [b"1.jpg"]),
        ([b"1.JPEG", b"1.cr2", b"1.dng", b"2.cr2"], [b"1.JPEG", b"2.cr2"]),
        ([b"IMG_1.raf", b"img_1.jpe"], [b"img_1.jpe"]),
        ([b"1.nef", b"1.png", b"1.heic", b"11.jpg"], [b"1.nef", b"1.png", b"1.heic", b"11.jpg"]),
        ([b"1.jpg", b"1.JPG"], [b"1.jpg", b"1.JPG"]),
        ([], []),
    ],
)
def test_a_raw_beside_its_jpeg_is_counted_once(names: list[bytes], kept: list[bytes]) -> None:
    """Every hit would come twice from a camera that writes both."""
    stamps = [Stamp(b"", name, 1, 1, 1) for name in names]
    assert [stamp.name for stamp in one_of_each(stamps)] == kept


def test_an_empty_jpeg_does_not_stand_for_its_raw() -> None:
    """A copy that broke off would take a good RAW out of the results."""
    stamps = [Stamp(b"", b"1.jpg", 0, 1, 1), Stamp(b"", b"1.nef", 9, 1, 2)]
    assert one_of_each(stamps) == stamps

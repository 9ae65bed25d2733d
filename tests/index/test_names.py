"""Which names a walk takes."""

from __future__ import annotations

import pytest

from clipsearch.index.names import is_listed, is_skipped


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

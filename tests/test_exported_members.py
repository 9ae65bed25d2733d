"""What `clipsearch` offers by name. A name here is a promise; one that leaves breaks somebody's program."""

from __future__ import annotations

import pytest

import clipsearch
from clipsearch import encoding, errors, library


def test_the_public_names_are_these() -> None:
    """A name that is renamed or lost on the way is found by users first."""
    assert clipsearch.__all__ == [
        "ClipsearchError",
        "EncodedImages",
        "Engine",
        "Library",
        "LibraryError",
        "ModelError",
        "SystemFault",
        "UsageError",
        "__version__",
    ]


def test_every_name_is_the_thing_itself() -> None:
    """`except clipsearch.ModelError` would not catch what is raised."""
    assert clipsearch.Library is library.Library
    assert clipsearch.Engine is encoding.Engine and clipsearch.EncodedImages is encoding.EncodedImages
    for name in ("ClipsearchError", "UsageError", "LibraryError", "ModelError", "SystemFault"):
        assert getattr(clipsearch, name) is getattr(errors, name)
    assert set(clipsearch.__all__) <= set(dir(clipsearch))


def test_a_name_that_is_not_there_is_told_as_python_does() -> None:
    """hasattr, copy and pickle ask for names that do not exist and expect an AttributeError."""
    with pytest.raises(AttributeError, match="Libary"):
        _ = clipsearch.Libary  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="Libary"):
        exec("from clipsearch import Libary")

"""The Python API as a user writes it. Never run: tests/test_typing.py type-checks it with mypy --strict.

A line with `type: ignore` is a mistake that the types must find; mypy complains if it does not.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch import ClipsearchError, EncodedImages, Engine, Library, SystemFault
from clipsearch.encoding import FailedImage
from clipsearch.events import Advanced, Event, Planned, Scanning, Summary, Unlisted
from clipsearch.types import (
    Answer,
    FailedFile,
    Failure,
    Hit,
    Labelled,
    LabelScore,
    LibraryAPI,
    PhotoDetails,
    SavedSearch,
    Status,
)


def index(folder: Path) -> Summary | None:
    with Library.open("~/library", backend="onnxruntime") as library:
        for event in library.index([folder, "/photos", b"/caf\xe9"], exclude=["*.png"], stop=lambda: False):
            assert_type(event, Event)
            match event:
                case Scanning(root):
                    print(root)
                case Planned(fresh=fresh):
                    print(fresh)
                case Unlisted(path, reason):
                    print(path, reason)
                case Advanced(done, total):
                    print(done / total)
                case Summary():
                    return event
    return None


def search(library: Library) -> list[Hit]:
    answer = library.search("beach - people", images=["a.jpg"], k=5, under=Path("/photos"), sort="date", diverse=True)
    assert_type(answer, Answer)
    for hit in answer.fitting:
        assert_type(hit.score, float | None)
        assert_type(hit.path, bytes)
    library.search("beach", sort="size")  # type: ignore[arg-type]
    library.search("beach", True)  # type: ignore[call-arg, arg-type]
    library.search(["beach"])  # type: ignore[arg-type]
    answer.hits = ()  # type: ignore[misc]
    return [*library.similar(b"a.jpg", k=3).hits]


def anywhere(library: Library) -> LibraryAPI:
    return library  # a program written for the service's client takes a library too


def words(library: Library) -> None:
    assert_type(library.photo("a.jpg"), PhotoDetails | None)
    assert_type(library.status(), Status)
    assert_type(library.failures(), list[FailedFile])
    assert_type(library.saved_searches(), list[SavedSearch])
    assert_type(library.history(), list[str])
    assert_type(library.set_labels([("a.jpg", "receipt", 0.9)]), int)
    results: Iterator[Labelled | FailedFile] = library.classify(["/photos"], ["cat", "dog"], templates=["a {}"])
    for result in results:
        print(result.labels)  # type: ignore[union-attr]
        if isinstance(result, Labelled):
            assert_type(result.labels[0], LabelScore)


def encode(picture: Image.Image, array: NDArray[np.uint8]) -> NDArray[np.float32]:
    with Engine("starter", backend="auto", models_folder="/models") as engine:
        assert_type(engine.encode_text("one"), NDArray[np.float32])
        encoded = engine.encode_images(["a.jpg", Path("b.jpg"), b"c.jpg", picture, array], progress=told)
        assert_type(encoded, EncodedImages)
        assert_type(encoded.failures, tuple[FailedImage, ...])
        for one in engine.classify(picture, ["cat", "dog"]):
            assert_type(one, tuple[LabelScore, ...] | Failure)
        for outcome in engine.each_image(Path("/photos").iterdir()):
            print(outcome.shape)  # type: ignore[union-attr]
        floats = array.astype(np.float32)
        engine.encode_images([floats])  # type: ignore[list-item]
        engine.encode_images([1])  # type: ignore[list-item]
        engine.encode_text([b"bytes"])  # type: ignore[list-item]
        assert_type(engine.dim, int)
        assert_type(engine.logit_scale, float)
        try:
            return encoded.vectors @ engine.similarity(["a cat"], array)
        except SystemFault as fault:
            print(fault.message, fault.hint, fault.exit_code)
        except ClipsearchError:
            raise
    return encoded.rows


def told(event: Advanced) -> None:
    print(event.done, event.total, event.failed)


def misspelt() -> None:
    from clipsearch import Libary  # type: ignore[attr-defined]

    print(Libary)

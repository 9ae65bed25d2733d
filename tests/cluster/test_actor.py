"""What an actor makes of a chunk, without Ray: the vectors of `clipsearch index`, and a bad file costs that file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clipsearch.bundles.rows import Photo, Place, Unread
from clipsearch.cluster.actor import Actor, Orders
from clipsearch.cluster.parcels import NETWORK, Chunk, End, Fault, Item, Outcome
from clipsearch.encoding import Engine
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.towers import ImageTower, image_space
from clipsearch.types import Failure
from tests.cli.program import make_photos
from tests.decoding.prepares import KillItself

pytest.importorskip("onnx", reason="the extra [export] is not installed")
from tests.support.small import small_model


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def orders(card: ModelCard, tmp_path: Path) -> Orders:
    folders = {"models_folder": str(tmp_path / "models"), "cache_folder": str(tmp_path / "cache")}
    return Orders(str(card.folder), image_space(card), "onnxruntime", measure=False, cores=2, **folders)


@pytest.fixture
def actor(orders: Orders) -> Iterator[Actor]:
    made = Actor(orders)
    yield made
    made.close()


def file_item(path: Path) -> Item:
    status = path.stat()
    place = Place(bytes(path.parent), os.fsencode(path.name), status.st_size, status.st_mtime_ns)
    return Item(place, path=bytes(path))


def rows_of(actor: Actor, *items: Item) -> dict[bytes, Photo | Unread]:
    outcome = actor(Chunk(7, items, End(len(items), 0)))
    assert isinstance(outcome, Outcome), outcome
    assert (outcome.parcel, outcome.end) == (7, End(len(items), 0))
    return {row.place.path: row for row in outcome.rows}  # type: ignore[misc]  # it makes no copies


def test_files_and_bytes_become_the_vectors_of_index(actor: Actor, card: ModelCard, tmp_path: Path) -> None:
    """Shards and actors fill one library, whose vectors must not depend on who made them."""
    paths = make_photos(tmp_path / "photos", 40)
    travelled = [Item(Place(b"tar:/a.tar!", bytes(path.name, "ascii")), data=path.read_bytes()) for path in paths[20:]]
    rows = rows_of(actor, *map(file_item, paths[:20]), *travelled)
    with Engine(card, backend="onnxruntime", cache_folder=tmp_path / "cache") as engine:
        expected = engine.encode_images(paths).vectors
    for path, vector in zip(paths, expected, strict=True):
        row = rows[bytes(path.name, "ascii")]
        assert isinstance(row, Photo)
        assert row.digest == hashlib.sha256(path.read_bytes()).digest()
        assert (row.metadata.width, row.metadata.height) == (24, 16)
        np.testing.assert_allclose(np.frombuffer(row.vector, "<f2").astype(np.float32), vector, atol=2e-3)


def test_what_cannot_be_read_is_a_row_with_its_reason(actor: Actor, tmp_path: Path) -> None:
    """(K1) And whose fault it was says whether the next run tries again."""
    (good,) = make_photos(tmp_path, 1)
    gone, changed, text = (tmp_path / name for name in ("gone.jpg", "changed.png", "text.jpg"))
    gone.write_bytes(b"-")
    text.write_text("no picture")
    changed.write_bytes(good.read_bytes())
    items = [file_item(one) for one in (good, gone, changed, text)]
    gone.unlink()
    os.utime(changed, ns=(1, 1))
    slow = Item(Place(b"s3://b", b"slow.jpg"), failure=Failure("nobody answers", lasting=False))
    rows = rows_of(actor, *items, slow, Item(Place(b"tar:/a!", b"x.jpg"), data=b"no picture"))
    assert isinstance(rows[b"photo-0000.png"], Photo)
    said = {name: (row.reason, row.decoder == NETWORK) for name, row in rows.items() if isinstance(row, Unread)}
    assert said == {
        b"gone.jpg": ("no such file or directory", True),
        b"changed.png": ("it changed while it was being read", True),
        b"text.jpg": ("it is not a picture in a known format", False),
        b"slow.jpg": ("nobody answers", True),
        b"x.jpg": ("it is not a picture in a known format", False),
    }


def test_a_picture_that_kills_its_decoder_costs_itself_only(
    actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the actor's own process it would take the model and all pictures in hand with it."""
    from PIL import Image

    prepared = ImageTower.prepare.fget
    assert prepared is not None
    monkeypatch.setattr(ImageTower, "prepare", property(lambda tower: KillItself(prepared(tower), 40)))
    paths = make_photos(tmp_path, 10)
    Image.new("RGB", (40, 30)).save(tmp_path / "bad.png")
    bad = tmp_path / "bad.png"
    travelled = Item(Place(b"tar:/a!", b"worse.png"), data=bad.read_bytes())
    rows = rows_of(actor, *map(file_item, [*paths[:5], bad, *paths[5:]]), travelled)
    reasons = {name: row.reason for name, row in rows.items() if isinstance(row, Unread)}
    assert reasons == dict.fromkeys([b"bad.png", b"worse.png"], "it crashed the decoder, twice; it is quarantined")
    assert sum(isinstance(row, Photo) for row in rows.values()) == 10


def test_another_model_on_the_machine_is_a_fault(orders: Orders) -> None:
    """Its vectors would be merged among those of the right one."""
    from dataclasses import replace

    fault = Actor(replace(orders, space=replace(orders.space, fingerprint="another")))(Chunk(0, ()))
    assert isinstance(fault, Fault) and fault.kind == "ModelError" and "is not the one" in fault.message


def test_a_model_that_is_not_there_is_a_fault(orders: Orders) -> None:
    """An exception in an actor would come out as forty lines of Ray."""
    from dataclasses import replace

    fault = Actor(replace(orders, model="nosuch"))(Chunk(0, ()))
    assert isinstance(fault, Fault) and fault.kind == "ModelError" and fault.hint

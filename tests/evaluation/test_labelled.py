"""What set a folder holds, whatever its form."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from clipsearch.errors import UsageError
from clipsearch.evaluation import idx
from clipsearch.evaluation.class_folders import imagenet_numbers
from clipsearch.evaluation.known_sets import KNOWN_SETS, known_set
from clipsearch.evaluation.labelled import drawn_labelled, labelled_photos
from tests.evaluation.test_class_folders import made
from tests.evaluation.test_idx import packed, written

TEN = known_set("cifar10").classes


def binary(folder: Path, labels: list[int]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test_batch.bin").write_bytes(b"".join(bytes((one,)) + bytes(3072) for one in labels))
    return folder


def test_published_names_come_with_the_published_files(tmp_path: Path) -> None:
    """A figure that is compared with a published one has to be asked in the same words."""
    found = labelled_photos(binary(tmp_path, [3, 0, 3, 3]), per_class=2)
    assert (found.name, found.classes, found.published) == ("CIFAR-10 test", TEN, "cifar10")
    assert sorted(found.truth.tolist()) == [0, 3, 3] and len(found.pictures) == 3
    assert found.differences == ("it has 3 pictures, not 10,000",)


def test_jpeg_copies_of_a_published_set_are_called_copies(tmp_path: Path) -> None:
    """A model loses points to JPEG that it does not lose over the originals: the figure is of another set."""
    made(tmp_path / "a", *(f"{name}/1.png" for name in TEN))
    made(tmp_path / "b", *(f"{name}/1.jpg" for name in TEN))
    plain, copies = (labelled_photos(tmp_path / name) for name in "ab")
    assert plain.published == copies.published == "cifar10"
    assert not any("JPEG" in one for one in plain.differences)
    assert any("10 of its pictures are JPEG copies" in one for one in copies.differences)


def test_folders_with_numbers_are_digits_only_where_that_is_said(tmp_path: Path) -> None:
    """Months or stars from 0 to 9 were asked as MNIST's digits, and no option turned it off."""
    made(tmp_path, *(f"{number}/1.png" for number in range(10)))
    found = labelled_photos(tmp_path)
    assert (found.published, found.name, found.templates) == (None, tmp_path.name, ())
    assert labelled_photos(tmp_path, set_name="mnist").published == "mnist"


def test_some_of_a_sets_classes_are_a_set_of_their_own_until_it_is_named(tmp_path: Path) -> None:
    """Of three classes a third is right by chance, and of ten a tenth."""
    made(tmp_path, "cat/1.jpg", "dog/1.jpg", "ship/1.jpg")
    assert labelled_photos(tmp_path).classes == ("cat", "dog", "ship")
    assert labelled_photos(tmp_path).published is None
    named = labelled_photos(tmp_path, set_name="cifar10")
    assert named.classes == TEN and named.truth.tolist() == [3, 5, 8]
    with pytest.raises(UsageError, match='MNIST has no class "cat"'):
        labelled_photos(tmp_path, set_name="mnist")


def test_folders_may_write_a_class_as_they_can(tmp_path: Path) -> None:
    """No folder can be called T-shirt/top, and Food-101's are called apple_pie."""
    for name in ("fashion-mnist", "food101"):
        made(
            tmp_path / name,
            *(f"{one.replace('/', '-').replace(' ', '_').lower()}/1.png" for one in known_set(name).classes),
        )
        found = labelled_photos(tmp_path / name)
        assert found.published == name and sorted(found.truth.tolist()) == list(range(len(found.classes)))


def test_imagenets_folders_are_its_classes_in_their_order(tmp_path: Path) -> None:
    """Two of its names stand for two classes each: by name alone 500 photos would be of another class."""
    made(tmp_path, *(f"{wnid}/1.jpg" for wnid in imagenet_numbers()))
    found = labelled_photos(tmp_path)
    assert found.published == "imagenet" and found.truth.tolist() == list(range(1000))


def test_which_set_idx_files_are_of_is_told_or_asked(tmp_path: Path) -> None:
    """Kuzushiji-MNIST has the same names, ten classes and as many of each as Fashion-MNIST."""
    pixels = np.zeros((2, 28, 28), np.uint8)
    written(tmp_path / "unknown", packed(pixels), packed(np.array([0, 9], np.uint8)), "mix-")
    with pytest.raises(UsageError, match="cannot be told"):
        labelled_photos(tmp_path / "unknown")
    found = labelled_photos(tmp_path / "unknown", set_name="mnist")
    assert (found.name, found.published) == ("MNIST mix", "mnist")
    assert "its labels are not those of the published files" in found.differences
    (tmp_path / "unknown").rename(tmp_path / "mnist")
    assert labelled_photos(tmp_path / "mnist").published == "mnist"
    assert labelled_photos(tmp_path / "mnist", set_name="fashion-mnist").published == "fashion-mnist"


def test_published_labels_are_never_called_another_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is typed wrong must not turn shirts into digits."""
    labels = packed(np.array([0, 9], np.uint8))
    monkeypatch.setitem(idx._LABELS, hashlib.sha256(labels).hexdigest(), ("fashion-mnist", "test"))
    written(tmp_path, packed(np.zeros((2, 28, 28), np.uint8)), labels)
    with pytest.raises(UsageError, match="holds no MNIST"):
        labelled_photos(tmp_path, set_name="mnist")


def test_of_two_sets_in_a_folder_one_is_to_be_named(tmp_path: Path) -> None:
    """Whichever came first would be measured as the other."""
    binary(tmp_path / "cifar-10-batches-bin", [1])
    (tmp_path / "cifar-100-binary").mkdir()
    (tmp_path / "cifar-100-binary" / "test.bin").write_bytes(bytes((0, 99)) + bytes(3072))
    with pytest.raises(UsageError, match="more than one set"):
        labelled_photos(tmp_path)
    assert labelled_photos(tmp_path, set_name="cifar100").truth.tolist() == [99]
    with pytest.raises(UsageError, match='no set "cifar11"'):
        labelled_photos(tmp_path, set_name="cifar11")


def test_each_known_set_has_its_classes_and_published_templates() -> None:
    """A set without them would be asked in words of ours."""
    counts = {one.name: (len(one.classes), len(one.templates)) for one in KNOWN_SETS}
    assert counts == {
        "cifar10": (10, 1), "cifar100": (100, 1), "fashion-mnist": (10, 0), "food101": (101, 1), "imagenet": (1000, 1),
        "mnist": (10, 1),
    }  # fmt: skip


def test_pictures_of_arrays_are_drawn_from_all_of_a_class(tmp_path: Path) -> None:
    """The order of published files may be that of their sources, as with files by name."""
    (tmp_path / "test_batch.bin").write_bytes(
        b"".join(bytes((number % 2,)) + bytes((number,)) * 3072 for number in range(200))
    )
    found = labelled_photos(tmp_path, per_class=10)
    places = [int(np.asarray(picture)[0, 0, 0]) for picture in found.pictures]
    assert found.truth.tolist() == [place % 2 for place in places] and sum(found.truth) == 10
    assert places == sorted(set(places)) and len(places) == 20 and max(places) >= 100


def test_some_of_many_keep_their_classes(tmp_path: Path) -> None:
    """A photo beside another's class is counted wrong, and a class without photos is asked all the same."""
    photos = labelled_photos(made(tmp_path, *(f"{name}/{number}.jpg" for name in "abc" for number in range(30))))
    some = drawn_labelled(photos, 20)
    assert len(some.pictures) == 20 and some.classes == photos.classes
    assert [some.classes[number] for number in some.truth] == [Path(str(one)).parent.name for one in some.pictures]
    assert some.differences == ("20 of its 90 photos were drawn",) and drawn_labelled(photos, 90) is photos

"""Recall of captions and photos beside cases counted by hand, and files as the collections write them."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from clipsearch.errors import UsageError
from clipsearch.evaluation.captions import captioned_photos
from clipsearch.evaluation.retrieval import _recall, to_captions, to_photos

PHOTOS = np.eye(3, dtype=np.float32)
# Of photo 0: one that finds it, one that finds photo 1 first; of photo 1: one that finds it last.
CAPTIONS = np.array([[1, 0.5, 0], [0.6, 0.8, 0], [0.9, 0.1, 0.4]], np.float32)
PHOTO_OF = np.array([0, 0, 1])


def test_captions_are_counted_each_and_photos_once() -> None:
    """Counted over captions, a photo with one good caption of five would have a fifth."""
    assert [one.share for one in to_photos(CAPTIONS, PHOTOS, PHOTO_OF, (1, 2, 3))] == pytest.approx([1 / 3, 2 / 3, 1])
    # Photo 0 finds its own first; photo 1 scores .5, .8 with those of photo 0 and .1 with its own; photo 2 has none.
    assert [one.share for one in to_captions(PHOTOS, CAPTIONS, PHOTO_OF, (1, 2, 3))] == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3]
    )


def test_a_model_that_says_the_same_of_all_is_not_always_right() -> None:
    """Equal scores: the first photo, and the first caption, wins as in a sorted list."""
    same = np.ones((4, 3), np.float32)
    assert [one.share for one in to_photos(same, same, np.arange(4), (1, 2))] == [0.25, 0.5]
    assert [one.share for one in to_captions(same, same, np.arange(4), (1, 2))] == [0.25, 0.5]


def test_the_interval_holds_the_share_and_shrinks_with_photos() -> None:
    """Drawn over captions it would be too narrow by the number of captions a photo has."""
    rng = np.random.default_rng(0)
    wide, narrow = (
        to_photos(*(rng.standard_normal((n, 8)).astype(np.float32) for _ in range(2)), np.arange(n), (5,))[0]
        for n in (20, 400)
    )
    for one in (wide, narrow):
        assert one.low <= one.share <= one.high
    assert wide.high - wide.low > narrow.high - narrow.low
    five = np.repeat(np.eye(20, dtype=np.float32)[::-1], 5, axis=0)
    (half,) = to_photos(
        np.where(np.arange(100)[:, None] < 50, five[::-1], five), five[::5][::-1], np.repeat(np.arange(20), 5), (1,)
    )
    assert half.share == 0.5 and half.high - half.low > 0.3  # all captions of a photo are hits or none


def test_recall_over_all_of_flickr30k_takes_no_more_memory_than_its_photos() -> None:
    """31,000 photos drawn a thousand times were 750 MB, and the scores of 512 photos with all captions 317 MB."""
    rng = np.random.default_rng(0)
    photos, photo_of = rng.standard_normal((31_000, 2)).astype(np.float32), np.arange(31_000)
    tracemalloc.start()
    try:
        to_photos(photos[:1000], photos, photo_of[:1000], (1,))
        to_captions(photos[:100], photos, photo_of, (1,))
        _recall(photo_of % 3 == 0, photo_of, 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 160 << 20


def test_many_queries_are_compared_in_parts_that_make_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five hundred go at once: a set of fewer would never see the second part."""
    rng = np.random.default_rng(0)
    photos = rng.standard_normal((40, 8)).astype(np.float32)
    photo_of = np.repeat(np.arange(40), 3)
    captions = (photos[photo_of] + rng.standard_normal((120, 8))).astype(np.float32)
    whole = to_photos(captions, photos, photo_of), to_captions(photos, captions, photo_of)
    monkeypatch.setattr("clipsearch.evaluation.retrieval._SCORES", 840)
    assert (to_photos(captions, photos, photo_of), to_captions(photos, captions, photo_of)) == whole


@pytest.mark.parametrize(
    "content",
    [
        'file\tcaption\na.jpg\tone "quoted\na.jpg\ttwo\nb.jpg\tthree\n',
        'a.jpg#0\tone "quoted\na.jpg#1\ttwo\nb.jpg#0\tthree\n',
        json.dumps(
            {
                "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}],
                "annotations": [
                    {"image_id": 7, "caption": 'one "quoted\n'},
                    {"image_id": 7, "caption": "two"},
                    {"image_id": 9, "caption": "three"},
                ],
            }
        ),
        json.dumps(
            {
                "dataset": "coco",
                "images": [
                    {"filename": "a.jpg", "split": "test", "sentences": [{"raw": 'one "quoted'}, {"raw": "two"}]},
                    {"filename": "gone.jpg", "split": "train", "sentences": [{"raw": "of the other part"}]},
                    {"filename": "b.jpg", "split": "test", "sentences": [{"raw": "three"}]},
                ],
            }
        ),
    ],
    ids=["table", "Flickr", "COCO", "Karpathy"],
)
def test_each_form_says_the_same(content: str, tmp_path: Path) -> None:
    """A quotation mark that opens and never closes must not eat the captions behind it."""
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "photos" / name).touch()
    (tmp_path / "captions").write_text(content, "utf-8")
    found = captioned_photos(tmp_path / "captions")
    assert [photo.name for photo in found.photos] == ["a.jpg", "b.jpg"]
    assert found.captions == ('one "quoted', "two", "three")
    assert found.photo_of.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "content",
    [
        "", "a photo", "a.jpg\tone", "{}", '{"images": []}', "file\tcaption\ngone.jpg\tone", "file\tcaption\nhere.jpg",
        pytest.param('{"a":' * 100_000, id="deep"),
        '{"images": [{"id": 7, "file_name": "here.jpg"}], "annotations": [{"image_id": 7, "caption": null}]}',
    ],
)  # fmt: skip
def test_what_is_no_captions_file_is_refused(content: str, tmp_path: Path) -> None:
    """Half a file would give a figure that looks like one."""
    (tmp_path / "captions").write_text(content)
    (tmp_path / "here.jpg").touch()
    with pytest.raises(UsageError):
        captioned_photos(tmp_path / "captions")


@pytest.mark.parametrize(
    "form", ["file\tcaption\nhere.jpg\t{}\nhere.jpg\tsecond\n", "here.jpg#0\t{}\nhere.jpg#1\tsecond\n"]
)
@pytest.mark.parametrize("end", ["\u2028", "\u0085", "\v", "\f", "\x1c"])
def test_only_a_newline_ends_a_line(form: str, end: str, tmp_path: Path) -> None:
    """Captions copied from a web page have U+2028 in them: one such refused a file of 25,000."""
    (tmp_path / "here.jpg").touch()
    (tmp_path / "captions").write_bytes(form.format(f"one{end}two").replace("\n", "\r\n").encode())
    assert captioned_photos(tmp_path / "captions").captions == (f"one{end}two", "second")


@pytest.mark.parametrize("head", ["", "file\tcaption\n"])
def test_the_wrong_line_is_named(head: str, tmp_path: Path) -> None:
    """Among 25,000 lines nobody finds the one that lacks its tab."""
    (tmp_path / "here.jpg").touch()
    (tmp_path / "captions").write_text(f"{head}here.jpg\tone\n\nhere.jpg two\n")
    with pytest.raises(UsageError, match=f"line {3 + bool(head)} "):
        captioned_photos(tmp_path / "captions")


def test_a_caption_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """JSON can hold half an emoji, which no tokenizer takes; it came out as a mistake of the program."""
    (tmp_path / "here.jpg").touch()
    coco = {"images": [{"id": 7, "file_name": "here.jpg"}], "annotations": [{"image_id": 7, "caption": "a \ud83d cat"}]}
    (tmp_path / "captions").write_text(json.dumps(coco))
    with pytest.raises(UsageError, match="caption 1 has half a letter"):
        captioned_photos(tmp_path / "captions")


@pytest.mark.parametrize(
    "name",
    ["a" * 300 + ".jpg", "a\0.jpg", "a/" * 3000 + "b.jpg", "\ud83d.jpg"],
    ids=["long", "zero", "deep", "half a letter"],
)
def test_a_name_that_no_file_can_have_is_refused(name: str, tmp_path: Path) -> None:
    """`File name too long. Check the disk` sends a person to the wrong place: the table is wrong."""
    coco = {"images": [{"id": 7, "file_name": name}], "annotations": [{"image_id": 7, "caption": "one"}]}
    (tmp_path / "captions").write_text(json.dumps(coco))
    with pytest.raises(UsageError) as caught:
        captioned_photos(tmp_path / "captions")
    assert len(caught.value.message) < 250 + len(str(tmp_path))


def test_a_set_says_how_it_differs_from_the_published_one(tmp_path: Path) -> None:
    """R@1 among 200 photos is twice that among 5,000: beside it a published figure looks bad."""
    (tmp_path / "here.jpg").touch()
    coco = {"images": [{"id": 7, "file_name": "here.jpg"}], "annotations": [{"image_id": 7, "caption": "one"}]}
    split = {
        "dataset": "flickr30k",
        "images": [{"filename": "here.jpg", "split": "test", "sentences": [{"raw": "one"}]}],
    }
    found = {}
    for name, content in (("coco", json.dumps(coco)), ("flickr30k", json.dumps(split)), ("none", "here.jpg\tone")):
        (tmp_path / name).write_text(content)
        found[name] = captioned_photos(tmp_path / name)
    assert found["coco"].published == "coco" and "not Karpathy's" in found["coco"].differences[0]
    assert found["flickr30k"].published == "flickr30k"
    assert found["flickr30k"].differences == (
        "it has 1 photos, not 1,000: among fewer a caption finds its own more easily",
    )
    assert found["none"].published is None and not found["none"].differences
    assert captioned_photos(tmp_path / "none", set_name="flickr30k").published == "flickr30k"


def test_the_shared_captions_are_the_same_in_every_form(shared: Path, tmp_path: Path) -> None:
    """Real captions have quotation marks, tabs and blanks at their ends."""
    folder = shared / "data" / "captions"
    table = captioned_photos(folder / "captions.tsv")
    names = [photo.name for photo in table.photos]
    pairs = list(zip(table.photo_of.tolist(), table.captions, strict=True))
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    forms = {
        "coco.json": json.dumps(
            {"images": images, "annotations": [{"image_id": number, "caption": caption} for number, caption in pairs]}
        ),
        "flickr.token": "".join(f"{names[number]}#0\t{caption}\n" for number, caption in pairs),
    }
    for name, content in forms.items():
        (tmp_path / name).write_text(content, "utf-8")
        found = captioned_photos(tmp_path / name, folder)
        assert found.captions == table.captions and found.photos == table.photos
        assert np.array_equal(found.photo_of, table.photo_of)

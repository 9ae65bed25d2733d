"""Filters become SQL: compared with a plain evaluation over a catalog of awkward names, dates and places."""

from __future__ import annotations

import itertools
import math
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.index.annotations import Annotations
from clipsearch.index.catalog import Catalog
from clipsearch.query import KEYS, Filter, parse
from clipsearch.query.dates import period
from clipsearch.query.filters import checked
from clipsearch.types import REJECTED, Metadata
from tests.index.filled import identity, new_root, stamp

TODAY = date(2024, 3, 10)

ROOTS = (b"/Photos", b"/mnt/caf\xe9", b"/")
FOLDERS = (
    b"",
    b"100%",
    b"100x",
    b"a_b",
    b"axb",
    b"it's",
    b'say "hi"',
    b"back\\slash",
    "Été".encode(),
    unicodedata.normalize("NFD", "Été").encode(),
    b"\xff\xfe bad",
    "Straße".encode(),
    b"STRASSE",
    b"Family/2015/Texel",
    b"family/texel",
    b"Familytree",
    b" lead",
    b"[ab]*?",
)  # fmt: skip
NAMES = (
    b"a.jpg",
    b"B.JPG",
    b"Screenshot 1.png",
    b"bildschirmfoto.png",
    b"no ending",
    b"caf\xe9.tif",
    b"jpg",
    b"x.tar.jpg",
)
FORMATS = ("JPEG", "MPO", "PNG", "TIFF", "WEBP")
SIZES = ((640, 480), (480, 640), (500, 500), (2000, 1000), (4100, 2000), (1, 1))
BYTES = (1, 999, 1_000, 500_000, 1_000_000, 8_200_000)
DATES = (
    None, None, "2015-01-01T00:00:00", "2015-12-31T23:59:59", "2016-02-29T12:00:00", "2023-07-01T00:00:01",
    "2023-08-31T23:59:59", "2024-03-10T08:00:00", "1999-05-05T05:05:05",
)  # fmt: skip
PLACES = (
    None,
    (52.37, 4.54),
    (52.38, 4.55),
    (53.0, 4.54),
    (0.0, 179.95),
    (0.0, -179.95),
    (90.0, 0.0),
    (-33.9, 151.2),
    (0.0, 0.0),
)
CAMERAS = (None, "NIKON D750", "Canon EOS 5D", "iPhone 7", 'odd "_%" one')
COLORS = ((), ("red",), ("gray", "blue"), ("blue", "red", "white"))
RATINGS = (None, 5, 3, None, REJECTED, 1, 4)
WRITTEN = (
    {},
    {"title": "Blue hour", "keywords": ("Straße", "100%")},
    {"description": "Grandma's 80th, in the CAFÉ"},
    {"keywords": ("lake", "Lake Louise")},
    {"title": unicodedata.normalize("NFD", "Café"), "description": "by the lake"},
)
LABELS = ((), ("receipt",), ("Receipt", "Café"), ("two words",))


@dataclass(frozen=True)
class Sample:
    id: int
    paths: tuple[bytes, ...]
    metadata: Metadata
    size: int
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Filled:
    catalog: Catalog
    samples: tuple[Sample, ...]

    def ids(self, filters: Sequence[Filter], under: bytes | None = None) -> set[int]:
        return set(self.catalog.photos_matching(filters, TODAY, under=under).tolist())

    def expected(self, filters: Sequence[Filter], under: bytes | None = None) -> set[int]:
        return {
            sample.id
            for sample in self.samples
            if fits(sample, filters) and (under is None or any(lies_under(path, under) for path in sample.paths))
        }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Photos whose properties run through their lists at different speeds, so that they meet in many ways."""
    path = tmp_path_factory.mktemp("filters") / "catalog.db"
    folders = list(itertools.product(ROOTS, FOLDERS))
    samples: list[Sample] = []
    with Catalog.open_writer(path) as catalog:
        roots = {root: new_root(catalog, root) for root in ROOTS}
        catalog.space_for(identity())
        with catalog.transaction():
            for n in range(2 * len(folders)):
                width, height = SIZES[n % len(SIZES)]
                place = PLACES[n % len(PLACES)]
                described = Metadata(
                    width, height, FORMATS[n % len(FORMATS)], taken_at=DATES[n % len(DATES)],
                    latitude=place[0] if place else None, longitude=place[1] if place else None,
                    camera=CAMERAS[n % len(CAMERAS)], lens=CAMERAS[(n + 3) % len(CAMERAS)],
                    colors=COLORS[n // 3 % len(COLORS)],
                    rating=RATINGS[n // 2 % len(RATINGS)], **WRITTEN[n // 4 % len(WRITTEN)],  # type: ignore[arg-type]
                )  # fmt: skip
                photo_id = catalog.put_photo(b"%032d" % n, described)
                size = BYTES[n // 2 % len(BYTES)]
                # Every fourth content lies at two places.
                places = [folders[n % len(folders)], *([folders[(n * 7 + 5) % len(folders)]] if n % 4 == 0 else [])]
                paths = []
                for which, (root, folder) in enumerate(places):
                    name = b"%d %s" % (n, NAMES[(n + which) % len(NAMES)]) if n % 3 else NAMES[(n + which) % len(NAMES)]
                    catalog.put_file(roots[root].id, stamp(name, folder, size=size, inode=n), photo_id)
                    paths.append(os.path.join(root, folder, name))
                samples.append(Sample(photo_id, tuple(paths), described, size, LABELS[n // 5 % len(LABELS)]))
            hidden = catalog.put_photo(b"nobody shows it".ljust(32), Metadata(640, 480, "JPEG", colors=("red",)))
        assert hidden
    with Annotations.open_writer(path) as annotations:
        annotations.put_labels([(one.id, label, 0.9) for one in samples for label in one.labels])
    # A file that took another's place hides that one's photo, unless it lies elsewhere too.
    with Catalog.open_reader(path) as reader:
        shown = reader.photo_rows([one.id for one in samples])
        now = [Sample(i, row.paths, row.metadata, row.size, by_id(samples, i).labels) for i, row in shown.items()]
        assert len(now) > 90
        yield Filled(reader, tuple(now))


def by_id(samples: Sequence[Sample], photo_id: int) -> Sample:
    return next(one for one in samples if one.id == photo_id)


# -- the plain evaluation ---------------------------------------------------------------------------


def fits(sample: Sample, filters: Sequence[Filter]) -> bool:
    wanted = [one for one in filters if not one.negated]
    return all(
        any(holds(sample, one) for one in wanted if one.key == key) for key in {one.key for one in wanted}
    ) and not any(holds(sample, one) for one in filters if one.negated)


def holds(sample: Sample, one: Filter) -> bool:
    described, value = sample.metadata, one.value
    if one.key in ("before", "after", "taken", "year"):
        if described.taken_at is None:
            return False
        day, span = date.fromisoformat(described.taken_at[:10]), period(value, TODAY)
        return {"before": day < span.first, "after": day > span.last}.get(one.key, span.first <= day <= span.last)
    if one.key == "in":
        return any(is_in(path, value) for path in sample.paths)
    if one.key in ("camera", "lens"):
        text = described.camera if one.key == "camera" else described.lens
        return text is not None and folded(value) in folded(text)
    if one.key == "near":
        return described.latitude is not None and is_near(described, value)
    if one.key == "is":
        names = [folded(os.path.basename(path)) for path in sample.paths]
        return {
            "portrait": described.height > described.width,
            "landscape": described.width > described.height,
            "square": described.width == described.height,
            "screenshot": described.camera is None
            and any(name.startswith(("screenshot", "bildschirmfoto")) for name in names),
        }[value]
    if one.key == "type":
        return {"MPO": "jpeg"}.get(described.format, described.format.lower()) == value
    if one.key == "ext":
        return any(path.lower().endswith(b"." + value.encode()) for path in sample.paths)
    if one.key == "size":
        return is_of_size(sample, value)
    if one.key == "color":
        return value in described.colors
    if one.key == "rating":
        return is_rated(described.rating, value)
    if one.key == "caption":
        written = (described.title, described.description, *described.keywords)
        return any(folded(value) in folded(text) for text in written if text)
    assert one.key == "label"
    return folded(value) in map(folded, sample.labels)


def folded(text: str | bytes) -> str:
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return unicodedata.normalize("NFC", text.casefold())


def lies_under(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def is_in(path: bytes, value: str) -> bool:
    if value.startswith("/"):
        return lies_under(path, os.fsencode(value))
    parts = [folded(part) for part in os.path.dirname(path).split(b"/")]
    wanted = [folded(part) for part in value.strip("/").split("/")]
    return any(parts[start : start + len(wanted)] == wanted for start in range(len(parts)))


def is_near(described: Metadata, value: str) -> bool:
    """By vectors in space, not by the formula of the program."""
    place, km = value.split("/")
    latitude, longitude = map(float, place.split(","))
    assert described.latitude is not None and described.longitude is not None
    chord = math.dist(on_globe(latitude, longitude), on_globe(described.latitude, described.longitude))
    return 2 * 6371.0088 * math.asin(min(1, chord / 2)) <= float(km)


def on_globe(latitude: float, longitude: float) -> tuple[float, float, float]:
    a, b = math.radians(latitude), math.radians(longitude)
    return math.cos(a) * math.cos(b), math.cos(a) * math.sin(b), math.sin(a)


def is_of_size(sample: Sample, value: str) -> bool:
    def amount(text: str) -> tuple[int, int]:
        """(asked, seen), in pixels or bytes."""
        units = {"mp": 10**6, "kb": 10**3, "mb": 10**6, "gb": 10**9}
        area = sample.metadata.width * sample.metadata.height
        return round(float(text[:-2]) * units[text[-2:]]), area if text.endswith("mp") else sample.size

    if ".." in value:
        (one, seen), (other, _) = map(amount, value.split(".."))
        return min(one, other) <= seen <= max(one, other)
    asked, seen = amount(value.lstrip("<>="))
    return {">": seen > asked, ">=": seen >= asked, "<": seen < asked, "<=": seen <= asked}[value.rstrip(
        "0123456789.mkgpb")]  # fmt: skip


def is_rated(rating: int | None, value: str) -> bool:
    if value in ("none", "rejected"):
        return rating == {"none": None, "rejected": -1}[value]
    if rating is None or rating not in range(1, 6):
        return False
    asked = [int(sign) for sign in value if sign.isdigit()]
    if ".." in value:
        return min(asked) <= rating <= max(asked)
    return {
        ">": rating > asked[0],
        ">=": rating >= asked[0],
        "<": rating < asked[0],
        "<=": rating <= asked[0],
        "": rating == asked[0],
    }[value.rstrip("0123456789")]


# -- compared ---------------------------------------------------------------------------------------

spellings = st.sampled_from([str, str.upper, str.lower, lambda text: unicodedata.normalize("NFD", text)])
folder_names = st.sampled_from(
    [
        *(folder.decode() for folder in FOLDERS if folder and b"\xff" not in folder),
        "Photos", "mnt", "Family", "2015", "2015/Texel", "%", "_", "a%", "a_", "*", "'", '"', "\\", "mnt/caf\ufffd",
        "hi", "nowhere",
        "Photos/", "/Photos", "/Photos/100%", "/Photos/100", "/Photos/Family", "/photos", "/",
        os.fsdecode(b"/mnt/caf\xe9"),
        "/Photos/a_b/", "/100%", "/Photos/it's", "a//b",
    ]
)  # fmt: skip
VALUES: dict[str, st.SearchStrategy[str]] = {
    "in": st.builds(lambda name, spelled: spelled(name), folder_names, spellings),
    "camera": st.sampled_from(["nikon", "NIKON D750", "5d", "_", "%", '"', "iphone", "leica"]),
    "near": st.sampled_from(
        [
            "52.37,4.54",
            "52.37,4.54/1",
            "52.37,4.54/75",
            "0,180/12",
            "0,-180/3",
            "90,77/1",
            "-33.9,151.2/0",
            "0,0/20040",
            "10,10/100",
        ]
    ),
    "is": st.sampled_from(["portrait", "landscape", "square", "screenshot"]),
    "type": st.sampled_from(["jpeg", "jpg", "PNG", "tif", "webp", "mpo", "doc"]),
    "ext": st.sampled_from(["jpg", "JPG", ".png", "tif", "tar.jpg", "g", "%"]),
    "size": st.sampled_from(
        [">8.2mp", ">=8.2mp", "<0.25mp", "<=0.25mp", ">1kb", ">=1kb", "<1000mb", "1mb..1kb", "0.3mp..2mp", "1mb..1gb"]
    ),
    "color": st.sampled_from(["red", "grey", "blue", "white", "green"]),
    "rating": st.sampled_from(
        ["5", "0", "none", "unrated", "Rejected", "-1", ">=3", "> 3", "<3", "<=4", ">0", "<1", "2..4", "4..2", "3..3"]
    ),
    "caption": st.sampled_from(["lake", "LAKE", "café", "strasse", "blue hour", "%", "80th, in", "hour blue", "'s"]),
    "label": st.sampled_from(["receipt", "RECEIPT", "café", "two words", "two", "%"]),
}
VALUES["lens"] = VALUES["camera"]
for date_key in ("before", "after", "taken"):
    VALUES[date_key] = st.sampled_from(
        ["2015", "2016-02", "2016-02-29", "last summer", "today", "this month", "1999..2015", "2016..today",
         "9 years ago"]
    )  # fmt: skip
VALUES["year"] = st.sampled_from(["2015", "1999..2016", "2016..1999", "2030"])

some_filters = st.sampled_from(sorted(VALUES)).flatmap(
    lambda key: st.builds(
        lambda value, negated: Filter(key, checked(key, value).value, negated), VALUES[key], st.booleans()
    )
)


def test_every_key_is_compared() -> None:
    """A filter that is added without a row here would be compiled unseen."""
    assert set(VALUES) == {one.key for one in KEYS}


@pytest.mark.parametrize("key", sorted(VALUES))
def test_each_filter_finds_what_its_words_say(filled: Filled, key: str) -> None:
    """A photo that a filter drops wrongly is lost to the person who asks; nothing hints at it."""
    found_some = False

    @given(VALUES[key], st.booleans())
    def compare(value: str, negated: bool) -> None:
        nonlocal found_some
        one = Filter(key, checked(key, value).value, negated)
        found = filled.ids([one])
        assert found == filled.expected([one])
        found_some = found_some or (bool(found) and not negated)

    compare()
    assert found_some, "a comparison of nothing with nothing proves nothing"


@given(st.lists(some_filters, max_size=5), st.sampled_from([None, b"/Photos", b"/mnt/caf\xe9", b"/", b"/Photos/100%"]))
def test_the_same_key_is_or_different_keys_are_and_negated_ones_are_not(
    filled: Filled, filters: list[Filter], under: bytes | None
) -> None:
    """The documents say how filters combine; someone who deletes what `-label:keep` finds relies on it."""
    assert filled.ids(filters, under) == filled.expected(filters, under)


@given(st.lists(some_filters, min_size=1, max_size=4))
def test_a_filter_and_its_opposite_share_no_photo_and_miss_none(filled: Filled, filters: list[Filter]) -> None:
    """A photo without a date or a place must fall on one side: SQL's NULL would drop it from both."""
    one = filters[0]
    other = Filter(one.key, one.value, not one.negated)
    everything = filled.ids([])
    assert filled.ids([one]) | filled.ids([other]) == everything
    assert not filled.ids([one]) & filled.ids([other])


def test_a_photo_that_no_file_shows_fits_nothing(filled: Filled) -> None:
    """A deleted photo would come back through `color:red`."""
    assert filled.ids([]) == {one.id for one in filled.samples}


@pytest.mark.parametrize("value", ["100%", "a_b", "it's", 'say "hi"', "back\\slash", "[ab]*?", " lead"])
def test_signs_in_a_folder_name_are_ordinary_characters(filled: Filled, value: str) -> None:
    """With LIKE or GLOB, `a_b` would find `axb` too; with pasted text, a quote would end the statement."""
    found = filled.ids([Filter("in", value)])
    assert found
    for one in filled.samples:
        inside = any(f"/{value}/".encode() in path for path in one.paths)
        assert (one.id in found) == inside


def test_a_folder_is_found_in_either_unicode_form_and_case(filled: Filled) -> None:
    """A folder made on a Mac is decomposed; typed on Linux it is not."""
    found = filled.ids([Filter("in", unicodedata.normalize("NFD", "éTÉ"))])
    assert found == filled.ids([Filter("in", "Été")])
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "Été").encode()
        assert {one.id for one in filled.samples if any(b"/" + name + b"/" in path for path in one.paths)} <= found


def test_a_photo_is_found_by_its_own_path(filled: Filled) -> None:
    """`in:` takes what a completion of the shell has put there, a file too."""
    for one in filled.samples[:20]:
        for path in one.paths:
            assert filled.ids([Filter("in", os.fsdecode(path))]) == {one.id}
            assert filled.ids([], under=path) == {one.id}


def test_photos_come_newest_first_and_those_without_a_date_last(filled: Filled) -> None:
    """Where only filters are asked, this is the order that is shown, and cut after k."""
    taken = {one.id: one.metadata.taken_at for one in filled.samples}
    order = [taken[photo_id] for photo_id in filled.catalog.photos_matching([], TODAY).tolist()]
    dated = [at for at in order if at]
    assert dated == sorted(dated, reverse=True)
    assert order == dated + [None] * (len(order) - len(dated))


def test_what_a_person_types_reaches_the_condition(filled: Filled) -> None:
    """From the text to the photos, once whole."""
    query = parse('in:"100%" -is:portrait before:2016 color:blue color:red')
    found = filled.ids(query.filters)
    assert found == filled.expected(query.filters)
    assert found

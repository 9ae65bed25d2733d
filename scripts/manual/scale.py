"""What 10^6 to 10^9 photos cost, for docs/scale.md: measured figures, each with its place, multiplied.

A figure is quoted from the page (or the line of the program) that says it, with the words around it, so a page that is
measured anew and this arithmetic cannot disagree: tests/test_scale_arithmetic.py looks for each quotation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from manual.markdown import table

PROJECT = Path(__file__).absolute().parents[2]
PAGE = PROJECT / "docs" / "scale.md"
BEGIN, END = "<!-- made by scripts/docs -->\n", "<!-- end -->\n"

MILLION = 1_000_000
SIZES = (MILLION, 10 * MILLION, 100 * MILLION, 1000 * MILLION)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
MB, GB = 1e6, 1e9
CORES = 64
GIGABIT = 1e9 / 8  # bytes/s: a definition, not a measurement


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as a page says it, in the page's own unit."""

    value: float
    what: str
    quote: str
    page: str
    command: str


INGEST = "python benchmarks/ingest.py PEERS --photos 200 --rounds 2"
CAMERA = "python benchmarks/camera_photos.py FOLDER"
SCALE = "python benchmarks/scale.py --vectors VECTORS --library DIR"
TEN = f"{SCALE} --rows 10000000"
SHARED = "python benchmarks/shared.py --vectors VECTORS --library DIR --to STORE"
MERGE = "python benchmarks/merge.py --rows 1000000"
ENCODE = "python benchmarks/encode.py MADE"
ROWS = f"{SCALE} --rows 250000"

photo_mb = Figure(4.7, "a JPEG of 12 megapixels, MB", "12 megapixels (4.7 MB)", "docs/decoding.md", CAMERA)
photo_ms = Figure(69, "12 megapixels, decoded and encoded (ViT-B/32 int8), core-ms",
                  "of 69 core-ms a photo", "benchmarks/README.md", INGEST)  # fmt: skip
model_ms = Figure(16, "of these the model", "and 16 the model's", "benchmarks/README.md", INGEST)
large_ms = Figure(102, "24 megapixels, the same, core-ms", "66 of 102 core-ms", "benchmarks/README.md",
                  f"{INGEST} --megapixels 24")  # fmt: skip
pictures_s = Figure(151.6, "ViT-B/32 int8 alone on two threads, pictures/s", "| OpenVINO int8 | 16 | 151.6 |",
                    "docs/speed.md", f"{ENCODE} --only images")  # fmt: skip
b32_flop = Figure(8.7, "ViT-B/32, GFLOP a picture", "| ViT-B/32 | 151.3 | 8.7 |", "docs/speed.md",
                  f"{ENCODE} --only models")  # fmt: skip
l14_flop = Figure(155.5, "ViT-L/14, GFLOP a picture", "| ViT-L/14 | 427.6 | 155.5 |", "docs/speed.md",
                  f"{ENCODE} --only models")  # fmt: skip
bundle_gb = Figure(1.13, "bundle of a million photos, GB", "takes 1.13 GB", "docs/bundles.md", MERGE)
merge_s = Figure(42.5, "merge of a million photos, core-seconds", "the bundles too | 42.5 |", "docs/bundles.md", MERGE)
walk_gb = Figure(0.6, "listing a million files of one folder, GB", "plan 0.6 GB for each million files",
                 "docs/cluster.md", "by hand: peak of the process that lists")  # fmt: skip
rescan_s = Figure(15, "re-scan of a million unchanged files, s", "1,000,000 unchanged files takes 15 s",
                  "docs/scale.md", f"{SCALE} --files 1000000")  # fmt: skip
catalog_b = Figure(1748, "catalog.db, bytes a photo", "1,748 bytes a photo", "docs/scale.md", ROWS)
files_b = Figure(1288, "vectors/ without a graph, bytes a photo", "1,288 bytes a photo", "docs/scale.md", ROWS)
graph_b = Figure(468, "a graph, up to 4,000,000 photos, bytes a photo", "468 bytes a row", "docs/scale.md", ROWS)
sketch_b = Figure(256, "sketches, bytes a photo", "256 of them sketches", "docs/scale.md", ROWS)
fresh_1m = Figure(127, "checkpoint from nothing, a million, s", "from nothing takes 127 s", "docs/scale.md", SCALE)
fresh_10m = Figure(90, "the same, ten million without a graph, s", "from nothing took 90 s", "docs/scale.md", TEN)
added_1m = Figure(15, "checkpoint that adds 5,000 to a million, s", "adds 5,000 photos 15 s", "docs/scale.md", SCALE)
added_10m = Figure(60, "checkpoint that adds 50,000 to ten million, s", "50,000 photos 43 and 60 s", "docs/scale.md",
                   TEN)  # fmt: skip
text_1m = Figure(16.9, "text, 20 hits, a million, ms", "text-like, 20 hits | 0.9995 | 15.6 ms | 16.9 ms |",
                 "docs/scale.md", SCALE)  # fmt: skip
text_10m = Figure(148, "the same, ten million, ms", "text-like, 20 hits | 1.000 | 134 ms | 148 ms |",
                  "docs/scale.md", TEN)  # fmt: skip
picture_1m = Figure(1.4, "picture, 20 hits, a million, through the graph, ms",
                    "picture through the graph, 20 hits | 0.992 | 1.1 ms | 1.4 ms |", "docs/scale.md",
                    SCALE)  # fmt: skip
picture_10m = Figure(139, "the same, ten million, ms", "picture, 20 hits | 1.000 | 134 ms | 139 ms |",
                     "docs/scale.md", TEN)  # fmt: skip
filter_1m = Figure(470, "with a filter that leaves 80 %, a million, ms",
                   "`-camera:nikon` (812,377 photos) | | 318 ms | 470 ms |", "docs/scale.md", SCALE)  # fmt: skip
filter_10m = Figure(2.9, "the same, ten million, s", "`-camera:nikon` (8,038,661 photos) | | 2.8 s | 2.9 s |",
                    "docs/scale.md", TEN)  # fmt: skip
tail_ms = Figure(60, "a tail of 20,000 photos adds to a search, ms", "tail 20,000 take a search 60 ms",
                 "clipsearch/index/update.py", "by hand: `Nearest.find` with such a tail")  # fmt: skip
tail_share = Figure(0.005, "longest tail, share of the checkpoint", "TAIL_SHARE = 0.005",
                    "clipsearch/index/vectors.py", "a rule, not measured")  # fmt: skip
cold_small = Figure(199, "new process, query asked before, 1,000 photos, ms", "617 : 199 ms", "docs/scale.md", TEN)
cold_10m = Figure(617, "the same, ten million, ms", "617 : 199 ms", "docs/scale.md", TEN)
export_s = Figure(272, "export of a million to Lance, s", "(of which the index 57 s) | 272 s |",
                  "docs/shared-library.md", SHARED)  # fmt: skip
store_gb = Figure(1.6, "one version in the store, a million, GB", "a version in the store | 1.6 GB",
                  "docs/shared-library.md", SHARED)  # fmt: skip
fetched_gb = Figure(0.15, "of it the catalog, which a reader fetches, GB", "catalog 0.15", "docs/shared-library.md",
                    SHARED)  # fmt: skip
reader_mb = Figure(400, "what a reader keeps of a million, MB", "in its cache | 400 MB |", "docs/shared-library.md",
                   SHARED)  # fmt: skip
codes_gb = Figure(0.1, "index that each question looks through, a million, GB", "about 0.1 GB for a million",
                  "docs/shared-library.md", SHARED)  # fmt: skip
shared_ms = Figure(13, "text, 20 hits, a million, in Lance, ms", "fastest of 100, texts | 13 ms |",
                   "docs/shared-library.md", SHARED)  # fmt: skip

FIGURES = tuple(one for one in list(globals().values()) if isinstance(one, Figure))


@dataclass(frozen=True, slots=True)
class Row:
    """`of` says it for any number of photos; `measured` holds what was measured at that very number instead."""

    what: str
    of: Callable[[float], float]
    shown: Callable[[float], str]
    measured: Mapping[int, float] = field(default_factory=dict)

    def cell(self, photos: int) -> str:
        if photos in self.measured:
            return f"**{self.shown(self.measured[photos])}**"
        return self.shown(self.of(photos))


def duration(seconds: float) -> str:
    for unit, name in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min"), (1, "s")):
        if seconds >= (2 if unit == DAY else 1) * unit:
            return f"{_rounded(seconds / unit)} {name}"
    return f"{_rounded(1000 * seconds)} ms"


def volume(size: float) -> str:
    for unit, name in ((1e15, "PB"), (1e12, "TB"), (GB, "GB"), (MB, "MB")):
        if size >= unit:
            return f"{_rounded(size / unit)} {name}"
    raise ValueError(size)


def core_hours(seconds: float) -> str:
    return f"{_rounded(seconds / HOUR)}"


def _rounded(number: float) -> str:
    """Two digits that count; more would promise what one measurement cannot hold."""
    digits = 0 if number >= 9.95 else 1
    coarse = float(f"{number:.2g}")
    return f"{coarse:,.{digits}f}".removesuffix(".0")


def a_photo(figure: Figure, unit: float, of: int = MILLION) -> Callable[[float], float]:
    return lambda photos: photos * figure.value * unit / of


def _files(photos: float) -> float:
    graph = graph_b.value if photos <= 4 * MILLION else 0.0
    return photos * (files_b.value + graph)


_seconds_12 = photo_ms.value / 1000
_seconds_small = 2 / pictures_s.value
_seconds_l14 = (photo_ms.value - model_ms.value) / 1000 + _seconds_small * l14_flop.value / b32_flop.value

ENCODING = (
    Row("originals of 12 megapixels", a_photo(photo_mb, MB, 1), volume),
    Row("reading them over 10 Gbit/s, at best", lambda n: n * photo_mb.value * MB / (10 * GIGABIT), duration),
    Row("core-hours, ViT-B/32 int8", lambda n: n * _seconds_12, core_hours),
    Row("on 2 cores", lambda n: n * _seconds_12 / 2, duration),
    Row(f"on {CORES} cores", lambda n: n * _seconds_12 / CORES, duration),
    Row("core-hours, 24 megapixels", lambda n: n * large_ms.value / 1000, core_hours),
    Row("core-hours, ViT-L/14, by its GFLOP", lambda n: n * _seconds_l14, core_hours),
    Row("core-hours, pictures of 224 px: the model alone", lambda n: n * _seconds_small, core_hours),
    Row("bundles", a_photo(bundle_gb, GB), volume, {MILLION: bundle_gb.value * GB}),
    Row("`merge`, one core", a_photo(merge_s, 1), duration, {MILLION: merge_s.value}),
)

LIBRARY = (
    Row("`catalog.db`", a_photo(catalog_b, 1, 1), volume),
    Row("`vectors/`; twice that while a checkpoint is made", _files, volume),
    Row("memory that keeps texts fast: the sketches", a_photo(sketch_b, 1, 1), volume),
    Row("checkpoint from nothing", a_photo(fresh_10m, 1, 10 * MILLION), duration,
        {MILLION: fresh_1m.value, 10 * MILLION: fresh_10m.value}),
    Row("checkpoint that adds 0.5 %", a_photo(added_10m, 1, 10 * MILLION), duration,
        {MILLION: added_1m.value, 10 * MILLION: added_10m.value}),
    Row("`index` again, nothing new", a_photo(rescan_s, 1), duration, {MILLION: rescan_s.value}),
    Row("memory of that, all in one folder", a_photo(walk_gb, GB), volume),
    Row("text, 20 hits", a_photo(text_10m, 1e-3, 10 * MILLION), duration,
        {MILLION: text_1m.value / 1000, 10 * MILLION: text_10m.value / 1000}),
    Row("picture, 20 hits", a_photo(picture_10m, 1e-3, 10 * MILLION), duration,
        {MILLION: picture_1m.value / 1000, 10 * MILLION: picture_10m.value / 1000}),
    Row("text, with a filter that leaves 80 %", a_photo(filter_10m, 1, 10 * MILLION), duration,
        {MILLION: filter_1m.value / 1000, 10 * MILLION: filter_10m.value}),
    Row("added to each by the longest tail", lambda n: n * tail_share.value * tail_ms.value / 1000 / 20_000, duration),
    Row("a new process, query asked before",
        lambda n: (cold_small.value + n * (cold_10m.value - cold_small.value) / (10 * MILLION)) / 1000, duration,
        {10 * MILLION: cold_10m.value / 1000}),
)  # fmt: skip

STORE = (
    Row("`export --to lance`", a_photo(export_s, 1), duration, {MILLION: export_s.value}),
    Row("in the store: two versions", a_photo(store_gb, 2 * GB), volume, {MILLION: 2 * store_gb.value * GB}),
    Row("a reader fetches, once a version", a_photo(fetched_gb, GB), volume, {MILLION: fetched_gb.value * GB}),
    Row("a reader keeps on its disk", a_photo(reader_mb, MB), volume, {MILLION: reader_mb.value * MB}),
    Row("index that each question looks through", a_photo(codes_gb, GB), volume, {MILLION: codes_gb.value * GB}),
    Row("text, 20 hits", a_photo(shared_ms, 1e-3), duration, {MILLION: shared_ms.value / 1000}),
)  # fmt: skip


def page() -> str:
    """docs/scale.md with its tables made anew; all else is as somebody wrote it."""
    head, rest = PAGE.read_text("utf-8").split(BEGIN)
    _, tail = rest.split(END)
    return head + BEGIN + section() + END + tail


def section() -> str:
    parts = ["", "**Encoding.**", "", _sized(ENCODING), "**One library, asked on its own machine.**", ""]
    parts += [
        _sized(LIBRARY),
        "**A shared store.**",
        "",
        _sized(STORE),
        "<details><summary>The figures, and where they",
    ]
    parts[-1] += " come from</summary>"
    return "\n".join([*parts, "", _sources(), "</details>\n"])


def _sized(rows: tuple[Row, ...]) -> str:
    head = ["photos", *(f"{size:,}" for size in SIZES)]
    return table(head, [[row.what, *(row.cell(size) for size in SIZES)] for row in rows])


def _sources() -> str:
    rows = [[one.what, f"{one.value:,g}", _link(one.page), _code(one.command)] for one in FIGURES]
    return table(["what", "figure", "from", "command"], rows)


def _link(page: str) -> str:
    if page == "docs/scale.md":
        return "below"
    name = page.removeprefix("docs/")
    return f"[{name}]({name if page.startswith('docs/') else '../' + page})"


def _code(command: str) -> str:
    return f"`{command}`" if command.startswith("python ") else command


def said(page: str) -> str:
    """What a page says by hand, without line breaks and the signs of comments; what is made here is no source."""
    text = (PROJECT / page).read_text("utf-8")
    if BEGIN in text:
        head, rest = text.split(BEGIN)
        text = head + rest.split(END)[1]
    return re.sub(r"\s+(# )?", " ", text)

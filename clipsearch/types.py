"""What passes between the parts: frozen dataclasses and the Protocols at the seams.

Owns no behaviour and imports nothing of ours, so that every layer may speak these words.
Paths are bytes where they come from the disk: a name that is not UTF-8 is a name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:  # not ours, and importing them here would cost every `--help`
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image


# The colours a photo may be said to have, as `color:` knows them.
COLORS = ("black", "white", "gray", "brown", "red", "orange", "yellow", "green", "blue", "purple", "pink")

AnyPath = str | bytes | os.PathLike[str]
Picture: TypeAlias = "AnyPath | Image | NDArray[np.uint8]"  # an array is RGB, (height, width, 3)
Sort = Literal["score", "date", "name"]
SORTS: tuple[Sort, ...] = ("score", "date", "name")
DuplicateKind = Literal["exact", "perceptual", "burst"]
DUPLICATE_KINDS: tuple[DuplicateKind, ...] = ("exact", "perceptual", "burst")
Progress = Callable[[str, int, int], None]  # what is done, how many are, of how many
REJECTED = -1  # a rating below all stars, as XMP has it
BURST_S = 5  # seconds between a frame of a burst and the next


class Stamp(NamedTuple):
    """A directory entry as the disk shows it: enough to tell "unchanged" without reading the file.

    A tuple, for a re-scan makes two for each file: a frozen dataclass takes three times as long to make.
    """

    folder: bytes  # relative to the root, b"" for the root itself
    name: bytes
    size: int  # bytes
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a photo says of itself; None where it says nothing or nonsense."""

    width: int  # px, after orientation
    height: int  # px, after orientation
    format: str
    taken_at: str | None = None  # local time as written, "2011-10-02T14:03:07"
    taken_offset: str | None = None  # "+03:00"
    latitude: float | None = None  # degrees, north positive
    longitude: float | None = None  # degrees, east positive
    camera: str | None = None
    lens: str | None = None
    colors: tuple[str, ...] = ()  # the main ones, of COLORS, the largest first
    phash: int | None = None  # 64 bits, signed; near ones look alike (decoding/appearance.py)
    phash_fine: bytes | None = None  # 192 bits more, which prove it
    taken_ms: int | None = None  # 0..999 of that second, where the camera counts them
    rating: int | None = None  # stars, 1 to 5, or REJECTED
    title: str | None = None  # each of these is one line
    description: str | None = None
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A photo ready to be encoded or shown."""

    pixels: bytes  # what the `prepare` made: for an encoder uint8 RGB, for a screen a small WebP
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a file is not in the results."""

    reason: str
    fatal: bool = False  # the process that read it died or was killed, which may have been another's fault
    lasting: bool = True  # the file's own; False: the disk's, so the next run tries again


@dataclass(frozen=True, slots=True)
class FailedFile:
    path: bytes
    reason: str
    attempts: int


class Prepare(Protocol):
    """Upright RGB picture -> what is done with it. Picklable: it runs in decode workers."""

    @property
    def size(self) -> int:
        """Side in px of what comes out; the photo is decoded to at least twice that."""

    def __call__(self, image: Image, /) -> bytes:
        """`image` is in mode RGB; an encoder's returns uint8 RGB bytes, size x size x 3."""


@dataclass(frozen=True, slots=True)
class SpaceIdentity:
    """The embedding space that an encoder writes into; vectors of two spaces are never compared."""

    fingerprint: str  # of weights and preprocessing
    model: str
    dim: int


class Encoder(Protocol):
    """What the indexer knows of a model: pixels in, unit vectors out."""

    @property
    def space(self) -> SpaceIdentity: ...
    @property
    def variant(self) -> str:
        """Which precision and runtime made the vectors, for the record: "fp32/onnxruntime-cpu"."""

    @property
    def prepare(self) -> Prepare: ...
    @property
    def batch_size(self) -> int: ...
    def encode_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (n, s, s, 3) -> float32 (n, dim), each row of length 1. Raises ModelError."""


class Decoder(Protocol):
    """Turns files into pixels, several at a time; a file that cannot be read is a Failure, never an exception."""

    @property
    def identity(self) -> str:
        """Changes when another version might read what this one could not."""

    @property
    def ahead(self) -> int:
        """Files to hand over before waiting for one: enough to keep it busy while a batch is encoded."""

    @property
    def suspects(self) -> Mapping[bytes, int]:
        """Files that were being read when an earlier run died, and their strikes: how many died over each alone.

        They are read last, with `decode_alone`.
        """

    @property
    def spent(self) -> tuple[float, float]:
        """Core-seconds since it was made: of decoding, and of preparing for the model."""

    def submit(self, path: bytes) -> Future[Decoded | Failure]:
        """Begins as soon as it can. Outcomes come in any order: a file that takes long holds up no other."""

    def decode_alone(self, path: bytes) -> Decoded | Failure:
        """Reads one file afresh while nothing else is in flight, so that what goes wrong is its own fault."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One content that answers a query. `score` and `relevance` are None where nothing but filters was asked."""

    rank: int  # from 1
    path: bytes
    score: float | None  # cosine, -1..1
    relevance: float | None  # 0..1; what it means is docs/relevance.md's
    copies: tuple[bytes, ...]  # other paths of the same content
    width: int
    height: int
    taken_at: str | None
    offline: bool  # its root could not be listed when last looked at
    contributions: tuple[float, ...] = ()  # of each term to the score, in the order of Answer.terms
    same_as: int | None = None  # rank of the first hit that shows the same picture or moment


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a search and what it took."""

    name: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    hits: tuple[Hit, ...]  # at most k; without `min_relevance` not gated
    plan: str  # "filter only", or one of docs/scale.md: "exact", "filtered exact", "sketch + re-rank + tail", …
    searched: int  # photos that took part: all, or those that fit the filters
    library: int  # photos in the library
    gate: float | None  # relevance from which a hit fits; None where everything does, as for a picture
    terms: tuple[str, ...] = ()  # what was asked: texts, like:path, paths
    truncated: tuple[str, ...] = ()  # texts of which the model read only the beginning
    steps: tuple[Step, ...] = ()

    @property
    def fitting(self) -> tuple[Hit, ...]:
        """The hits that a person is shown."""
        gate = self.gate
        return self.hits if gate is None else tuple(hit for hit in self.hits if (hit.relevance or 0.0) >= gate)


@dataclass(frozen=True, slots=True)
class PhotoDetails:
    """All that the library knows of one photo."""

    path: bytes
    copies: tuple[bytes, ...]
    metadata: Metadata
    size: int  # bytes of the file
    labels: tuple[str, ...]
    offline: bool


@dataclass(frozen=True, slots=True)
class DuplicateFile:
    path: bytes
    width: int
    height: int
    size: int  # bytes
    taken_at: str | None
    modified_at: str  # local time, of the file
    offline: bool
    copies: tuple[bytes, ...] = ()  # other paths of the same content; empty in an exact group, which lists them


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Files that are one content, photos that are one picture, or photos of one moment; the best one first."""

    kind: DuplicateKind
    files: tuple[DuplicateFile, ...]


@dataclass(frozen=True, slots=True)
class SavedSearch:
    name: str
    query: str


@dataclass(frozen=True, slots=True)
class Label:
    """What a photo may be called. `clipsearch.labels.sets` reads and checks them."""

    name: str
    words: tuple[str, ...]  # what goes into the templates; none for a label that only has kinds
    templates: tuple[str, ...]
    threshold: float | None = None  # the least probability, 0..1
    under: str | None = None  # the label of which it is a kind
    slope: float = 1.0  # its logit is multiplied with this, and the bias added: fitted to examples
    bias: float = 0.0


@dataclass(frozen=True, slots=True)
class Fitted:
    """Where slopes and biases of a label set come from; under another model they mean nothing."""

    model: str  # its name, for a person
    space: str  # its fingerprint
    unknown: float = 0.0  # bias of the everyday texts that a label must stand up to


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels that share one whole: what a photo is called, one of them or none."""

    labels: tuple[Label, ...]  # those that are asked
    groups: tuple[Label, ...] = ()  # those that only have kinds
    fitted: Fitted | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in (*self.labels, *self.groups))


class LibraryAPI(Protocol):
    """What a library answers, whether it is opened here or reached through the service."""

    def search(
        self,
        query: str = "",
        *,
        images: Sequence[AnyPath] = (),
        k: int = 20,
        under: AnyPath | None = None,
        sort: Sort | None = None,
        min_relevance: float | None = None,
        diverse: bool = False,
        exact: bool = False,
    ) -> Answer: ...
    def similar(self, path: AnyPath, *, k: int = 20, under: AnyPath | None = None) -> Answer: ...
    def classify(
        self,
        targets: Sequence[AnyPath],
        labels: Sequence[str] | LabelSet,
        *,
        templates: Sequence[str] = (),
        unknown: bool = False,
        margin: float = 0.0,
        top: int | None = None,
        progress: Progress | None = None,
    ) -> Iterable[Labelled | FailedFile]: ...
    def photo(self, path: AnyPath) -> PhotoDetails | None: ...
    def status(self) -> Status: ...


@dataclass(frozen=True, slots=True)
class LabelScore:
    label: str
    probability: float
    score: float  # cosine


@dataclass(frozen=True, slots=True)
class Labelled:
    path: bytes
    labels: tuple[LabelScore, ...]  # most probable first
    label: str | None  # what it may be called: the best, a broader one, or None where none is clear
    probability: float | None  # of `label`


@dataclass(frozen=True, slots=True)
class Watching:
    """How a root is watched."""

    root: bytes
    backend: str  # "inotify", "fsevents", "windows" or "polling"
    folders: int  # that bring events; 0 where it is polled
    every_s: float  # how often the whole root is compared with the library whatever the events say
    reason: str | None = None  # why it is polled


@dataclass(frozen=True, slots=True)
class WatcherStatus:
    """A watcher that runs now. Times are UTC."""

    pid: int
    since: str
    self_test: str | None  # why no events can be had; None where they can
    looked_at: str | None  # when it last compared something with the library
    roots: tuple[Watching, ...]


@dataclass(frozen=True, slots=True)
class RootStatus:
    path: bytes
    files: int
    online: bool
    checked_at: str  # UTC, when it was last listed
    offline_since: str | None = None  # UTC
    watched: Watching | None = None  # by a watcher that runs now


@dataclass(frozen=True, slots=True)
class CheckpointStatus:
    """How searching is backed. `state` is a sentence a person reads."""

    generation: int | None
    rows: int
    tail: int  # committed vectors that are not in the checkpoint
    state: str
    healthy: bool


@dataclass(frozen=True, slots=True)
class TextCacheStatus:
    entries: int
    hits: int
    misses: int

    @property
    def hit_rate(self) -> float:
        """0..1; 0 when nothing was asked yet."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


@dataclass(frozen=True, slots=True)
class Status:
    library: str
    photos: int
    files: int
    failed: int
    roots: tuple[RootStatus, ...]
    model: str
    variant: str | None  # precision and runtime of the newest vectors: "fp32/onnxruntime-cpu"
    space: SpaceIdentity | None
    checkpoint: CheckpointStatus
    text_cache: TextCacheStatus
    watcher: WatcherStatus | None = None


@dataclass(frozen=True, slots=True)
class MeasuredWay:
    """One way to run a model on this machine, and what became of trying it; None where it did not come so far."""

    runtime: str
    device: str
    arithmetic: str  # what the runtime computes in
    precision: str  # the model's variant
    batch: int  # the best one
    threads: int
    images_per_s: float | None = None  # at that batch
    query_ms: float | None = None  # of one text, warm
    cold_ms: float | None = None  # to open the text tower and answer first texts
    cosine: float | None = None  # the lowest with the golden vectors
    peak_mb: int | None = None
    verdict: str = "failed"  # or "good", "photos only", "texts only", "refused", "unmeasured"
    reason: str = ""
    fit_for: tuple[str, ...] = ()  # of "ingest" and "query": what gives the model's own vectors
    chosen_for: tuple[str, ...] = ()  # what it is the best at
    unfinished: bool = False  # no time was left for it, or for all of it; the next measuring goes on

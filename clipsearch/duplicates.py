"""Which photos show one picture, and which show one moment: arrays in, groups of rows out. No SQL, no files, no pixels.

A *copy* is the same picture in another size, compression or format. Hashes find it and prove it, shape and time may
contradict, vectors have the last word. A *burst* is one moment: the same camera, seconds apart, and alike.
Vectors alone say neither: two receipts reach a cosine of 0.999, a photo and its own preview as little as 0.80.
Where the numbers come from: docs/duplicates.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.types import BURST_S, Metadata

Rows = NDArray[np.intp]
Vectors = NDArray[np.float32]
VectorsOf = Callable[[Rows], Vectors]  # unit vectors (n, dim) of rows; zeros where a photo has none

COARSE_BITS = 8  # of 64 that may differ; of 10.3 million pairs of different photos none differs in fewer than 13
ALL_BITS = 26  # of 256; copies differ in 17 or fewer but for the tiniest, different receipts and lists in 32 or more
SHAPE = 0.03  # by which the ratios of the sides may differ: a preview of 80 px rounds its sides
COPY_COSINE = 0.65  # previews smaller than a model's input fall to 0.68 (CLIP ViT-B/16), strong compression to 0.80

BURST_COSINE = 0.85  # frames of a hand-held camera reach it (all but 1 of 283), and 0.4 % of pairs of other photos
_FRAMES = 8  # before a frame, that it is compared with: two cameras of one name may shoot at once

UNDATED = np.iinfo(np.int64).min
NO_CAMERA = -1
NO_MS = -1

_BANDS = 10  # of the 64 bits; 8 differing ones leave two bands whole
_BUCKET = 512  # rows with two bands alike that each is compared with; more are thousands of frames of one scene
_BLOCK = 4096  # pairs whose vectors are held at once


@dataclass(frozen=True, slots=True)
class Looks:
    """What is compared: one row a photo, the best photo first."""

    hashes: NDArray[np.uint64]  # (n, 4), the coarse 64 bits first
    hashed: NDArray[np.bool_]  # (n,), False where the picture is too plain for a hash
    shapes: NDArray[np.float64]  # (n,) width / height
    taken: NDArray[np.int64]  # (n,) seconds, or UNDATED
    taken_ms: NDArray[np.int64]  # (n,) within that second, or NO_MS
    cameras: NDArray[np.int64]  # (n,) equal where the camera is, or NO_CAMERA


def looks_of(photos: Sequence[Metadata]) -> Looks:
    """What the photos look like, in their order."""
    bits = b"".join(
        one.phash.to_bytes(8, "big", signed=True) + one.phash_fine
        for one in photos
        if one.phash is not None and one.phash_fine is not None
    )
    hashed = np.array([one.phash is not None and one.phash_fine is not None for one in photos], np.bool_)
    hashes = np.zeros((len(photos), 4), np.uint64)
    hashes[hashed] = np.frombuffer(bits, ">u8").reshape(-1, 4)
    cameras = {camera: number for number, camera in enumerate(dict.fromkeys(one.camera for one in photos))}
    return Looks(
        hashes=hashes,
        hashed=hashed,
        shapes=np.array([one.width / one.height for one in photos], np.float64),
        taken=np.array([one.taken_at or "NaT" for one in photos], "datetime64[s]").astype(np.int64),  # NaT is UNDATED
        taken_ms=np.array([NO_MS if one.taken_ms is None else one.taken_ms for one in photos], np.int64),
        cameras=np.array([NO_CAMERA if one.camera is None else cameras[one.camera] for one in photos], np.int64),
    )


def copies(looks: Looks, vectors_of: VectorsOf) -> list[Rows]:
    """Groups of rows that show one picture. The first is the best, and each other one is a copy of that one."""
    rows = np.flatnonzero(looks.hashed)
    found = []
    for pair in _near_hashes(looks.hashes[rows, 0]):
        one, other = np.sort(rows[pair], axis=0)
        alike = np.bitwise_count(looks.hashes[one] ^ looks.hashes[other]).sum(axis=1) <= ALL_BITS
        alike &= np.abs(np.log(looks.shapes[one] / looks.shapes[other])) <= SHAPE
        # Two times are two moments, however alike (a tripod); a copy keeps its time or loses it.
        for times, unknown in ((looks.taken, UNDATED), (looks.taken_ms, NO_MS)):
            alike &= (times[one] == times[other]) | (times[one] == unknown) | (times[other] == unknown)
        found.append(_confirmed(one[alike], other[alike], vectors_of, COPY_COSINE))
    return _stars(np.concatenate(found, axis=1)) if found else []


def bursts(looks: Looks, vectors_of: VectorsOf, among: NDArray[np.bool_], within_s: float = BURST_S) -> list[Rows]:
    """Groups of rows of `among` that show one moment, the best first: frames linked by time, camera and likeness."""
    rows = np.flatnonzero(among & (looks.taken != UNDATED) & (looks.cameras != NO_CAMERA))
    rows = rows[np.lexsort((rows, looks.taken[rows], looks.cameras[rows]))]
    places = []
    for step in range(1, _FRAMES + 1):
        earlier, later = rows[:-step], rows[step:]
        near = looks.cameras[earlier] == looks.cameras[later]
        near &= looks.taken[later] - looks.taken[earlier] <= within_s
        places.append(np.stack([np.flatnonzero(near), np.flatnonzero(near) + step]))
    pairs = np.concatenate(places, axis=1)
    pairs = rows[pairs[:, np.argsort(pairs[0], kind="stable")]]  # neighbours in time share a block, and its vectors
    return _linked(_confirmed(pairs[0], pairs[1], vectors_of, BURST_COSINE))


def _near_hashes(hashes: NDArray[np.uint64]) -> Iterator[Rows]:
    """(2, n) rows whose hashes differ in at most COARSE_BITS, each pair once.

    Of ten bands at least two are the same in both (pigeonhole): so rows are sorted by each two bands, and
    compared with those that share them. A pair is told by the first two bands that it shares.
    """
    bands = [np.uint64(sum(1 << bit for bit in bits)) for bits in np.array_split(np.arange(64).astype(object), _BANDS)]
    by_hash = np.argsort(hashes, kind="stable")  # in a bucket that is too large, the nearest stand together
    for first, second in itertools.combinations(range(_BANDS), 2):
        keys = hashes[by_hash] & (bands[first] | bands[second])
        order = np.argsort(keys, kind="stable")
        keys, rows = keys[order], by_hash[order]
        told_before = [bands[band] for band in range(second) if band != first]
        places = np.arange(len(rows))
        for step in range(1, _BUCKET + 1):
            places = places[: np.searchsorted(places, len(rows) - step)]
            places = places[keys[places] == keys[places + step]]
            if not len(places):
                break
            pair = np.stack([rows[places], rows[places + step]])
            differing = hashes[pair[0]] ^ hashes[pair[1]]
            near = np.flatnonzero(np.bitwise_count(differing) <= COARSE_BITS)
            for band in told_before:
                near = near[differing[near] & band != 0]
            if len(near):
                yield pair[:, near]


def _confirmed(one: Rows, other: Rows, vectors_of: VectorsOf, least: float) -> Rows:
    """The pairs (2, n) whose cosine is at least `least`."""
    kept = [np.empty((2, 0), np.intp)]
    for start in range(0, len(one), _BLOCK):
        pair = np.stack([one[start : start + _BLOCK], other[start : start + _BLOCK]])
        rows, places = np.unique(pair, return_inverse=True)
        vectors = vectors_of(rows)
        left, right = places.reshape(pair.shape)
        kept.append(pair[:, np.einsum("nd,nd->n", vectors[left], vectors[right]) >= least])
    return np.concatenate(kept, axis=1)


def _stars(pairs: Rows) -> list[Rows]:
    """Groups in which every row is paired with the first: no chain leads from one picture to another."""
    groups: dict[int, list[int]] = {}
    placed: set[int] = set()
    for best, copy in _in_order(pairs):
        if best not in placed and copy not in placed:
            groups.setdefault(best, [best]).append(copy)
            placed.add(copy)
    return [np.array(group) for group in groups.values()]


def _linked(pairs: Rows) -> list[Rows]:
    """Groups of rows that pairs link, over others too."""
    parents: dict[int, int] = {}

    def root(row: int) -> int:
        while parents.setdefault(row, row) != row:
            parents[row] = row = parents[parents[row]]
        return row

    for one, other in _in_order(pairs):
        low, high = sorted((root(one), root(other)))
        parents[high] = low
    groups: dict[int, list[int]] = {}
    for row in sorted(parents):
        groups.setdefault(root(row), []).append(row)
    return [np.array(group) for group in groups.values()]


def _in_order(pairs: Rows) -> Iterable[tuple[int, int]]:
    ordered = pairs[:, np.lexsort((pairs[1], pairs[0]))]
    return zip(ordered[0].tolist(), ordered[1].tolist(), strict=True)

"""Which rows are one picture and which one moment: exact against brute force, and careful in every doubt."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from clipsearch.duplicates import (
    ALL_BITS,
    COARSE_BITS,
    NO_CAMERA,
    NO_MS,
    SHAPE,
    UNDATED,
    Looks,
    Rows,
    Vectors,
    VectorsOf,
    _near_hashes,
    bursts,
    copies,
    looks_of,
)
from clipsearch.types import BURST_S, Metadata

HASH = 0x9E37_79B9_7F4A_7C15
ALIKE = np.array([1, 0, 0], np.float32)


def looks_like(
    hashes: Sequence[Sequence[int]],
    *,
    hashed: Sequence[bool] | None = None,
    shapes: Sequence[float] | None = None,
    taken: Sequence[int] | None = None,
    taken_ms: Sequence[int] | None = None,
    cameras: Sequence[int] | None = None,
) -> Looks:
    count = len(hashes)
    return Looks(
        np.array(hashes, np.uint64).reshape(count, 4),
        np.array(hashed if hashed is not None else [True] * count, np.bool_),
        np.array(shapes if shapes is not None else [1.5] * count, np.float64),
        np.array(taken if taken is not None else [UNDATED] * count, np.int64),
        np.array(taken_ms if taken_ms is not None else [NO_MS] * count, np.int64),
        np.array(cameras if cameras is not None else [1] * count, np.int64),
    )


def shots(taken: Sequence[int], cameras: Sequence[int] | None = None) -> Looks:
    """Photos whose hashes say nothing."""
    return looks_like([[n, n * HASH % 2**64, n, n] for n in range(len(taken))], taken=taken, cameras=cameras)


def vectors(rows: Sequence[Sequence[float]] | NDArray[np.float32]) -> VectorsOf:
    matrix = np.array(rows, np.float32)
    return lambda chosen: matrix[chosen]


def all_alike(chosen: Rows) -> Vectors:
    return np.tile(ALIKE, (len(chosen), 1))


def flipped(hash_: int, count: int, *, start: int = 0) -> int:
    return hash_ ^ sum(1 << bit for bit in range(start, start + count))


def lists(groups: Sequence[Rows]) -> list[list[int]]:
    return [group.tolist() for group in groups]


# -- finding pairs ----------------------------------------------------------------------------------

hashes = st.lists(
    st.builds(
        lambda base, bits: base ^ sum({1 << bit for bit in bits}),
        st.sampled_from([0, HASH, 2**64 - 1, 0xFF00FF00FF00FF00]),
        st.lists(st.integers(0, 63), max_size=12),
    ),
    max_size=40,
)


@given(hashes)
def test_all_near_hashes_are_found_and_each_pair_once(found: list[int]) -> None:
    """The bands are a short cut; a pair that they miss is a duplicate that nobody ever sees."""
    array = np.array(found, np.uint64)
    pairs = [tuple(sorted(pair)) for part in _near_hashes(array) for pair in part.T.tolist()]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == {
        (one, other)
        for one, other in itertools.combinations(range(len(found)), 2)
        if (found[one] ^ found[other]).bit_count() <= COARSE_BITS
    }


def test_a_hundred_thousand_hashes_take_seconds() -> None:
    """Each with each would be five thousand million pairs."""
    random = np.random.default_rng(0)
    array = random.integers(0, 2**64, 100_000, dtype=np.uint64)
    array[50_000:50_100] = array[:100] ^ np.uint64(0b1011)
    started = time.process_time()
    pairs = np.concatenate(list(_near_hashes(array)), axis=1)
    assert {(n, n + 50_000) for n in range(100)} <= {tuple(sorted(pair)) for pair in pairs.T.tolist()}
    assert time.process_time() - started < 20


# -- copies -----------------------------------------------------------------------------------------


def test_the_best_row_of_a_group_comes_first_and_the_others_are_copies_of_it() -> None:
    """What is listed second may be thrown away, so it must resemble what is kept."""
    looks = looks_like([[7, 7, 7, 7], [HASH] * 4, [flipped(HASH, 8)] + [HASH] * 3, [HASH] * 4])
    assert lists(copies(looks, all_alike)) == [[1, 2, 3]]


def test_no_chain_leads_from_one_picture_to_another() -> None:
    """In a time lapse each frame is like the next; by a chain, noon would be a copy of midnight."""
    steps = [[flipped(HASH, 6 * n), HASH, HASH, HASH] for n in range(5)]
    groups = lists(copies(looks_like(steps), all_alike))
    assert groups == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("coarse", "fine", "found"),
    [(COARSE_BITS, ALL_BITS - COARSE_BITS, True), (COARSE_BITS, ALL_BITS - COARSE_BITS + 1, False),
     (COARSE_BITS + 1, 0, False), (0, ALL_BITS, True), (0, 32, False)],
)  # fmt: skip
def test_hashes_decide_by_all_their_bits(coarse: int, fine: int, found: bool) -> None:
    """Two receipts share the coarse bits."""
    looks = looks_like([[HASH] * 4, [flipped(HASH, coarse), flipped(HASH, fine), HASH, HASH]])
    assert bool(copies(looks, all_alike)) == found


def test_a_doubt_is_no_copy() -> None:
    """Another shape, another time, vectors that differ or are missing, a picture too plain: each one saves a photo."""
    same = [[HASH] * 4] * 2
    assert copies(looks_like(same), all_alike)
    assert not copies(looks_like(same, shapes=[1.5, 1.5 * (1 + 2 * SHAPE)]), all_alike)
    assert not copies(looks_like(same, taken=[100, 101]), all_alike)
    assert not copies(looks_like(same), vectors([[1, 0], [0.6, 0.8]]))
    assert not copies(looks_like(same), vectors([[1, 0], [0, 0]]))
    assert not copies(looks_like(same, hashed=[True, False]), all_alike)


def test_a_copy_may_have_lost_its_time() -> None:
    """Messengers take the metadata away."""
    for taken in ([100, UNDATED], [UNDATED, 100]):
        assert lists(copies(looks_like([[HASH] * 4] * 2, taken=taken), all_alike)) == [[0, 1]]


def test_frames_of_one_second_are_no_copies_of_each_other() -> None:
    """Ten frames a second look alike and have one time to the second; whoever deletes copies would lose nine."""
    same = [[HASH] * 4] * 2
    assert not copies(looks_like(same, taken=[100, 100], taken_ms=[0, 100]), all_alike)
    # An export may keep the second and lose the rest.
    for taken_ms in ([250, 250], [250, NO_MS], [NO_MS, 250]):
        assert lists(copies(looks_like(same, taken=[100, 100], taken_ms=taken_ms), all_alike)) == [[0, 1]]


def test_nothing_is_no_group() -> None:
    """An empty library, one photo, and photos without hashes."""
    for looks in (looks_like([]), looks_like([[1, 2, 3, 4]]), looks_like([[0] * 4] * 3, hashed=[False] * 3)):
        assert copies(looks, all_alike) == []
        assert bursts(looks, all_alike, looks.hashed) == []


def test_what_photos_say_becomes_what_they_look_like() -> None:
    """A date that is read as another second, or None as a camera of its own, makes and breaks bursts."""
    looks = looks_of(
        [
            Metadata(
                300, 200, "JPEG", taken_at="2015-07-14T10:00:05", camera="A", phash=-1, phash_fine=bytes(24), taken_ms=0
            ),
            Metadata(200, 300, "JPEG", taken_at="2015-07-14T10:00:00", camera="B"),
            Metadata(1, 1, "PNG", camera="A", phash=2, phash_fine=bytes(23) + b"\x01"),
            Metadata(1, 1, "PNG"),
        ]
    )
    assert looks.hashed.tolist() == [True, False, True, False]
    assert looks.hashes.tolist() == [[2**64 - 1, 0, 0, 0], [0] * 4, [2, 0, 0, 1], [0] * 4]
    assert looks.shapes.tolist() == [1.5, 2 / 3, 1, 1]
    assert looks.taken[0] - looks.taken[1] == 5 and looks.taken[2:].tolist() == [UNDATED] * 2
    assert looks.taken_ms.tolist() == [0] + [NO_MS] * 3
    assert looks.cameras[0] == looks.cameras[2] != looks.cameras[1]
    assert looks.cameras[3] == NO_CAMERA != looks.cameras[1]


# -- bursts -----------------------------------------------------------------------------------------


def moments(looks: Looks, vectors_of: VectorsOf = all_alike, within_s: float = BURST_S) -> list[list[int]]:
    return lists(bursts(looks, vectors_of, np.ones(len(looks.taken), np.bool_), within_s))


def test_frames_are_linked_by_the_gap_to_the_next_one() -> None:
    """Ten seconds of shooting are one burst, though its ends are more than five seconds apart."""
    assert moments(shots([0, 4, 8, 12, 18, 23])) == [[0, 1, 2, 3], [4, 5]]
    assert moments(shots([0, 4, 8, 12, 18, 23]), within_s=6) == [[0, 1, 2, 3, 4, 5]]
    assert moments(shots([0, 4, 8]), within_s=0) == []
    assert moments(shots([7, 7]), within_s=0) == [[0, 1]]


def test_the_best_frame_comes_first_whatever_the_time() -> None:
    """Rows come with the best first; the order of time is only how they are found."""
    assert moments(shots([8, 100, 4, 0])) == [[0, 2, 3]]


def test_time_and_likeness_and_camera_are_all_needed() -> None:
    """Likeness alone is no burst: every photo of the same beach would be one."""
    assert moments(shots([0, 1], cameras=[1, 2])) == []
    assert moments(shots([0, 1], cameras=[NO_CAMERA, NO_CAMERA])) == []
    assert moments(shots([0, 3600])) == []
    assert moments(shots([UNDATED, UNDATED])) == []
    assert moments(shots([0, 1]), vectors([[1, 0], [0.8, 0.6]])) == []


def test_two_scenes_at_once_are_two_bursts() -> None:
    """Two people with the same telephone model stand at one wedding."""
    two = vectors([[1, 0], [0, 1]] * 3)
    assert moments(shots([0, 0, 1, 1, 2, 2]), two) == [[0, 2, 4], [1, 3, 5]]


def test_rows_left_out_are_in_no_burst() -> None:
    """A burst counts a picture and its copies once."""
    among = np.array([True, False, True])
    assert lists(bursts(shots([0, 1, 2]), all_alike, among)) == [[0, 2]]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1), st.integers(0, 2)), max_size=8), st.integers(0, 6))
def test_bursts_are_what_brute_force_says(photos: list[tuple[int, int, int]], within: int) -> None:
    """Few enough photos that every pair is compared: then groups are the connected parts."""
    looks = shots([at for at, _, _ in photos], [camera for _, camera, _ in photos])
    found = moments(looks, vectors(np.eye(3, dtype=np.float32)[[scene for _, _, scene in photos]]), within)
    groups = [{n} for n in range(len(photos))]
    for one, other in itertools.combinations(range(len(photos)), 2):
        if photos[one][1:] == photos[other][1:] and abs(photos[one][0] - photos[other][0]) <= within:
            merged = [group for group in groups if one in group or other in group]
            groups = [group for group in groups if group not in merged] + [set().union(*merged)]
    assert found == sorted(sorted(group) for group in groups if len(group) > 1)

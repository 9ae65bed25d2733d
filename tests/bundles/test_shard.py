"""Which share a file is in: of exactly one, and of the same one everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.bundles.shard import Shard, shard_named
from clipsearch.errors import UsageError


@given(path=st.binary(max_size=60), of=st.integers(1, 40))
def test_a_file_is_in_exactly_one_share(path: bytes, of: int) -> None:
    """In none it would never be encoded, in two it would be encoded twice."""
    assert sum(Shard(number, of).has(path) for number in range(1, of + 1)) == 1


def test_shares_stay_what_they_were() -> None:
    """Machines with other versions of clipsearch share one archive: these numbers must never change."""
    paths = [b"a.jpg", b"2024/05/IMG_0001.JPG", "Müller/café.jpg".encode(), b"\xff\xfe.png"]
    assert [next(n for n in range(1, 8) if Shard(n, 7).has(path)) for path in paths] == GOLDEN


GOLDEN = [7, 5, 1, 2]


def test_a_name_that_a_server_spells_in_other_signs_is_the_same_name() -> None:
    """A Mac's share shows an é as two signs: the machine that mounts it would take another share."""
    composed, decomposed = "café.jpg".encode(), "cafe\u0301.jpg".encode()
    assert composed != decomposed
    assert all(Shard(n, 9).has(composed) == Shard(n, 9).has(decomposed) for n in range(1, 10))


def test_shares_are_about_equal() -> None:
    counts = [sum(Shard(number, 4).has(b"%d.jpg" % name) for name in range(4000)) for number in range(1, 5)]
    assert all(900 < count < 1100 for count in counts), counts


@pytest.mark.parametrize(
    "text", ["", "1", "0/4", "5/4", "a/b", "1/4/2", "-1/4", " 1/4", "1/", "١/٢", "1/99999999999999"]
)
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        shard_named(text)
    assert shard_named("2/4") == Shard(2, 4) and str(Shard(2, 4)) == "2/4"

"""What keys and chips do to the text of a query."""

from __future__ import annotations

import pytest

from clipsearch.errors import UsageError
from clipsearch.query import parse
from clipsearch.tui.query_text import EVERYTHING, chips, unfiltered, with_part, with_picture, without_chip


def test_chips_are_the_filters_and_exclusions() -> None:
    """A chip for every word would hide what is a filter and what is not."""
    assert chips('beach before:2015 not:people in:"a b"') == ("before:2015", 'in:"a b"', "not:people")
    assert chips("beach") == chips("beach taken:2023-13") == ()


def test_taking_a_chip_out_leaves_the_rest() -> None:
    """A click on one filter must not change the question."""
    text = 'beach - "the sea" before:2015 not:people'
    assert parse(without_chip(text, 0)) == parse('beach - "the sea" not:people')
    assert parse(without_chip(text, 1)) == parse('beach - "the sea" before:2015')
    assert without_chip("before:2015", 0) == ""


def test_pictures_and_parts_are_added() -> None:
    """Paths hold blanks and quotes, and a query must bring them back."""
    text = with_picture("beach before:2015", b'/a "b"/c d.jpg', -1)
    (_, picture) = parse(text).terms
    assert picture.is_picture and picture.text == '/a "b"/c d.jpg' and picture.weight == -1
    assert with_picture("", b"/a.jpg", 1) == "like:/a.jpg"
    assert with_part("beach", "is:portrait") == "beach is:portrait"
    with pytest.raises(UsageError, match="not UTF-8"):
        with_picture("", b"/caf\xe9.jpg", 1)


def test_what_tells_which_filter_is_too_much() -> None:
    """Each filter is left out in turn; alone it leaves everything."""
    assert unfiltered("dog before:1990 is:portrait") == ("is:portrait", "before:1990")
    assert unfiltered("dog before:1990") == (EVERYTHING,)
    assert parse(EVERYTHING).filters

"""Tables of text with a tab between the columns, as people write what is in their photos: rows, and the wrong line."""

from __future__ import annotations

from collections.abc import Iterator


class WrongLine(ValueError):
    """What is wrong, with the number of the line, as the end of a sentence."""


def numbered_lines(text: str) -> list[tuple[int, str]]:
    """(number from 1, line) of those that are not blank.

    A newline alone ends a line: str.splitlines also ends it at U+2028 and others, which stand in captions that were
    copied from web pages.
    """
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def table_rows(text: str, first: str, second: str) -> Iterator[tuple[str, str]]:
    """What stands in these two columns, below a line with their names; quotation marks are letters.

    Raises KeyError where there are no such columns, WrongLine for a row that ends before them or names nothing first.
    """
    (_, head), *lines = numbered_lines(text) or [(1, "")]
    titles = head.split("\t")
    if first not in titles or second not in titles:
        raise KeyError(second)
    one, other = titles.index(first), titles.index(second)
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) <= max(one, other) or not cells[one]:
            raise WrongLine(f"line {number} has no {first} and {second} with a tab between")
        yield cells[one], cells[other]

"""What a person types -> Query, and back. Pure: it never looks at the disk, the library or a model.

Grammar (word = run of non-blanks; an operator counts only at the start or after white space):

    query   := term (operator term | weighted)*        at the start an operator may stand too
    operator:= "+" | "-"
    term    := [weight] piece+                          pieces of one term are joined by a blank
    weighted:= weight piece+                            a weight opens a new term: beach 2:sunset
    weight  := number ":"                               not followed by a digit or a blank: 16:9 is text
    piece   := word | '"' anything '"'                  inside quotes \\" is a quote, \\\\ a backslash

So `t-shirt`, `black-and-white`, `C++` and `5"` are words. `parse(formatted(q)) == q` for every Query.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from clipsearch.errors import UsageError

MAX_CHARACTERS = 2000  # a text tower reads 64 to 77 tokens, about 300 characters; far more is a mistake

MIN_WEIGHT, MAX_WEIGHT = 0.001, 1000

_WEIGHT = re.compile(r"(\d+(?:\.\d*)?|\.\d+):(?=[^\s\d])")
_SPECIAL = re.compile(r'(?:^|\s)(?:[+"-]|(?:\d+(?:\.\d*)?|\.\d+):[^\s\d])')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Term:
    """A thing to look for (weight > 0) or to look away from (weight < 0)."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Query:
    terms: tuple[Term, ...]


def literal(text: str) -> Query:
    """The query that means exactly `text`, operators and quotes included. Raises UsageError when it is blank."""
    _check_length(text)
    stripped = " ".join(text.split())
    if not stripped:
        raise UsageError("The query is empty.", 'Type what you remember: clipsearch search "dog on a beach"')
    return Query((Term(stripped),))


def parse(text: str) -> Query:
    """The Query that `text` stands for. Raises UsageError with a caret under the culprit."""
    _check_length(text)
    terms: list[Term] = []
    pieces: list[str] = []
    weight, sign, opened, position = 1.0, 1.0, 0, 0

    def close(at: int, *, demanded: bool) -> None:
        joined = " ".join(piece for piece in pieces if piece)
        if joined:
            terms.append(Term(joined, sign * weight))
            pieces.clear()
        elif demanded or pieces:
            raise _error(text, opened, at, "there is nothing to look for here")

    demanded = False  # an operator or a weight has promised a term
    word_start = True
    while position < len(text):
        character = text[position]
        if character.isspace():
            position, word_start = position + 1, True
            continue
        if word_start and character in "+-":
            close(position, demanded=demanded)
            sign, weight, opened = (1.0 if character == "+" else -1.0), 1.0, position
            demanded, position = True, position + 1
            continue  # what follows an operator starts a word
        if word_start and (match := _WEIGHT.match(text, position)):
            if pieces:
                close(position, demanded=demanded)
                sign, opened = 1.0, position
            elif weight != 1.0:
                raise _error(text, opened, match.end(), "a term has one weight")
            weight = float(match.group(1))
            if not MIN_WEIGHT <= weight <= MAX_WEIGHT:
                raise _error(text, match.start(), match.end(), f"a weight lies between {MIN_WEIGHT} and {MAX_WEIGHT}")
            demanded, position = True, match.end()
            continue
        if word_start and character == '"':
            if not (quoted := _QUOTED.match(text, position)):
                raise _error(text, position, len(text), "this quote is not closed")
            pieces.append(re.sub(r"\\(.)", r"\1", quoted.group(1), flags=re.DOTALL))
            position, word_start = quoted.end(), False
            continue
        end = position
        while end < len(text) and not text[end].isspace():
            end += 1
        pieces.append(text[position:end])
        position, word_start = end, False
    close(len(text), demanded=demanded)
    if not terms:
        raise UsageError("The query is empty.", 'Type what you remember: clipsearch search "dog on a beach"')
    return Query(tuple(terms))


def formatted(query: Query) -> str:
    """The text that `parse` turns back into `query`."""
    words: list[str] = []
    for index, term in enumerate(query.terms):
        sign = "-" if term.weight < 0 else ("+" if index else "")
        magnitude = abs(term.weight)
        weight = "" if magnitude == 1 else f"{Decimal(repr(magnitude)):f}:"
        quoted = bool(_SPECIAL.search(term.text)) or term.text != " ".join(term.text.split())
        # A weight before a digit would be read as text (16:9), so such a term is quoted.
        quoted = quoted or bool(weight and term.text[:1].isdigit())
        body = '"' + re.sub(r'(["\\])', r"\\\1", term.text) + '"' if quoted else term.text
        words.append(" ".join(part for part in (sign, weight + body) if part))
    return " ".join(words)


def _check_length(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise UsageError(
            f"The query is {len(text):,} characters long; {MAX_CHARACTERS:,} are the limit, "
            "and a model reads only about the first 300.",
            "Describe the photo in a sentence.",
        )


def _error(text: str, start: int, end: int, problem: str) -> UsageError:
    shown = re.sub(r"\s", " ", text)
    caret = " " * start + "^" * max(1, end - start)
    return UsageError(
        f"{problem}\n  {shown}\n  {caret}",
        "write beach + sunset - people, quote what belongs together, or use --literal to search for the text as it is",
    )

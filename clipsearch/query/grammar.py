"""Text -> Query and back; the grammar stands in the package's docstring.

Owns operators, weights, quotes and where an error's caret points. What a filter's value may be is filters.py's.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from decimal import Decimal

from clipsearch.errors import UsageError
from clipsearch.query.filters import BY_KEY, BadValue, Filter, checked

MAX_CHARACTERS = 2000  # a text tower reads 64 to 77 tokens, about 300 characters; far more is a mistake

MIN_WEIGHT, MAX_WEIGHT = 0.001, 1000

_WEIGHT = re.compile(r"(\d+(?:\.\d*)?|\.\d+):(?=[^\s\d])")
# Two letters or more, so that C:\photos is no filter; // follows in an address, which is none either.
_KEYED = re.compile(r"([A-Za-z]{2,}):(?!//)(?=\S)")
# @ starts the name of a saved search, which is written out before anything is parsed.
_EXCLUDE, _LIKE = "not", "like"
# A key with nothing behind its colon: a blank too many, which would be searched for as words.
_BARE = re.compile(rf"({'|'.join((*BY_KEY, _EXCLUDE, _LIKE))}):(?=\s|$)", re.IGNORECASE)
_SPECIAL = re.compile(
    rf'^@|(?:^|\s)(?:[+"-]|(?:\d+(?:\.\d*)?|\.\d+):[^\s\d]|[A-Za-z]{{2,}}:(?!//)\S|{_BARE.pattern})', re.IGNORECASE
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Term:
    """A thing to look for (weight > 0) or to look away from (weight < 0)."""

    text: str  # words; the path of a picture if `is_picture`
    weight: float = 1.0
    is_picture: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    terms: tuple[Term, ...] = ()
    filters: tuple[Filter, ...] = ()
    excluded: tuple[str, ...] = ()  # texts of not:, photos of which are dropped


def literal(text: str) -> Query:
    """The query that means exactly `text`, operators and quotes included. Raises UsageError when it is blank."""
    _check_text(text)
    stripped = " ".join(text.split())
    if not stripped:
        raise _empty()
    return Query((Term(stripped),))


def parse(text: str) -> Query:
    """The Query that `text` stands for. Raises UsageError with a caret under the culprit."""
    _check_text(text)
    return _Parser(text).parsed()


@dataclass(slots=True)
class _Parser:
    """One pass over the text; `pieces` are those of the term that is open."""

    text: str
    position: int = 0
    terms: list[Term] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    sign: float = 1.0
    weight: float = 1.0
    opened: int = 0  # where the open term began, for the caret
    demanded: bool = False  # an operator or a weight has promised a term

    def parsed(self) -> Query:
        while self.position < len(self.text):
            if self.text[self.position].isspace():
                self.position += 1
            else:
                self._read_part()
        self._close()
        if not (self.terms or self.filters or self.excluded):
            raise _empty()
        return Query(tuple(self.terms), tuple(self.filters), tuple(self.excluded))

    def _read_part(self) -> None:
        """One operator, weight, filter or piece at the start of a word."""
        character = self.text[self.position]
        if character == "-" and (match := _KEYED.match(self.text, self.position + 1)) and match[1].lower() in BY_KEY:
            self._read_keyed(match, negated=True)
        elif character in "+-":
            self._close()
            self.sign, self.opened, self.demanded = (1.0 if character == "+" else -1.0), self.position, True
            self.position += 1  # what follows an operator starts a word
        elif match := _WEIGHT.match(self.text, self.position):
            self._read_weight(match)
        elif character == '"':
            self.pieces.append(self._quoted())
            if _WORD.match(self.text, self.position):  # it touches the quote, so it starts nothing
                self.pieces.append(self._word())
        elif match := _KEYED.match(self.text, self.position):
            self._read_keyed(match, negated=False)
        elif match := _BARE.match(self.text, self.position):
            example, word = f'{match[1].lower()}:"…"', f'"{match[0]}"'
            hint = f"its value touches the colon, as in {example}; to search for the word, quote it: {word}"
            raise _error(self.text, *match.span(), f"{match[0]} has no value", hint)
        else:
            self.pieces.append(self._word())

    def _read_weight(self, match: re.Match[str]) -> None:
        if self.pieces:
            self._close()
            self.opened = self.position
        elif self.weight != 1.0:
            raise _error(self.text, self.opened, match.end(), "a term has one weight")
        self.weight = float(match.group(1))
        if not MIN_WEIGHT <= self.weight <= MAX_WEIGHT:
            raise _error(self.text, *match.span(), f"a weight lies between {MIN_WEIGHT} and {MAX_WEIGHT}")
        self.demanded, self.position = True, match.end()

    def _read_keyed(self, match: re.Match[str], *, negated: bool) -> None:
        """A filter, not: or like:; the match is the key and its colon."""
        start, key = self.position, match[1].lower()
        if key not in (*BY_KEY, _EXCLUDE, _LIKE):
            raise self._unknown(match)
        if key == _LIKE and self.pieces:
            self._close()
        self.position = match.end()
        value = self._quoted() if self.text[self.position] == '"' else self._word()
        if key in (_EXCLUDE, _LIKE):
            if not value.strip():
                raise _error(self.text, start, self.position, f"{key}: is empty", f'write {key}:"…"')
            if key == _EXCLUDE:
                self.excluded.append(value)
            else:
                self._append(Term(value, self.sign * self.weight, is_picture=True))
            return
        try:
            found = checked(key, value)
        except BadValue as error:
            raise _error(self.text, match.end(), self.position, error.problem, error.hint) from None
        self.filters.append(Filter(found.key, found.value, negated))

    def _unknown(self, match: re.Match[str]) -> UsageError:
        keys = [*BY_KEY, _EXCLUDE, _LIKE]
        near = difflib.get_close_matches(match[1].lower(), keys, n=1)
        word = _WORD.match(self.text, match.start())
        assert word  # the key is one
        known = f"did you mean {near[0]}:? " if near else f"there are {', '.join(keys)}; "
        hint = f'{known}to search for the words, quote them: "{word[0]}"'
        return _error(self.text, *match.span(), f"there is no filter {match[0]}", hint)

    def _quoted(self) -> str:
        if not (match := _QUOTED.match(self.text, self.position)):
            raise _error(self.text, self.position, len(self.text), "this quote is not closed")
        self.position = match.end()
        return re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL)

    def _word(self) -> str:
        match = _WORD.match(self.text, self.position)
        assert match  # the caller saw no blank here
        self.position = match.end()
        return match[0]

    def _close(self) -> None:
        """Ends the open term."""
        joined = " ".join(piece for piece in self.pieces if piece)
        if joined.strip():
            self._append(Term(joined, self.sign * self.weight))
        elif self.demanded or self.pieces:
            raise _error(self.text, self.opened, self.position, "there is nothing to look for here")

    def _append(self, term: Term) -> None:
        self.terms.append(term)
        self.pieces.clear()
        self.sign, self.weight, self.demanded, self.opened = 1.0, 1.0, False, self.position


def formatted(query: Query) -> str:
    """The text that `parse` turns back into `query`."""
    parts: list[str] = []
    for index, term in enumerate(query.terms):
        sign = "-" if term.weight < 0 else ("+" if index else "")
        magnitude = abs(term.weight)
        weight = "" if magnitude == 1 else f"{Decimal(repr(magnitude)):f}:"
        body = f"{_LIKE}:{_value(term.text)}" if term.is_picture else _text(term.text, after_weight=bool(weight))
        parts.append(" ".join(part for part in (sign, weight + body) if part))
    parts += [f"{'-' if one.negated else ''}{one.key}:{_value(one.value)}" for one in query.filters]
    parts += [f"{_EXCLUDE}:{_value(text)}" for text in query.excluded]
    return " ".join(parts)


def _text(text: str, *, after_weight: bool) -> str:
    # A weight before a digit would be read as text (16:9), so such a term is quoted.
    special = _SPECIAL.search(text) or text != " ".join(text.split()) or (after_weight and text[:1].isdigit())
    return _in_quotes(text) if special else text


def _value(text: str) -> str:
    # After a key, // would make the word an address.
    return text if _WORD.fullmatch(text) and not text.startswith(('"', "//")) else _in_quotes(text)


def _in_quotes(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8", "surrogateescape")  # in the name of a file, a byte that is no UTF-8 may stand
    except UnicodeEncodeError:
        raise UsageError("The query is not UTF-8.", "Decode it before it is asked.") from None
    if len(text) > MAX_CHARACTERS:
        raise UsageError(
            f"The query is {len(text):,} characters long; {MAX_CHARACTERS:,} are the limit, "
            "and a model reads only about the first 300.",
            "Describe the photo in a sentence.",
        )


def _empty() -> UsageError:
    return UsageError("The query is empty.", 'Type what you remember: clipsearch search "dog on a beach"')


_SYNTAX_HINT = (
    "write beach + sunset - people, quote what belongs together, or use --literal to search for the text as it is"
)


def _error(text: str, start: int, end: int, problem: str, hint: str = _SYNTAX_HINT) -> UsageError:
    shown = re.sub(r"\s", " ", text)
    caret = " " * start + "^" * max(1, end - start)
    return UsageError(f"{problem}\n  {shown}\n  {caret}", hint)

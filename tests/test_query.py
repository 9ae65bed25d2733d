"""The query language: what a person types means one thing, and a Query can be written back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.errors import UsageError
from clipsearch.query import MAX_CHARACTERS, Query, Term, formatted, literal, parse

weights = st.decimals(min_value="0.001", max_value="1000", places=3).map(float)
texts = st.text(min_size=1, max_size=30).filter(lambda text: text.strip() != "")
awkward = st.sampled_from(
    [
        "-",
        "+",
        "--",
        '"',
        '\\"',
        "2:cat",
        "16:9",
        "2:",
        ":",
        "a - b",
        "a  b",
        " a",
        'say "hi"',
        "t-shirt",
        "\\",
        "1.5:",
        "a\nb",
    ]
)
signs = st.sampled_from([1.0, -1.0])
terms = st.builds(lambda text, weight, sign: Term(text, weight * sign), st.one_of(texts, awkward), weights, signs)
queries = st.lists(terms, min_size=1, max_size=5).map(lambda found: Query(tuple(found)))


@given(queries)
def test_a_query_written_back_means_the_same(query: Query) -> None:
    """A saved or echoed query must not turn into another one."""
    assert parse(formatted(query)) == query


@given(st.text(max_size=60))
def test_any_text_is_a_query_or_one_clear_error(text: str) -> None:
    """Typing must never end in a traceback."""
    try:
        parsed = parse(text)
    except UsageError as error:
        assert error.message and error.hint
    else:
        assert parsed.terms and all(term.text and term.weight for term in parsed.terms)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kids in yellow raincoats", [Term("kids in yellow raincoats")]),
        ("beach + sunset - people", [Term("beach"), Term("sunset"), Term("people", -1)]),
        ("beach +sunset -people", [Term("beach"), Term("sunset"), Term("people", -1)]),
        ("-people", [Term("people", -1)]),
        ("2:dog + 0.5:snow", [Term("dog", 2), Term("snow", 0.5)]),
        ("dog - 2:snow", [Term("dog"), Term("snow", -2)]),
        ("beach 2:sunset", [Term("beach"), Term("sunset", 2)]),
        ("a t-shirt, black-and-white C++", [Term("a t-shirt, black-and-white C++")]),
        ("a 16:9 photo at 12:30", [Term("a 16:9 photo at 12:30")]),
        ('a 5" screen', [Term('a 5" screen')]),
        ('"black - and - white" cat', [Term("black - and - white cat")]),
        ('2:"red car"', [Term("red car", 2)]),
        (r'"say \"hi\" \\ now"', [Term('say "hi" \\ now')]),
        ("  much   space\tand\nlines ", [Term("much space and lines")]),
    ],
)
def test_operators_weights_and_quotes(text: str, expected: list[Term]) -> None:
    """Only a + or - at the start or after a blank is an operator; everything else is what it looks like."""
    assert list(parse(text).terms) == expected


@pytest.mark.parametrize(
    ("text", "problem", "caret"),
    [
        ('dog "on a beach', "this quote is not closed", "    ^^^^^^^^^^^"),
        ("dog + - cat", "there is nothing to look for", "    ^^"),
        ("dog +", "there is nothing to look for", "    ^"),
        ("0:dog", "a weight lies between", "^^"),
        ("99999:dog", "a weight lies between", "^^^^^^"),
        ('""', "there is nothing to look for", "^^"),
    ],
)
def test_an_error_points_at_the_culprit(text: str, problem: str, caret: str) -> None:
    """A person must see which part of a long query is wrong."""
    with pytest.raises(UsageError) as raised:
        parse(text)
    told, query, pointer = raised.value.message.split("\n")
    assert problem in told
    assert query == "  " + text
    assert pointer == "  " + caret


def test_literal_switches_the_syntax_off() -> None:
    """Someone who searches for "C - D" must be able to."""
    assert literal('beach - "2:people"').terms == (Term('beach - "2:people"'),)


@pytest.mark.parametrize("read", [parse, literal])
def test_an_empty_query_and_an_endless_one_are_refused(read) -> None:  # type: ignore[no-untyped-def]
    """Ten thousand words must give one sentence, not a search for the first sixty of them."""
    with pytest.raises(UsageError, match="empty"):
        read("  \n ")
    with pytest.raises(UsageError, match=r"50,000 characters"):
        read("word " * 10_000)
    assert read("w" * MAX_CHARACTERS).terms

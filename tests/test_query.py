"""The query language: what a person types means one thing, and a Query can be written back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clipsearch.errors import UsageError
from clipsearch.query import KEYS, MAX_CHARACTERS, Filter, FilterKey, Query, Term, formatted, literal, parse
from clipsearch.query.filters import BadValue, checked

weights = st.decimals(min_value="0.001", max_value="1000", places=3).map(float)
texts = st.text(min_size=1, max_size=30).filter(lambda text: text.strip() != "")
awkward = st.sampled_from(
    [
        "-", "+", "--", '"', '\\"', "2:cat", "16:9", "2:", ":", "a - b", "a  b", " a", 'say "hi"', "t-shirt", "\\",
        "1.5:", "a\nb", "year:2015", "-year:2015", "not:people", "like:cat.jpg", "foo:bar", "foo: bar", "https://a.b/c",
        "//host/x", "C:\\photos", "@beach", "a @b", "cat.jpg", "~/a b.jpg", ".5:x", "²:x", "٣:x", "NOT:x", "\u2028a",
    ]
)  # fmt: skip
any_text = st.one_of(texts, awkward)
signs = st.sampled_from([1.0, -1.0])
terms = st.builds(
    lambda text, weight, sign, is_picture: Term(text, weight * sign, is_picture),
    any_text, st.one_of(st.just(1.0), weights), signs, st.booleans(),
)  # fmt: skip
numbers = st.decimals(min_value=0, max_value=90, places=4).map(str)
VALUES: dict[str, st.SearchStrategy[str]] = {
    "near": st.builds("{},-{}/{}".format, numbers, numbers, numbers),
    "is": st.sampled_from(["portrait", "LANDSCAPE", "square", "Screenshot"]),
    "size": st.one_of(
        st.builds("{}{}{}".format, st.sampled_from([">", ">=", "<", "<="]), numbers, st.sampled_from(["mp", "KB"])),
        st.builds("{}mb..{}gb".format, numbers, numbers),
    ),
    "color": st.sampled_from(["red", "Grey", "cyan"]),
    "year": st.sampled_from(["2015", "2010..2015"]),
} | dict.fromkeys(
    ["before", "after", "taken"], st.sampled_from(["2015", "Last  Summer", "14 july 2015", "2021..today", "a week ago"])
)  # fmt: skip


def filter_of(key: str, value: str, negated: bool) -> Filter | None:
    try:
        return Filter(key, checked(key, value).value, negated)
    except BadValue:
        return None


filters = st.sampled_from(KEYS).flatmap(
    lambda one: st.builds(filter_of, st.just(one.key), VALUES.get(one.key, any_text), st.booleans()).filter(bool)
)
queries = st.builds(
    Query,
    st.lists(terms, max_size=4).map(tuple),
    st.lists(filters, max_size=3).map(tuple),
    st.lists(any_text, max_size=2).map(tuple),
).filter(lambda query: query != Query())


@given(queries)
@example(Query((Term("16:9", 2.0), Term("@beach"))))
@example(Query((), (Filter("in", "//server/photos"),)))
def test_a_query_written_back_means_the_same(query: Query) -> None:
    """A saved or echoed query must not turn into another one."""
    assert parse(formatted(query)) == query


pieces = st.sampled_from(
    ["like:", "not:", "in:", "-in:", "//", "year:2015", "size:>2mp", "near:", "1,2/", " ", "-", "+", '"', "\\", "2:",
     ".5:", "@", "x", "foo:", "type:", ".", "ext:", "is:", "~", "\n", "٣", "9" * 400]
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(pieces, max_size=9).map("".join)))
def test_any_text_is_a_query_or_one_clear_error(text: str) -> None:
    """Typing must never end in a traceback, and what was understood can be saved."""
    try:
        parsed = parse(text)
    except UsageError as error:
        assert error.message and error.hint
    else:
        assert parsed != Query()
        assert all(term.text.strip() and term.weight for term in parsed.terms)
        assert parse(formatted(parsed)) == parsed
        assert all(checked(one.key, one.value).value == one.value for one in parsed.filters)


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
        ("see https://example.org/a:b", [Term("see https://example.org/a:b")]),
        (r"C:\photos", [Term(r"C:\photos")]),
        ("title: a dog", [Term("title: a dog")]),
        ('"year:2015"', [Term("year:2015")]),
        ("like:cat.jpg", [Term("cat.jpg", is_picture=True)]),
        (
            'beach like:"my cat.jpg" -like:dog.jpg',
            [Term("beach"), Term("my cat.jpg", is_picture=True), Term("dog.jpg", -1, is_picture=True)],
        ),
        ("2:like:cat.jpg snow", [Term("cat.jpg", 2, is_picture=True), Term("snow")]),
        ('a 5" screen', [Term('a 5" screen')]),
        ('"black - and - white" cat', [Term("black - and - white cat")]),
        ('2:"red car"', [Term("red car", 2)]),
        (r'"say \"hi\" \\ now"', [Term('say "hi" \\ now')]),
        ("  much   space\tand\nlines ", [Term("much space and lines")]),
    ],
)
def test_operators_weights_quotes_and_pictures(text: str, expected: list[Term]) -> None:
    """Only a + or - at the start or after a blank is an operator; everything else is what it looks like."""
    assert list(parse(text).terms) == expected
    assert parse(text) == Query(tuple(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kids before:2015", Query((Term("kids"),), (Filter("before", "2015"),))),
        ("kids YEAR:2015 on a beach", Query((Term("kids on a beach"),), (Filter("year", "2015"),))),
        ("-is:portrait", Query((), (Filter("is", "portrait", negated=True),))),
        ('in:"Family 2015/" color:grey', Query((), (Filter("in", "Family 2015"), Filter("color", "gray")))),
        ('after:"Last  Summer"', Query((), (Filter("after", "last summer"),))),
        ("type:.JPG ext:.JPG", Query((), (Filter("type", "jpeg"), Filter("ext", "jpg")))),
        ("near:52.370,4.5", Query((), (Filter("near", "52.37,4.5/10"),))),
        ("near:-0,+4.50/2km", Query((), (Filter("near", "0,4.5/2"),))),
        ("size:>2.0MP", Query((), (Filter("size", ">2mp"),))),
        ('rating:">= 3" -rating:unrated', Query((), (Filter("rating", ">=3"), Filter("rating", "none", True)))),
        ('beach not:people not:"red cars"', Query((Term("beach"),), (), ("people", "red cars"))),
        ("not:people", Query((), (), ("people",))),
    ],
)  # fmt: skip
def test_filters_and_exclusions_stand_anywhere_and_have_one_form(text: str, expected: Query) -> None:
    """Two spellings of one filter must be one: a chip is removed by comparing it."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "problem", "caret"),
    [
        ('dog "on a beach', "this quote is not closed", "    ^^^^^^^^^^^"),
        ("dog + - cat", "there is nothing to look for", "    ^^"),
        ("dog +", "there is nothing to look for", "    ^"),
        ("0:dog", "a weight lies between", "^^"),
        ("99999:dog", "a weight lies between", "^^^^^^"),
        ("kids in: Texel", "in: has no value", "     ^^^"),
        ("dog not:", "not: has no value", "    ^^^^"),
        ('""', "there is nothing to look for", "^^"),
        ('dog + " "', "there is nothing to look for", "    ^^^^^"),
        ("beach taken:2023-13", "there is no month 13", "            ^^^^^^^"),
        ("beach - people -year:20155", '"20155" is not a year', "                     ^^^^^"),
        ('near:"52 north" sea', '"52 north" is not a place', "     ^^^^^^^^^^"),
        ("near:91,4", "is not on the globe", "     ^^^^"),
        ("size:2mp", "is not a size", "     ^^^"),
        (f"size:>{'9' * 400}mp", "is not a size", "     " + "^" * 403),
        ("size:1mp..2gb", "is not a size", "     ^^^^^^^^"),
        ("sea rating:6", '"6" is not a rating', "           ^"),
        ("rating:2..9", "is not a rating", "       ^^^^"),
        ('sea caption:" "', "caption: is empty", "            ^^^"),
        ("color:rde", 'color: knows no "rde"', "      ^^^"),
        ("sea colour:red", "there is no filter colour:", "    ^^^^^^^"),
        ('sea in:""', "in: is empty", "       ^^"),
        ("sea type:..", "type: is empty", "         ^^"),
        ('sea not:" "', "not: is empty", "    ^^^^^^^"),
        ('like:""', "like: is empty", "^^^^^^^"),
        ("- year:2015", "there is nothing to look for", "^^^^^^^^^^^"),
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


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("taken:2015..", "taken:2010..2015"),
        ("sea colour:red", 'did you mean color:? to search for the words, quote them: "colour:red"'),
        ("sea yaer:2015", "did you mean year:?"),
        ("sea xyzzy:1", "there are before, after"),
        ("color:rde", "write color:red; color: takes black"),
        ("is:potrait", "write is:portrait;"),
        ("taken:2023-13", "write taken:2023-12, or taken:2023 for the whole year"),
        ("before:sommer", 'before:"last summer"'),
        ("year:yesterday", "write year:2015, or year:2010..2015"),
        ("size:big", "write size:>2mp"),
        ("rating:best", "write rating:5, rating:>=3"),
        ("captoin:lake", "did you mean caption:?"),
        ("near:home", "write near:52.37,4.54/5"),
    ],
)
def test_an_error_says_what_to_write_instead(text: str, hint: str) -> None:
    """A person who mistyped a key must not have to open the manual."""
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert hint in raised.value.hint


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.key)
def test_the_example_of_each_filter_is_one(key: FilterKey) -> None:
    """Help and docs print them; people type them in."""
    (found,) = parse(key.example).filters
    assert found.key == key.key
    assert parse(f"-{key.example}").filters == (Filter(found.key, found.value, negated=True),)


def test_a_literal_text_is_no_saved_search() -> None:
    """`--literal @beach` is written back before saved searches are put in."""
    assert formatted(literal("@beach ball")) == '"@beach ball"'


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

"""The query language, for Markdown and roff alike: its rules in prose, its grammar and its dates from their code."""

from __future__ import annotations

import inspect

from clipsearch import query
from clipsearch.query import dates

# Title, one paragraph, and queries with what they find: from the plainest on.
LESSONS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Say what it shows",
        "Type what you see when you think of the photo. A few words that describe the whole scene find more than one "
        "word; names of people and rare things find little.",
        (
            ("kids in yellow raincoats", "children in yellow raincoats, the most fitting first"),
            ("a red car in the snow", "what fits all of it, before what fits half of it"),
        ),
    ),
    (
        "More of this, less of that",
        "A plus or a minus between blanks adds a second description or looks away from one. A number and a colon make "
        "one count more.",
        (
            ("beach + sunset", "beaches, and among them those at sunset first"),
            ("beach - people", "beaches; those with people come later, and are not gone"),
            ("beach not:people", "beaches; photos that show people are gone"),
            ("2:dog + snow", "dogs in snow, where the dog counts twice"),
            ('"black - and - white"', "the words as they are: quotes take the meaning out of signs"),
        ),
    ),
    (
        "By example",
        "A photo says more than words, and the two can be mixed. A path with a blank in it is quoted.",
        (
            ("like:party.jpg", "photos like this one"),
            ("like:party.jpg + balloons", "photos like it, with balloons"),
            ("like:party.jpg - cake", "photos like it, without the cake"),
        ),
    ),
    (
        "Only some photos",
        "A filter says what must hold, exactly: a word, a colon and its value, without a blank between them. Filters "
        "stand anywhere in the query, or alone.",
        (
            ("dog before:2015", "dogs, in photos taken before 2015"),
            ('beach after:"last summer"', "beaches, in photos taken after last summer was over"),
            ("taken:2015-07 in:Texel", "all photos of July 2015 in the folder Texel and below it"),
            ("sunset camera:nikon camera:canon", "sunsets taken with a Nikon or with a Canon"),
            ("cat is:portrait -in:Screenshots", "cats, upright photos, and none from Screenshots"),
            ("near:52.37,4.54/5 year:2010..2015", "what was taken within 5 km of a place in six years"),
            (
                "family rating:>=4 caption:grandma",
                "family photos with four or five stars, and grandma in their caption",
            ),
            ("label:receipt year:2024", "what `clipsearch zsl --save` has labelled a receipt"),
        ),
    ),
    (
        "Again and again",
        "`clipsearch search 'sunset is:landscape' --save evenings` keeps a query; its name stands for it, and more may "
        "follow.",
        (("@evenings in:Crete", "the sunsets of Crete"),),
    ),
)

SHELL = (
    "In a shell, put the query in single quotes as soon as there is a sign in it that the shell takes for itself, such "
    "as `\"`, `>`, `*` or `!`: `clipsearch search 'beach after:\"last summer\"'`, `clipsearch search 'size:>2mp'`."
)

RULES = (
    "The same filter twice means one or the other: `camera:nikon camera:canon` finds photos of both.",
    "Different filters must all hold: `year:2015 is:portrait` finds the portraits of that year.",
    "A minus that touches a filter turns it round: `-in:Screenshots` leaves that folder out. Each such filter counts. "
    "At the start of a query the shell's command line takes a minus for an option: write `--` before it.",
    "A minus before a word only looks away from it: `beach - people` prefers beaches without people. "
    "`not:people` is hard: it drops every photo that shows them.",
    "`like:cat.jpg` looks for photos like that picture; `+`, `-` and weights hold for it as for words.",
    "`before:` means before the named period begins, `after:` after it is over: `after:2015` begins in January 2016. "
    "`taken:` means within it.",
    "Seasons are northern: summer is June, July and August; `winter 2015` ends in February 2016.",
    "A photo that does not say (no date, no place, no camera) fits no filter about it, and every one that is turned "
    "round: `-year:2015` finds photos without a date.",
    "`rating:` and `caption:` are what you gave a photo elsewhere, in XMP, IPTC or EXIF. No stars, or 0, is "
    "`rating:none`. What an editor marks as rejected (-1) is `rating:rejected`, and less than no star: `rating:<3` "
    "leaves it out.",
    "`@name` at the start stands for a saved search; more may follow it.",
    "Filters alone are a query; its photos come by date, the newest first.",
)


def grammar() -> str:
    """The grammar as it stands in the docstring of the package `query`."""
    lines = [line for line in (query.__doc__ or "").splitlines() if line.startswith("    ")]
    return inspect.cleandoc("\n".join(lines))


def date_words() -> str:
    """The words for dates, as they stand in the docstring of query/dates.py."""
    return inspect.cleandoc(dates.__doc__ or "").split("\n\n", 1)[1].strip()

"""The query language: what a person types -> Query, and back. Pure: no disk, no library, no model, no clock.

    query     := part*                                  parts in any order
    part      := operator? [weight] term | filter | "not:" value
    operator  := "+" | "-"                              more of it, less of it
    weight    := number ":"                             opens a new term; no digit or blank follows: 16:9 is text
    term      := piece+ | "like:" value                 pieces are joined by a blank; like: names a picture
    piece     := word | quoted
    filter    := ["-"] key ":" value                    a minus that touches the key: photos that do not fit it
    value     := word | quoted
    quoted    := '"' anything '"'                       inside, \\" is a quote and \\\\ a backslash

Everything counts only at the start or after a blank, so `t-shirt`, `C++`, `5"` and `16:9` are words. The
same filter twice means one or the other, different filters must all hold; each negated one must not hold.
`not:` drops every photo that shows a thing, where `-` only looks away from it.
`parse(formatted(q)) == q` for every Query.
"""

from clipsearch.query.filters import KEYS, Filter, FilterKey
from clipsearch.query.grammar import MAX_CHARACTERS, Query, Term, formatted, literal, parse

__all__ = ["KEYS", "MAX_CHARACTERS", "Filter", "FilterKey", "Query", "Term", "formatted", "literal", "parse"]

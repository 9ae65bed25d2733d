"""man/clipsearch.1: one page with all verbs, in the man(7) macros."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from clipsearch import __version__
from clipsearch.config import CONFIG_VARIABLE, SETTINGS
from clipsearch.errors import Exit
from clipsearch.query import KEYS
from manual.describe import Block, Verb, program, verbs
from manual.language import LESSONS, RULES, SHELL, date_words, grammar


def page() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    whole = program()
    yield '.\\" Made by scripts/docs from the program; do not edit.'
    yield f'.TH CLIPSEARCH 1 "" "clipsearch {__version__}" "User Commands"'
    yield ".SH NAME"
    yield "clipsearch \\- find photos by describing them, on your own machine, offline"
    yield ".SH SYNOPSIS"
    yield f".B {_text(whole.usage)}"
    yield ".SH DESCRIPTION"
    yield from _wrapped(
        "clipsearch indexes folders of photos and finds them by what they show. It only ever reads photos. A terminal "
        "gets tables, a pipe gets paths, one a line; data goes to standard output, everything else to standard error."
    )
    yield ".SH OPTIONS"
    yield from _wrapped("They hold for every command and stand before or behind its name.")
    yield from _options(whole)
    yield ".SH COMMANDS"
    for verb in verbs():
        yield f".SS {_text(verb.name.removeprefix('clipsearch '))}"
        yield from _verb(verb)
    yield ".SH QUERIES"
    for title, text, rows in LESSONS:
        yield f".SS {_text(title)}"
        yield from _wrapped(text)
        for query, finds in rows:
            yield from _item(query, finds)
    yield ".SS Rules"
    yield from _wrapped(SHELL)
    for rule in RULES:
        yield ".PP"
        yield from _wrapped(rule)
    yield ".SS Filters"
    for one in KEYS:
        yield from _item(one.example, one.meaning)
    yield ".SS Dates"
    yield from _as_written(date_words())
    yield ".SS Grammar"
    yield from _as_written(grammar())
    yield ".SH SETTINGS"
    yield from _wrapped(
        "A flag wins over an environment variable, that over the settings file, that over the default. "
        "clipsearch config show prints each setting and who says so."
    )
    for setting in SETTINGS:
        flag = f" Flag: {setting.flag}." if setting.flag else ""
        yield from _item(setting.name, f"{setting.doc} Default: {setting.shown_default}.{flag}")
    yield ".SH ENVIRONMENT"
    for setting in SETTINGS:
        if setting.variable:
            yield from _item(setting.variable, f"The setting {setting.name}.")
    yield from _item(CONFIG_VARIABLE, "The settings file.")
    yield from _item("NO_COLOR", "Turns colours off where the setting color is auto.")
    yield ".SH FILES"
    yield from _item(
        "~/.config/clipsearch/config.toml", "Settings; where the platform keeps them: clipsearch config path."
    )
    yield from _item("~/.local/share/clipsearch/default", "The library, where no setting says otherwise.")
    yield ".SH EXIT STATUS"
    for code in Exit:
        yield from _item(str(int(code)), code.meaning)
    yield ".SH EXAMPLES"
    for note in whole.notes:
        if note.text.startswith("Examples:"):
            yield from _as_written(note.text.removeprefix("Examples:\n"))


def _verb(verb: Verb) -> Iterator[str]:
    yield f".B {_text(verb.usage)}"
    yield ".PP"
    yield from _wrapped(verb.help)
    yield from _options(verb)
    for note in verb.notes:
        yield from _note(note)


def _note(note: Block) -> Iterator[str]:
    yield ".PP"
    yield from _as_written(note.text) if note.as_written else _wrapped(note.text)


def _options(verb: Verb) -> Iterator[str]:
    for number, section in enumerate(verb.sections):
        if number:
            yield ".PP"
            yield f"{_text(section.title)}:"
        for option in section.options:
            yield from _item(option.names, option.meaning)


def _item(name: str, meaning: str) -> Iterator[str]:
    yield ".TP"
    yield f".B {_text(name)}"
    yield from _wrapped(meaning)


def _as_written(text: str) -> Iterator[str]:
    yield ".nf"
    yield from map(_text, text.splitlines())
    yield ".fi"


def _wrapped(text: str) -> Iterator[str]:
    """A paragraph in lines that a person can compare; half as long again once minus signs are escaped."""
    return map(_text, textwrap.wrap(text, 60, break_long_words=False, break_on_hyphens=False))


def _text(text: str) -> str:
    """No escape, no minus that becomes a hyphen, and no line that is taken for a request."""
    text = text.replace("`", "").replace("\\", "\\e").replace("-", "\\-")
    for sign, escape in (('"', "\\(dq"), ("'", "\\(aq"), ("~", "\\(ti"), ("^", "\\(ha")):
        text = text.replace(sign, escape)
    return "\\&" + text if text.startswith(".") else text

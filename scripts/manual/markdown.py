"""The pages of docs/ that are made from the program: its verbs, its query language, its settings, its exit codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clipsearch.config import CONFIG_VARIABLE, SETTINGS
from clipsearch.errors import Exit
from clipsearch.query import KEYS
from manual.describe import Section, Verb, program, verbs
from manual.language import LESSONS, RULES, SHELL, date_words, grammar

MADE = "Made by `scripts/docs` from the program; do not edit.\n"


def cli() -> str:
    whole = program()
    commands = list(verbs())
    head = [
        f"# Commands\n\n{MADE}",
        "A terminal gets tables, a pipe gets paths, one a line; data goes to stdout, everything else to stderr. "
        "See also: [queries](query.md), [settings](settings.md), [exit codes](exit-codes.md), "
        "the fields of the JSON in the [README](../README.md#in-scripts).\n",
        table(["command", "what it does"], [[_link(verb), verb.help] for verb in commands if " " not in _short(verb)]),
        "These options hold for every command that has a use for them, and stand before or behind its name; "
        f"`--version` stands alone:\n\n{_options(whole.sections)}",
    ]
    return "\n".join([*head, *map(_verb, commands)])


def _short(verb: Verb) -> str:
    return verb.name.removeprefix("clipsearch ")


def _link(verb: Verb) -> str:
    return f"[{_short(verb)}](#{verb.name.replace(' ', '-')})"


def _verb(verb: Verb) -> str:
    parts = [f"## {verb.name}\n", f"{verb.help}\n", fenced(verb.usage)]
    parts += [_options(verb.sections)] if verb.sections else []
    parts += [fenced(note.text) if note.as_written else f"{note.text}\n" for note in verb.notes]
    return "\n".join(parts)


def _options(sections: Sequence[Section]) -> str:
    """One table; what its sections are called stands in its middle."""
    rows = []
    for number, section in enumerate(sections):
        rows += [[f"**{section.title}**", ""]] if number else []
        rows += [[f"`{one.names}`", one.meaning] for one in section.options]
    return table(["option", "what it does"], rows)


def query() -> str:
    filters = table(["filter", "finds photos"], [[f"`{one.example}`", one.meaning] for one in KEYS])
    rules = "".join(f"- {rule}\n" for rule in RULES)
    return "\n".join(
        [
            f"# Queries\n\n{MADE}",
            "What you remember, in plain words, and what you know of the photo: when, where, with which camera. The "
            "same language holds in the command line, the terminal interface and Python.\n",
            *[f"## {title}\n\n{text}\n\n{table(['query', 'finds'], _lesson(rows))}" for title, text, rows in LESSONS],
            f"## In a shell\n\n{SHELL}\n",
            f"## Filters\n\n{filters}",
            f"## What they mean\n\n{rules}",
            f"## Dates in words\n\n{fenced(date_words())}",
            'Words with a blank in them are quoted: `after:"last summer"`, `taken:"july 2015"`.\n',
            f"## Grammar\n\n{fenced(grammar())}",
            "Operators, weights and filters count only at the start or after a blank, so `t-shirt`, `C++` and `16:9` "
            "are words. Quotes keep words together and take all meaning out of them; `--literal` does that to the "
            "whole query. A query that cannot be read is shown with a caret under the culprit.\n",
        ]
    )


def _lesson(rows: Iterable[tuple[str, str]]) -> Iterable[Sequence[str]]:
    return [[f"`{query}`", finds] for query, finds in rows]


def settings() -> str:
    rows = [[_code(one.name), one.doc, one.shown_default, _code(one.variable), _code(one.flag)] for one in SETTINGS]
    return "\n".join(
        [
            f"# Settings\n\n{MADE}",
            "A flag wins over an environment variable, that over the settings file, that over the default. "
            "`clipsearch config show` prints each setting with the one who says so, `clipsearch config path` where the "
            f"file is looked for: `config.toml` in the platform's config folder (`~/.config/clipsearch` on Linux), or "
            f"the file that `{CONFIG_VARIABLE}` names. Nothing writes it but you.\n",
            table(["setting", "what it is", "default", "variable", "flag"], rows),
            fenced('library = "~/photos/library"    # relative paths begin at the folder of this file\n'
                    'count = 50\n\n[keys]\n"photo.open" = "ctrl+o"', "toml"),
            "An unknown setting or a value of the wrong kind is an error that names the file; nothing is ignored. "
            "`NO_COLOR` turns colours off where `color` is `auto`.\n",
        ]
    )  # fmt: skip


def exit_codes() -> str:
    return "\n".join(
        [
            f"# Exit codes\n\n{MADE}",
            table(["code", "when"], [[str(int(one)), one.meaning] for one in Exit]),
            "An error is one sentence, `clipsearch: …`, and what to do, `hint: …`, on stderr, with `--quiet` too. "
            "`index` ends with 0 although some photos could not be read: the summary counts them, `clipsearch errors` "
            "lists them, `--strict` makes it 1. `search --batch` ends with 0 when any of its queries found something. "
            "`--json` and `--ndjson` hold every hit and end with 1 only when they are empty; a table and a plain list "
            "hold what fits. A pipe that is closed early (`| head`) is no error and says nothing; the code is then "
            "141, as the shell has it for a program that was ended by SIGPIPE.\n",
        ]
    )


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def fenced(text: str, language: str = "") -> str:
    return f"```{language}\n{text}\n```\n"

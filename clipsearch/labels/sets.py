"""Sets of labels: a plain list, a file (one label a line, or TOML), or one that ships with clipsearch.

A TOML file says more than a list: other words for a label, templates of its own, how sure one must be, and of which
label it is a kind.

    templates = ["a photo of a {}."]      # or the name of published ones: "imagenet"
    labels = ["landscape", "screenshot"]

    [label.receipt]
    words = ["receipt", "bill"]           # asked instead of the name; their vectors are averaged
    templates = ["a scan of a {}."]
    threshold = 0.6                       # below this probability a photo is not called so
    under = "document"                    # what is no clear receipt may still be a clear document

What examples have taught (`slope` and `bias` of a label, and the table `fitted`) is written by `label_file`.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from clipsearch.errors import UsageError
from clipsearch.toml_text import key_text, pairs, quoted, table
from clipsearch.types import Fitted, Label, LabelSet

PLAIN_TEMPLATES = ("a photo of {}.",)
_BUILTIN = Path(__file__).with_name("builtin")
_TEMPLATES = "templates"
_KEYS = {"words", "templates", "threshold", "under", "slope", "bias"}
_FITTED_KEYS = {"model", "space", "words", "unknown"}


def prompts(label: Label) -> tuple[str, ...]:
    return tuple(template.replace("{}", word) for word in label.words for template in label.templates)


def label_set(names: Sequence[str], templates: Sequence[str] = ()) -> LabelSet:
    """A plain list. Raises UsageError for labels or templates that cannot work."""
    sentences = checked_templates(templates)
    cleaned = [name.strip() for name in names if name.strip()]
    if not cleaned:
        raise UsageError("There are no labels.", "Name them: --labels cat,dog,other  or  --labels-file labels.txt")
    if twice := _twice(cleaned):
        raise UsageError(f'The label "{twice}" is there twice.', "Name each label once.")
    return LabelSet(tuple(Label(name, (name,), sentences) for name in cleaned))


def read_label_set(
    content: bytes, where: str, templates: Sequence[str] = (), *, to_be_fitted: bool = False
) -> LabelSet:
    """A file's content, TOML where its name ends so, else one label a line, but those that begin with #.

    `templates` replace those of the file. `to_be_fitted` leaves out what examples have taught before. Raises UsageError
    naming the file and what is wrong with it.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8.", "Write one label a line, in UTF-8.") from error
    if not where.endswith(".toml"):
        lines = [line.strip() for line in text.splitlines() if not line.startswith("#")]
        if not any(lines):
            raise UsageError(f"There are no labels in {where}.", "Write one label a line.")
        return label_set(lines, templates)
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{where} is not valid TOML: {error}.", "Mend the file; docs/labels.md has an example."
        ) from error
    if to_be_fitted:
        said.pop("fitted", None)
    try:
        read = _set_of(said, templates)
    except _Wrong as wrong:
        raise UsageError(f"{where}: {wrong}.", "Mend the file; docs/labels.md has an example.") from None
    if to_be_fitted:
        return replace(read, labels=tuple(replace(label, slope=1.0, bias=0.0) for label in read.labels))
    return read


def label_file(labels: LabelSet) -> str:
    """TOML that `read_label_set` reads as the same set."""
    templates = {label.templates for label in labels.labels}
    common = templates.pop() if len(templates) == 1 else None
    lines = ["# A label file of clipsearch; docs/labels.md tells what may be changed."]
    lines += _wide("templates", common) if common else []
    if labels.fitted is not None:
        lines += table(
            "fitted",
            model=labels.fitted.model,
            space=labels.fitted.space,
            words=_digest(labels.labels),
            unknown=labels.fitted.unknown,
        )
    for label in (*labels.labels, *labels.groups):
        lines += table(
            f"label.{key_text(label.name)}",
            words=label.words or None,
            templates=None if label.templates == common or not label.words else label.templates,
            threshold=label.threshold,
            under=label.under,
            slope=None if label.slope == 1 else label.slope,
            bias=None if label.bias == 0 else label.bias,
        )
    return "\n".join(lines) + "\n"


def _wide(key: str, texts: Sequence[str]) -> list[str]:
    """A line a text where there are several."""
    if len(texts) < 3:
        return pairs(**{key: texts})
    return [f"{key} = [", *(f"    {quoted(text)}," for text in texts), "]"]


def check_fitted(labels: LabelSet, model: str, space: str) -> None:
    """Raises UsageError where slopes and biases of the set were fitted under another model than this."""
    if labels.fitted is not None and labels.fitted.space != space:
        other = labels.fitted.model if labels.fitted.model != model else f"another {model}"
        raise UsageError(
            f"These labels were fitted to examples under the model {other}; under {model} their values mean nothing.",
            "Fit them again: --examples DIR --write-labels FILE.toml; or take fitted, slope and bias out of the file.",
        )


def builtin_set(name: str, templates: Sequence[str] = ()) -> LabelSet:
    """A set that ships with clipsearch. Raises UsageError for an unknown one."""
    if name not in builtin_names():
        raise UsageError(f'There is no label set "{name}".', f"Choose one of: {', '.join(builtin_names())}")
    table = tomllib.loads((_BUILTIN / f"{name}.toml").read_text("utf-8"))
    # Two of ImageNet's names stand for two classes each; a photo cannot be told which.
    return _set_of({**table, "labels": list(dict.fromkeys(table["labels"]))}, templates)


def builtin_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _BUILTIN.glob("*.toml") if path.stem != _TEMPLATES))


def builtin_title(name: str) -> str:
    """What the set is of, in a few words."""
    title: str = tomllib.loads((_BUILTIN / f"{name}.toml").read_text("utf-8"))["title"]
    return title


@cache
def published_templates() -> dict[str, tuple[str, ...]]:
    """Templates as they were published, by the set that they were made for."""
    table = tomllib.loads((_BUILTIN / f"{_TEMPLATES}.toml").read_text("utf-8"))
    return {name: tuple(templates) for name, templates in table.items()}


def checked_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """The templates, with the published ones in the place of their name; the plain one when none is given.

    Raises UsageError for one that is neither a name nor has exactly one {}.
    """
    sentences: list[str] = []
    for template in templates:
        if template in published_templates():
            sentences += published_templates()[template]
        elif template.count("{}") == 1:
            sentences.append(template)
        else:
            raise UsageError(
                f'The template "{template}" has {template.count("{}")} places for the label.',
                'Write {} once, where the label goes: --template "a photo of a {}."; or name published ones: '
                f"{', '.join(published_templates())}",
            )
    return tuple(sentences) or PLAIN_TEMPLATES


def check_alternatives(labels: LabelSet, *, unknown: bool) -> None:
    """For a model whose softmax shares one whole. Raises UsageError for a single label without an alternative."""
    if len(labels.labels) == 1 and not unknown:
        name = labels.labels[0].name
        raise UsageError(
            f'One label ("{name}") says nothing: this model shares 100 % among the labels, '
            "so it would always get all of it.",
            f'Add what else it could be: --labels "{name},something else"; or let it say that nothing fits: --unknown',
        )


class _Wrong(Exception):
    """What a file says that cannot be, as the end of a sentence."""


def _set_of(said: dict[str, Any], templates: Sequence[str]) -> LabelSet:
    if unknown := said.keys() - {"title", "source", "templates", "labels", "label", "fitted"}:
        raise _Wrong(f'there is no key "{min(unknown)}"; known are templates, labels and label')
    if isinstance(said.get("labels"), str):  # "cat, dog" would be one label
        raise _Wrong('labels must be a list: labels = ["cat", "dog"]')
    common = checked_templates(templates or _texts(said, "templates"))
    found = [Label(name.strip(), (name.strip(),), common) for name in _texts(said, "labels") if name.strip()]
    described = said.get("label", {})
    if not isinstance(described, dict):
        raise _Wrong("label must be tables: [label.receipt]")
    for name, entry in described.items():
        found = [label for label in found if label.name != name]  # one may be listed and described
        found.append(_label(name, entry, common, bool(templates)))
    parents = {label.under for label in found} - {None}
    if lost := sorted(parents - {label.name for label in found} - {None}, key=str):
        found += [Label(str(name), (), common) for name in lost]
    # A label that others are under is asked itself only where it says in which words.
    asked = {name for name, entry in described.items() if "words" in entry}
    leaves = [label for label in found if label.name not in parents or label.name in asked]
    groups = [replace(label, words=()) for label in found if label.name in parents and label.name not in asked]
    _check_no_circle({label.name: label.under for label in found})
    if not leaves:
        raise _Wrong("there are no labels in it")
    if twice := _twice([label.name for label in found]):
        raise _Wrong(f'the label "{twice}" is there twice')
    return LabelSet(tuple(leaves), tuple(groups), _fitted(said["fitted"], leaves) if "fitted" in said else None)


def _label(name: str, entry: Any, common: tuple[str, ...], forced: bool) -> Label:
    if not isinstance(entry, dict):
        raise _Wrong(f"label.{name} must be a table")
    if unknown := entry.keys() - _KEYS:
        raise _Wrong(f'label.{name} has no key "{min(unknown)}"; known are {", ".join(sorted(_KEYS))}')
    threshold, under = entry.get("threshold"), entry.get("under")
    if threshold is not None and (not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1):
        raise _Wrong(f"label.{name}.threshold is {threshold}; it must be a number from 0 to 1")
    if under is not None and not isinstance(under, str):
        raise _Wrong(f"label.{name}.under must be the name of a label")
    own = _texts(entry, "templates", f"label.{name}.")
    return Label(
        name,
        tuple(_texts(entry, "words", f"label.{name}.")) or (name,),
        checked_templates(own) if own and not forced else common,
        None if threshold is None else float(threshold),
        under,
        _number(entry, "slope", f"label.{name}.", 1.0),
        _number(entry, "bias", f"label.{name}.", 0.0),
    )


def _fitted(said: Any, asked: Sequence[Label]) -> Fitted:
    if not isinstance(said, dict) or said.keys() - _FITTED_KEYS:
        raise _Wrong(f"fitted must be a table of {', '.join(sorted(_FITTED_KEYS))}")
    if not all(isinstance(said.get(key), str) for key in ("model", "space", "words")):
        raise _Wrong("fitted must say model, space and words, as texts")
    if said["words"] != _digest(asked):
        raise _Wrong(
            "its slopes and biases were fitted to other words or templates than are asked; leave --template out, fit "
            "them again with --examples, or take fitted, slope and bias out"
        )
    return Fitted(said["model"], said["space"], _number(said, "unknown", "fitted.", 0.0))


def _digest(labels: Sequence[Label]) -> str:
    """Changes with what the labels are asked as: a bias belongs to its words."""
    asked = [[label.name, *prompts(label)] for label in labels]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def _number(said: dict[str, Any], key: str, where: str, default: float) -> float:
    value = said.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _Wrong(f"{where}{key} is {value}; it must be a number")
    return float(value)


def _texts(table: dict[str, Any], key: str, where: str = "") -> list[str]:
    value = table.get(key, [])
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _Wrong(f"{where}{key} must be a text or a list of texts")
    return value


def _twice(names: Sequence[str]) -> str | None:
    return next((name for place, name in enumerate(names) if name in names[:place]), None)


def _check_no_circle(under: dict[str, str | None]) -> None:
    for name in under:
        seen, at = {name}, under[name]
        while at is not None:
            if at in seen:
                raise _Wrong(f"label.{name} is under itself")
            seen.add(at)
            at = under.get(at)


@cache
def imagenet_names() -> tuple[str, ...]:
    """ImageNet's thousand names in the order of its classes; two of them stand for two classes each."""
    table = tomllib.loads((_BUILTIN / "imagenet.toml").read_text("utf-8"))
    return tuple(table["labels"])

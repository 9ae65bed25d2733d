"""Which labels are asked: of a list, a file or a set that ships, with what examples have taught."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import IO, TYPE_CHECKING

from clipsearch.cli import output
from clipsearch.cli.meter import meter
from clipsearch.cli.options import utf8
from clipsearch.errors import UsageError
from clipsearch.types import LabelSet

if TYPE_CHECKING:
    from clipsearch.library import Library


def asked_labels(
    labels: str | None, file: IO[bytes] | None, named: str | None, templates: tuple[str, ...], examples: Path | None
) -> LabelSet:
    """Those of the options; where none names any, the folders of examples do."""
    from clipsearch.labels.sets import builtin_set, label_set, read_label_set

    templates = tuple(utf8(template, "A template") for template in templates)
    names = [utf8(name, "A label") for name in labels.split(",")] if labels is not None else []
    filled = [bool(name.strip()) for name in names]
    if any(filled) and not all(filled):
        raise UsageError(f'A label of --labels "{labels}" is empty.', "Put one comma between two labels.")
    if named is not None or (file is not None and file.name.endswith(".toml")):
        if names or (named is not None and file is not None):
            raise UsageError(
                "A label set stands alone.", "Put all labels into one file; docs/labels.md has an example."
            )
        if named is not None:
            return builtin_set(named, templates)
    if file is not None:
        read = read_label_set(file.read(), file.name, templates, to_be_fitted=examples is not None)
        return label_set([*names, *read.names], templates) if names else read
    if labels is None and examples is not None:
        from clipsearch.examples import example_folders

        names = [utf8(name, "The name of a folder") for name in example_folders(examples)]
        if not names:
            raise UsageError(
                f"{output.shown(os.fsencode(examples))} has no folder for any label.",
                "Name a folder with one folder for each label, in it a few photos.",
            )
    return label_set(names, templates)


def fitted_labels(library: Library, labels: LabelSet, examples: Path) -> LabelSet:
    """The labels with what the examples teach, which is told in a line."""
    with meter("reading examples") as progress:
        found = library.fitted_labels(labels, examples, progress=progress)
    for failed in found.failures:
        output.tell(f"clipsearch: {output.shown(failed.path)} was left out: {failed.reason}")
    shown = sum(1 for count in found.photos.values() if count)
    missing = [name for name, count in found.photos.items() if not count]
    none = f", and {found.none:,} of none" if found.none else ""
    output.narrate(f"Learned from {sum(found.photos.values()):,} photos of {shown:,} labels{none}.")
    if missing:
        more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
        output.narrate(f"No examples: {', '.join(map(output.printable, missing[:3]))}{more}.")
    return found.labels


def check_label_file(file: Path) -> None:
    """Raises UsageError for a name that would not be read as TOML, SystemFault for a file that is there."""
    from clipsearch.files import check_new

    if file.suffix != ".toml":
        raise UsageError(f"{file} would be read as a plain list.", f"Call it {file.with_suffix('.toml').name}.")
    check_new(file)


def write_labels(labels: LabelSet, file: Path) -> None:
    """Raises SystemFault for a file that cannot be made."""
    from clipsearch.files import new_file
    from clipsearch.labels.sets import label_file

    with new_file(file) as temporary:
        temporary.write_text(label_file(labels), "utf-8")
    shown = output.shown(os.fsencode(file))
    output.narrate(f"Wrote {shown}. Use it: clipsearch zsl --labels-file {shlex.quote(shown)}")

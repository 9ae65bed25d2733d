"""`zsl --write-xmp`: what the labels change in sidecars, told first, and written when that is agreed to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from clipsearch.cli import output
from clipsearch.cli.consent import agreed
from clipsearch.cli.meter import meter
from clipsearch.types import FailedFile, Labelled, LabelSet

_KINDS = ("made", "changed", "unchanged", "left alone")


def write_sidecars(found: Sequence[Labelled], labels: LabelSet, *, yes: bool) -> bool:
    """Tells on stderr what would be done, and does it; whether it was agreed to, or there was nothing to do."""
    from clipsearch.sidecars.beside import Change, Sidecars

    sidecars = Sidecars(labels)
    plan = list(sidecars.planned((one.path, one.label) for one in found))
    changes = [one for one in plan if isinstance(one, Change) and one.kind != "unchanged"]
    failures = [one for one in plan if isinstance(one, FailedFile)]
    for change in changes:
        label = "without a label" if change.label is None else output.printable(change.label)
        output.narrate(f"  {change.kind:<8} {output.shown(change.sidecar)}  {label}")
    _tell_failures(failures)
    kinds = Counter(one.kind if isinstance(one, Change) else "left alone" for one in plan)
    counts = ", ".join(
        f"{kinds[kind]:,} {kind}" for kind in ("made", "changed", "unchanged", "left alone") if kinds[kind]
    )
    if not changes:
        output.narrate(f"Sidecars: {counts}. There is nothing to write.")
        return True
    output.narrate(f"Sidecars: {counts}, once they are written. The photos stay as they are.")
    if not agreed(f"Write {len(changes):,} sidecar{'' if len(changes) == 1 else 's'}?", yes=yes):
        return False
    failed = []
    with meter("writing sidecars") as progress:
        for done, change in enumerate(changes, 1):
            if (failure := sidecars.write(change)) is not None:
                failed.append(failure)
            progress(done, len(changes))
    _tell_failures(failed)
    written = len(changes) - len(failed)
    output.narrate(f"Wrote {written:,} sidecar{'' if written == 1 else 's'}.")
    return True


def _tell_failures(failures: Sequence[FailedFile]) -> None:
    """What is the matter with a folder is said once."""
    for (path, reason), count in Counter((one.path, one.reason) for one in failures).items():
        several = f" ({count:,} sidecars)" if count > 1 else ""
        output.tell(f"clipsearch: {output.shown(path)} is left alone: {reason}{several}")

"""The sentences of the interface: answers, progress and photos in words. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence

from clipsearch.events import Summary
from clipsearch.printable import dots, printable, shown
from clipsearch.types import REJECTED, Answer, Hit, PhotoDetails

NO_PHOTOS = "No photos are indexed. Esc, then I, chooses a folder."


def told_answer(answer: Answer, *, is_asked: bool) -> str:
    """The count of an answer with what it took."""
    spent = f"{sum(step.milliseconds for step in answer.steps):.0f} ms {answer.plan}"
    if not is_asked:
        return f"{answer.library:,} photos, the newest first"
    if answer.gate is None:
        return f"{answer.searched:,} of {answer.library:,} photos · {spent}"
    fitting, near = len(answer.fitting), len(answer.hits) - len(answer.fitting)
    more = "+" if fitting and not near and len(answer.hits) < answer.searched else ""
    return f"{fitting:,}{more} fit, {near:,} near · {spent}"


def told_nothing(answer: Answer) -> str | None:
    """The one line above an answer none of whose photos fits; None when some do."""
    if not answer.library:
        return NO_PHOTOS
    if not answer.searched or answer.fitting:
        return None
    if answer.hits:
        return "Nothing here looks like that. The nearest, far off:"
    return f"Nothing among {answer.searched:,} photos is left."


def told_filters(filters: Sequence[str], counts: Sequence[int]) -> str:
    """Which filters leave nothing, and how many photos fit without each."""
    if len(filters) == 1:
        return f"No photo fits {printable(filters[0])}. Without it: {counts[0]:,}. A click on it, or x, takes it out."
    without = ", ".join(f"without {printable(one)} {count:,}" for one, count in zip(filters, counts, strict=True))
    return f"No photo fits all of these: {without}."


def told_summary(summary: Summary) -> str:
    """What an index run did."""
    if summary.interrupted:
        return f"Stopped after {summary.indexed:,} photos; all of them are searchable."
    parts = [f"{summary.indexed:,} indexed"]
    for count, what in [(summary.moved, "moved"), (summary.removed, "removed"), (summary.failed, "not readable")]:
        parts += [f"{count:,} {what}"] if count else []
    return f"Done in {duration(summary.seconds)}: {', '.join(parts)}."


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def file_size(count: int) -> str:
    """Bytes as people say them, in decimal units."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def stars(rating: int) -> str:
    return "rejected" if rating == REJECTED else "★" * rating + "☆" * (5 - rating)


def described(hit: Hit, details: PhotoDetails | None, *, is_gone: bool) -> list[tuple[str, str]]:
    """(what, its value) of all that is known of a photo."""
    folder = shown(os.path.dirname(hit.path))
    home = os.path.expanduser("~")
    rows = [("folder", folder.replace(home, "~", 1) if folder.startswith(home + "/") else folder)]
    if is_gone or hit.offline:
        rows.append(("state", "its disk is offline" if hit.offline else "the file is gone"))
    if hit.taken_at:
        rows.append(("taken", hit.taken_at.replace("T", " ")[:16]))
    if details is not None:
        meta = details.metadata
        megapixels = meta.width * meta.height / 1e6
        rows.append(("size", f"{meta.width} × {meta.height}, {megapixels:.1f} MP, {file_size(details.size)}"))
        rows += (
            [("camera", " · ".join(printable(part) for part in (meta.camera, meta.lens) if part))]
            if meta.camera
            else []
        )
        if meta.latitude is not None and meta.longitude is not None:
            rows.append(("place", f"{meta.latitude:.5f}, {meta.longitude:.5f}"))
        rows += [("colours", ", ".join(meta.colors))] if meta.colors else []
        rows += [("rating", stars(meta.rating))] if meta.rating is not None else []
        written = (("title", meta.title), ("caption", meta.description), ("keywords", ", ".join(meta.keywords)))
        rows += [(what, printable(text)) for what, text in written if text]
        rows += [("labels", ", ".join(map(printable, details.labels)))] if details.labels else []
    if hit.relevance is not None and hit.score is not None:
        rows.append(("fits", f"{dots(hit.relevance)}  cosine {hit.score:.3f}"))
    rows += [("copy" if place == 0 else "", shown(copy)) for place, copy in enumerate(hit.copies)]
    return rows

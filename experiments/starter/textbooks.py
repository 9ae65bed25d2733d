"""What textbooks say of their photos: alt text and caption of each figure.

Reads OpenStax's own sources (CNXML) and the older editions that others keep as Markdown. Photos go by their stem: the
file's name without its ending, other characters than letters, digits, ".", "_" and "-" made "_".
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from pinned import Pinned

PICTURE = re.compile(r"\.(jpe?g|png)$", re.IGNORECASE)
MARKDOWN_IMAGE = re.compile(r'!\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^\s)]+)(?:\s+"((?:[^"]|"(?!\)))*)")?\)')
# "An image of", "This is a black and white photo that shows": every alt text would begin alike.
OPENINGS = (
    re.compile(
        r"^(This is )?(An?|The|A) ?(color |black and white |black-and-white )?"
        r"(image|photo|photograph|picture|figure|illustration)s? "
        r"(of|shows|showing|depicts|depicting|that shows|contains|is of) ",
        re.IGNORECASE,
    ),
    re.compile(r"^(The )?(image|photo|photograph|picture|figure)s? (shows|depicts|is of) ", re.IGNORECASE),
)
SHORTEST, LONGEST = 12, 400  # characters of a text
SHORTEST_CAPTION, LONGEST_CAPTION = 20, 160


@dataclass(frozen=True)
class Figure:
    stem: str
    alt: str
    caption: str
    module: str  # the chapter's file or folder


def figures(book: Pinned) -> dict[str, Figure]:
    """By stem; of several figures with one photo that with the longest alt text."""
    found: dict[str, Figure] = {}
    for figure in _markdown_figures(book) if book.name.startswith("philschatz/") else _cnxml_figures(book):
        if figure.stem not in found or len(figure.alt) > len(found[figure.stem].alt):
            found[figure.stem] = figure
    return found


def photo_paths(book: Pinned) -> dict[str, str]:
    """Stem to path in the repository."""
    return {_stem(path): path for path in book.paths() if PICTURE.search(path)}


def queries(figure: Figure) -> list[str]:
    """What one could have searched for to find the photo: the alt text, its first sentence, the caption's first."""
    alt = figure.alt
    for opening in OPENINGS:
        alt = opening.sub("", alt)
    texts = [alt[:LONGEST]]
    first = re.split(r"(?<=[.;]) ", alt)[0]
    if SHORTEST <= len(first) < len(alt):
        texts.append(first)
    caption = re.split(r"(?<=[.]) ", re.split(r"\(credit", figure.caption)[0].strip())[0]
    if SHORTEST_CAPTION <= len(caption) < LONGEST_CAPTION:
        texts.append(caption)
    return texts


def _cnxml_figures(book: Pinned) -> Iterator[Figure]:
    for path, text in book.texts_under("modules"):
        if not path.endswith("index.cnxml"):
            continue
        around = [(match.start(), match.end(), match[0]) for match in re.finditer(r"<figure\b.*?</figure>", text, re.S)]
        for media in re.finditer(r"<media\b([^>]*)>(.*?)</media>", text, re.S):
            alt = re.search(r'alt="([^"]*)"', media[1])
            figure = next((inner for start, end, inner in around if start <= media.start() < end), "")
            for image in re.finditer(r'<image\b[^>]*src="([^"]+)"', media[2]):
                if PICTURE.search(image[1]):
                    module = path.split("/")[1]
                    yield Figure(_stem(image[1]), _plain(alt[1]) if alt else "", _cnxml_caption(figure), module)


def _cnxml_caption(figure: str) -> str:
    caption = " ".join(_plain(part) for part in re.findall(r"<caption\b[^>]*>(.*?)</caption>", figure, re.S)).strip()
    title = re.search(r"<title\b[^>]*>(.*?)</title>", figure, re.S)
    return f"{_plain(title[1])}: {caption}".strip() if title else caption


def _markdown_figures(book: Pinned) -> Iterator[Figure]:
    for path, text in book.texts_under("contents"):
        if path.endswith(".md"):
            for image in MARKDOWN_IMAGE.finditer(html.unescape(text)):
                if PICTURE.search(image[2]):
                    yield Figure(_stem(image[2]), _plain(image[1]), _plain(image[3] or ""), path)


def _stem(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(path).stem)


def _plain(marked: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", marked))).strip()

"""An XMP packet -> what a person, or their program, wrote of the photo. Never raises: nonsense reads as nothing.

The packet is XML from anywhere: defusedxml refuses entities and document types, and what is longer than
a packet ever is (65 kB in a JPEG) is not read at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LONGEST = 1 << 20  # bytes of a packet; editing histories of years stay below

# ISO 16684-1; Exif, Photoshop and the basic properties in Adobe's XMP specification, part 2.
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True, slots=True)
class Packet:
    """As written, not checked."""

    titles: tuple[str, ...] = ()  # the default language first
    descriptions: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    ratings: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()  # of taking, the surest first


def packet_of(data: object) -> Packet:
    if not isinstance(data, bytes) or not data or len(data) > LONGEST:
        return Packet()
    from defusedxml import ElementTree  # here: photos straight from a camera carry no XMP

    try:
        root = ElementTree.fromstring(data.strip(b"\0 "), forbid_dtd=True)
        # Exactly where they belong: looked for at any depth, 700 kB of nested ones name 240 million titles.
        graph = root if root.tag == f"{_RDF}RDF" else root.find(f"{_RDF}RDF")
        about = [] if graph is None else graph.findall(f"{_RDF}Description")
    except Exception:  # ParseError, EntitiesForbidden, LookupError (of an encoding): the picture is still good
        return Packet()
    return Packet(
        tuple(_values(about, f"{_DC}title")),
        tuple(_values(about, f"{_DC}description")),
        tuple(_values(about, f"{_DC}subject")),
        tuple(_values(about, f"{_XMP}Rating")),
        tuple(
            date
            for name in (f"{_EXIF}DateTimeOriginal", f"{_PHOTOSHOP}DateCreated", f"{_XMP}CreateDate")
            for date in _values(about, name)
        ),
    )


def _values(about: list[Element], name: str) -> Iterator[str]:
    """A property is an attribute, or an element with text, or one with a list of `rdf:li`."""
    for description in about:
        if name in description.attrib:
            yield description.attrib[name]
        for element in description.findall(name):
            items = sorted(element.findall(f"*/{_RDF}li"), key=lambda item: item.get(_LANGUAGE) != "x-default")
            yield from (item.text or "" for item in items or [element])

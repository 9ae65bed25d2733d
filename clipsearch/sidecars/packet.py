"""A label as a keyword in an XMP packet: every byte that is not about it stays as it was.

The packet is not written anew, for no serialiser keeps what others wrote (prefixes, comments, blanks): expat tells
where each element lies, and list items are cut out and put in there. What is ours is noted in lists of our own, one for
keywords and one for paths, so that what somebody typed stays when a label of the same name goes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

# ISO 16684-1; lr: is Lightroom's, which darktable, digiKam and immich read too.
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_SUBJECT = ("dc", "http://purl.org/dc/elements/1.1/", "subject")
_HIERARCHY = ("lr", "http://ns.adobe.com/lightroom/1.0/", "hierarchicalSubject")
_OURS = ("clipsearch", "urn:clipsearch:1.0/", "labels")
_OUR_PATHS = ("clipsearch", "urn:clipsearch:1.0/", "paths")
_PROPERTIES = (_SUBJECT, _HIERARCHY, _OURS, _OUR_PATHS)
_LISTS = {f"{_RDF}Bag", f"{_RDF}Seq", f"{_RDF}Alt"}
_ITEM = f"{_RDF}li"

LONGEST = 16 << 20  # bytes; darktable's masks take some
_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*\bencoding\s*=\s*["']([^"']+)""")
_READ_ONLY = re.compile(rb"""<\?xpacket\s+end\s*=\s*["']r["']\s*\?>\s*\Z""")  # ISO 16684-1: a packet's end, r or w
_OPEN_TAG = re.compile(rb"""<([^\s/>]+)(?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*(/?)>""")
_EMPTY = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="">
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
""".encode()

Property = tuple[str, str, str]  # usual prefix, namespace, name
Edit = tuple[int, int, bytes]  # what is put in the place of the bytes between


class UnreadableSidecar(Exception):
    """Why a packet is left alone, as the end of a sentence: "it is not well-formed XML"."""


@dataclass(slots=True, eq=False)
class _Element:
    """Where an element lies: `<name …>` from `start` to `inner`, `</name>` from `close` to `end`."""

    tag: str
    attributes: dict[str, str]
    start: int
    inner: int = 0
    close: int = 0  # equal to `end` where it is written `<name/>`
    end: int = 0
    name: bytes = b""  # as written, with its prefix
    text: str = ""
    children: list[_Element] = field(default_factory=list)

    @property
    def prefix(self) -> bytes:
        return self.name[: self.name.rfind(b":") + 1]

    @property
    def is_empty(self) -> bool:
        return self.close == self.end


def keywords(packet: bytes) -> list[str]:
    """Raises UnreadableSidecar."""
    return _values(_about(_parsed(packet)), _SUBJECT)


def with_label(packet: bytes | None, path: Sequence[str], of_set: Collection[Sequence[str]] = ()) -> bytes | None:
    """The packet with this label; None where nothing changes. Without a packet a new one.

    `path` is the label behind the groups it is under, from the broadest; none takes labels away only. `of_set` are all
    labels of the set, as paths: those that were written by us go, with the groups they were under then; all else stays.
    Raises UnreadableSidecar.
    """
    if packet is None:
        return with_label(_EMPTY, path, of_set) if path else None
    about = _about(_parsed(packet))
    wanted = _wanted(about, path, {one[-1] for one in of_set})
    edits: list[Edit] = []
    new: list[bytes] = []
    for one, (gone, there) in wanted.items():
        found = [element for description in about for element in description.children if element.tag == _tag(one)]
        edits += _edited(packet, found, gone, there)
        if there is not None and not found:
            new.append(_new_list(packet, about[0], one, there))
    if new:
        edits.append(_put_in(about[0], b"".join(new), packet))
    if not edits:
        return None
    if _READ_ONLY.search(packet):
        raise UnreadableSidecar("it says of itself that it may only be read")
    changed = _applied(packet, edits)
    after = _about(_parsed(changed))
    if any(Counter(_values(after, one)) != _expected(about, one, *wanted[one]) for one in wanted):
        raise UnreadableSidecar("this label cannot be written into it")
    return changed


Wanted = tuple[Collection[str], str | None]  # of a list: what goes, one of each; what must be there


def _wanted(about: Sequence[_Element], path: Sequence[str], names: Collection[str]) -> dict[Property, Wanted]:
    """What was noted as ours goes with its note, where the set has a label of that name and it is not this one."""
    have, paths, ours, our_paths = (_values(about, one) for one in _PROPERTIES)
    label, whole = path[-1] if path else None, "|".join(path) if len(path) > 1 else None
    ends = tuple(f"|{name}" for name in names)
    stale = {one for one in ours if one in names and one != label}
    old_paths = {one for one in our_paths if one.endswith(ends) and one != whole}
    return {
        _SUBJECT: (stale, label),
        _HIERARCHY: (old_paths, whole),
        _OURS: (stale, None if label in have and label not in ours else label),
        _OUR_PATHS: (old_paths, None if whole in paths and whole not in our_paths else whole),
    }


def _expected(about: Sequence[_Element], one: Property, gone: Collection[str], there: str | None) -> Counter[str]:
    values = Counter(_values(about, one)) - Counter(gone)
    return values if there is None or there in values else values + Counter([there])


# -- what is there --------------------------------------------------------------------------------


def _parsed(packet: bytes) -> _Element:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser, ParseError

    said = _ENCODING.match(packet)
    if len(packet) > LONGEST:
        raise UnreadableSidecar("it is larger than a sidecar can be")
    if b"\0" in packet or not _is_utf8(packet) or (said and said[1].lower() not in (b"utf-8", b"us-ascii")):
        raise UnreadableSidecar("it is not UTF-8")
    target = _Target()
    parser: Any = DefusedXMLParser(target=target, forbid_dtd=True)
    target.place = lambda: int(parser.parser.CurrentByteIndex)
    try:
        parser.feed(packet)
        parser.close()
    except (ParseError, DefusedXmlException) as error:
        raise UnreadableSidecar("it is not well-formed XML, or XML that does more than say something") from error
    for element in target.all:
        opened = _OPEN_TAG.match(packet, element.start)
        assert opened is not None  # expat has read it
        element.name, element.inner = opened[1], opened.end()
        element.end = opened.end() if opened[2] else packet.index(b">", element.close) + 1
        if opened[2]:
            element.close = element.end
    return target.all[0]


class _Target:
    """Gathers elements as the parser meets them."""

    def __init__(self) -> None:
        self.all: list[_Element] = []
        self._open: list[_Element] = []
        self.place: Callable[[], int] = lambda: 0  # where the parser is

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        element = _Element(tag, dict(attributes), self.place())
        if self._open:
            self._open[-1].children.append(element)
        self._open.append(element)
        self.all.append(element)

    def end(self, tag: str) -> None:
        self._open.pop().close = self.place()

    def data(self, text: str) -> None:
        self._open[-1].text += text

    def close(self) -> None:
        pass


def _about(root: _Element) -> list[_Element]:
    """The descriptions of the photo: exactly where they belong, as decoding/xmp.py looks for them."""
    graphs = [one for one in (root, *root.children) if one.tag == f"{_RDF}RDF"][:1]
    found = [one for graph in graphs for one in graph.children if one.tag == f"{_RDF}Description"]
    if not found:
        raise UnreadableSidecar("it is XML, but describes no photo")
    if any(_tag(one) in description.attributes for description in found for one in _PROPERTIES):
        raise UnreadableSidecar("its keywords are not a list")
    return found


def _items(about: Sequence[_Element], one: Property) -> Iterator[_Element]:
    for description in about:
        for element in description.children:
            if element.tag == _tag(one):
                yield from _list_of(element).children


def _values(about: Sequence[_Element], one: Property) -> list[str]:
    return [_value(item) for item in _items(about, one)]


def _list_of(element: _Element) -> _Element:
    """Raises UnreadableSidecar for what is no list of plain texts."""
    lists = [child for child in element.children if child.tag in _LISTS]
    if len(lists) != 1 or len(element.children) != 1:
        raise UnreadableSidecar("its keywords are not a list")
    if any(item.tag != _ITEM or item.children for item in lists[0].children):
        raise UnreadableSidecar("its keywords are not plain texts")
    return lists[0]


def _value(item: _Element) -> str:
    return item.text.strip()


def _tag(one: Property) -> str:
    return f"{{{one[1]}}}{one[2]}"


def _is_utf8(packet: bytes) -> bool:
    try:
        packet.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


# -- what is changed ------------------------------------------------------------------------------


def _edited(packet: bytes, found: Sequence[_Element], gone: Collection[str], there: str | None) -> Iterator[Edit]:
    """One item of each value that goes, with the blanks before it, and the one that must be there. An empty list goes.

    Of equal items only the last goes: ours was put in once, and behind what was there.
    """
    items = [item for element in found for item in _list_of(element).children]
    has = any(_value(item) == there for item in items)
    all_going = {_value(item): item for item in items if _value(item) in gone}.values()
    for place, element in enumerate(found):
        bag, adds = _list_of(element), there is not None and not has and not place
        going = [item for item in bag.children if item in all_going]
        if going and len(going) == len(bag.children) and not adds:
            going = [element]
        yield from ((one.start - len(_blanks_before(packet, one.start)), one.end, b"") for one in going)
        if adds and there is not None:
            yield _item_edit(packet, bag, there)


def _item_edit(packet: bytes, bag: _Element, value: str) -> Edit:
    """Puts an item behind the others, indented as they are."""
    item = b"<%bli>%b</%bli>" % (bag.prefix, _escaped(value), bag.prefix)
    if not bag.children:
        return _put_in(bag, item, packet)
    last = bag.children[-1]
    return last.end, last.end, _blanks_before(packet, last.start) + item


def _new_list(packet: bytes, description: _Element, one: Property, value: str) -> bytes:
    """A property with a list of one, set in as its description is; its prefix is bound whether it was before or not."""
    outer = _blanks_before(packet, description.start)
    rdf, name = description.prefix, f"{one[0]}:{one[2]}".encode()
    lines = [
        b'<%b xmlns:%b="%b">' % (name, one[0].encode(), one[1].encode()),
        b" <%bBag>" % rdf,
        b"  <%bli>%b</%bli>" % (rdf, _escaped(value), rdf),
        b" </%bBag>" % rdf,
        b"</%b>" % name,
    ]
    return b"".join((outer + b" " + line) if outer else line.strip() for line in lines)


def _put_in(parent: _Element, content: bytes, packet: bytes) -> Edit:
    """Behind the last child; what had none is opened."""
    if parent.is_empty:
        outer = _blanks_before(packet, parent.start) if content.startswith((b"\n", b"\r")) else b""
        slash = packet.rindex(b"/", parent.start, parent.end)
        return slash, parent.end, b">" + content + outer + b"</" + parent.name + b">"
    place = parent.close - len(_blanks_before(packet, parent.close))
    place = max(place, parent.inner)
    return place, place, content


def _blanks_before(packet: bytes, place: int) -> bytes:
    """The line break and the indentation of what begins there; nothing where it follows other text."""
    begin = place
    while begin and packet[begin - 1 : begin].isspace():
        begin -= 1
    blanks = packet[begin:place]
    last = max(blanks.rfind(b"\n"), 0)
    return blanks[last - 1 if blanks[last - 1 : last] == b"\r" else last :] if b"\n" in blanks else b""


def _escaped(text: str) -> bytes:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").encode("utf-8", "replace")


def _applied(packet: bytes, edits: Sequence[Edit]) -> bytes:
    done, parts = 0, []
    for start, end, new in sorted(edits, key=lambda edit: edit[:2]):
        parts += [packet[done:start], new]
        done = end
    return b"".join([*parts, packet[done:]])

"""XMP: what editors write, and what an attacker may."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.decoding.xmp import LONGEST, Packet, packet_of

HEAD = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
)
TAIL = "</rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
NAMES = (
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
)


def packet(inner: str = "", attributes: str = "") -> bytes:
    return f'{HEAD}<rdf:Description rdf:about=""{NAMES} {attributes}>{inner}</rdf:Description>{TAIL}'.encode()


def test_both_ways_of_writing_a_property_are_read() -> None:
    """Lightroom writes attributes, darktable elements; half of the stars would be missing."""
    assert packet_of(packet(attributes='xmp:Rating="3"')).ratings == ("3",)
    assert packet_of(packet("<xmp:Rating>3</xmp:Rating>")).ratings == ("3",)


def test_the_default_language_comes_first() -> None:
    """A title in three languages shows the one that its writer took for all."""
    inner = (
        '<dc:title><rdf:Alt><rdf:li xml:lang="de">Blaue Stunde</rdf:li>'
        '<rdf:li xml:lang="x-default">Blue hour</rdf:li></rdf:Alt></dc:title>'
    )
    assert packet_of(packet(inner)).titles == ("Blue hour", "Blaue Stunde")


def test_properties_may_stand_in_several_descriptions() -> None:
    """Each program adds its own."""
    inner = "<dc:description>lake</dc:description>"
    second = f"<rdf:Description{NAMES}><dc:subject><rdf:Bag><rdf:li>a</rdf:li><rdf:li>b</rdf:li></rdf:Bag></dc:subject>"
    data = packet(inner + f"</rdf:Description>{second}")
    found = packet_of(data)
    assert (found.descriptions, found.keywords) == (("lake",), ("a", "b"))


def test_dates_come_surest_first() -> None:
    """The date of a scan is not that of the photo."""
    data = packet(attributes='xmp:CreateDate="2020-01-01T00:00:00" photoshop:DateCreated="1965-06-07T08:09:10"')
    assert packet_of(data).dates == ("1965-06-07T08:09:10", "2020-01-01T00:00:00")


def test_padding_and_a_bare_graph_are_read() -> None:
    """Writers leave kilobytes of blanks to write into, and some leave out the wrapper."""
    whole = packet(attributes='xmp:Rating="3"')
    start, end = whole.index(b"<rdf:RDF"), whole.index(b"</rdf:RDF>") + len(b"</rdf:RDF>")
    for data in (whole + b" " * 4000 + b"\0", whole[start:end], b"\0\0" + whole):
        assert packet_of(data).ratings == ("3",)


TITLED = packet("<dc:title>&e;</dc:title>", 'xmp:Rating="3"')[len(HEAD.split("<x:")[0].encode()) :]
GRAPH = packet().split(b"</rdf:Description>")[0]
NESTED = b"<dc:title><rdf:Description>" * 8000 + b"<rdf:li/>" * 30000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<",
        b"<a>" * 300_000,
        b"<x>" + b"<a>" * 140_000 + b"</a>" * 140_000 + b"</x>",
        b'<?xml version="1.0" encoding="no-such-thing"?><x/>',
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + TITLED,
        b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY e "&a;&a;&a;&a;">]>' + TITLED,
        packet(attributes='xmp:Rating="3"') + b" " * LONGEST,
        "no bytes",
        None,
    ],
    ids=str.split("empty angle unclosed deep encoding external entities long text none"),
)
def test_nonsense_is_nothing(data: object) -> None:
    """A picture with broken or hostile XMP is a good picture."""
    assert packet_of(data) == Packet()


def test_what_is_nested_is_not_counted_again_at_every_depth() -> None:
    """700 kB that name 240 million titles took 26 s and gigabytes."""
    data = GRAPH + NESTED + b"</rdf:Description></dc:title>" * 8000 + b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    assert len(data) < LONGEST
    assert len(packet_of(data).titles) < 10


def test_the_bombs_of_the_field_read_no_file_and_grow_no_text(shared: Path) -> None:
    """A photo from the net must not read a key into the library, or fill the memory."""
    hostile = shared / "data" / "hostile"
    for name in ("xmp-billion-laughs.jpg", "xmp-external-entity.jpg", "xmp-deep.jpg"):
        content = (hostile / name).read_bytes()
        start = content.index(b"http://ns.adobe.com/xap/1.0/\0") + 29
        assert packet_of(content[start : start + 65_000]) == Packet()


@given(st.binary(max_size=300), st.integers(0, 600), st.binary(max_size=20))
def test_no_bytes_make_it_raise(noise: bytes, place: int, inserted: bytes) -> None:
    """XMP is read in the worker, where an exception would cost the photo."""
    good = packet("<dc:subject><rdf:Bag><rdf:li>a</rdf:li></rdf:Bag></dc:subject>", 'xmp:Rating="3"')
    for data in (noise, good[:place] + inserted + good[place:], good[:place]):
        assert isinstance(packet_of(data), Packet)

"""A label in an XMP packet, and everything else as it was."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.decoding.xmp import packet_of
from clipsearch.sidecars.packet import UnreadableSidecar, keywords, with_label

# What Lightroom, darktable and digiKam write, shortened: attributes, other lists, comments, their own prefixes.
DIGIKAM = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <!-- mine -->
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmp:Rating="4">
   <dc:subject>
    <rdf:Bag>
     <rdf:li>Zoë &amp; Max</rdf:li>
     <rdf:li>beach</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">beach</rdf:li></rdf:Alt></dc:title>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()
DARKTABLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description
 r:about="" xmlns:darktable="http://darktable.sf.net/" darktable:history_end='2' darktable:note="a > b / c"/></r:RDF>
</x:xmpmeta>"""
SET = [("receipt",), ("landscape",), ("animal", "cat"), ("animal", "dog")]


def written(packet: bytes | None, *path: str) -> bytes:
    changed = with_label(packet, path, SET)
    assert changed is not None
    return changed


def test_a_new_sidecar_says_the_label_and_its_groups() -> None:
    """A program that knows hierarchies would put the cat beside the animals."""
    packet = written(None, "animal", "cat")
    assert packet_of(packet).keywords == ("cat",) and b"<rdf:li>animal|cat</rdf:li>" in packet
    assert with_label(packet, ("animal", "cat"), SET) is None
    assert with_label(None, (), SET) is None


@pytest.mark.parametrize("packet", [DIGIKAM, DARKTABLE, DARKTABLE.replace(b"\n", b"\r\n")])
def test_all_other_bytes_stay_as_they_were(packet: bytes) -> None:
    """A rating, an editing history, a comment of somebody's: what is lost in a sidecar is lost for good."""
    changed = written(packet, "animal", "cat")
    assert set(packet_of(changed).keywords) == {*packet_of(packet).keywords, "cat"}
    place, left = 0, b""  # what was there is there still, in its order: the rest was put in between
    for byte in packet.replace(b"/>", b">"):
        found = changed.find(byte, place)
        assert found >= 0, left
        place, left = found + 1, left + bytes([byte])
    assert packet_of(changed).ratings == packet_of(packet).ratings
    assert packet_of(changed).titles == packet_of(packet).titles
    assert with_label(changed, ("animal", "cat"), SET) is None


def test_indentation_is_kept() -> None:
    """The file is read by people too, and compared by programs line by line."""
    changed = written(DIGIKAM, "landscape").decode()
    assert "     <rdf:li>beach</rdf:li>\n     <rdf:li>landscape</rdf:li>\n    </rdf:Bag>" in changed
    new, old = set(changed.splitlines()), set(DIGIKAM.decode().splitlines())
    assert old <= new


def test_a_label_gives_way_to_the_next_and_no_other_keyword_does() -> None:
    """After a second run a photo would be a cat and a dog; or a word that a person typed would be gone."""
    cat = written(DIGIKAM, "animal", "cat")
    dog = written(cat, "animal", "dog")
    assert packet_of(dog).keywords == ("Zoë & Max", "beach", "dog")
    assert b"animal|cat" not in dog and b"animal|dog" in dog
    none = written(dog)
    assert none == DIGIKAM  # nothing of ours is left behind
    other_set = with_label(cat, ("receipt",), [("receipt",), ("invoice",)])
    assert other_set is not None and packet_of(other_set).keywords == ("Zoë & Max", "beach", "cat", "receipt")


def test_a_keyword_that_a_person_typed_stays_when_the_label_of_that_name_goes() -> None:
    """Whoever called it a cat knows better than the model."""
    typed = DIGIKAM.replace(b"<rdf:li>beach", b"<rdf:li>cat")
    dog = written(typed, "animal", "dog")
    assert packet_of(dog).keywords == ("Zoë & Max", "cat", "dog")
    agreed = written(typed, "animal", "cat")  # its place among the groups is new
    assert packet_of(agreed).keywords == ("Zoë & Max", "cat")
    assert packet_of(written(agreed, "landscape")).keywords == ("Zoë & Max", "cat", "landscape")


def hierarchies(packet: bytes) -> list[str]:
    listed = re.search(rb"<lr:hierarchicalSubject.*?</lr:hierarchicalSubject>", packet, re.DOTALL)
    return re.findall(r"<rdf:li>(.*?)</rdf:li>", listed[0].decode()) if listed else []


def test_a_path_that_a_person_typed_stays_when_the_label_goes() -> None:
    """Lightroom's keyword tree is a person's work; our label of the same name took its branch away."""
    typed = re.sub(rb"dc:subject", b"lr:hierarchicalSubject", DIGIKAM).replace(b"beach", b"animal|cat")
    typed = typed.replace(b"xmlns:dc=", b'xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:dc=')
    cat = written(typed, "animal", "cat")
    assert keywords(cat) == ["cat"] and hierarchies(cat) == hierarchies(typed)
    dog = written(cat, "animal", "dog")
    assert hierarchies(dog) == [*hierarchies(typed), "animal|dog"]
    assert written(dog) == typed


def test_a_label_that_was_put_under_another_group_leaves_the_old_one() -> None:
    """The photo would lie in both branches of a keyword tree for ever, whatever the label file says."""
    cat = with_label(DIGIKAM, ("animal", "cat"), [("animal", "cat")])
    pet = with_label(cat, ("home", "pet", "cat"), [("home", "pet", "cat")])
    assert pet is not None and hierarchies(pet) == ["home|pet|cat"] and keywords(pet).count("cat") == 1
    flat = with_label(pet, ("cat",), [("cat",)])
    assert flat is not None and hierarchies(flat) == [] and "cat" in keywords(flat)
    assert with_label(flat, (), [("cat",)]) == DIGIKAM
    assert with_label(pet, (), [("cat",)]) == DIGIKAM


def test_a_keyword_that_a_person_typed_twice_is_there_twice() -> None:
    """What is not ours is not put in order by us; and beside ours the same word of a person stays."""
    twice = bag(["cat", "sea", "cat"], indented=True)
    assert keywords(written(twice, "animal", "cat")) == ["cat", "sea", "cat"]
    ours = written(DIGIKAM, "receipt")
    typed_too = ours.replace(b"<rdf:li>beach", b"<rdf:li>receipt</rdf:li><rdf:li>beach", 1)
    assert keywords(written(typed_too)) == ["Zo\u00eb & Max", "receipt", "beach"]


@pytest.mark.parametrize("end", [b"end='r'", b'end="r"', b'end = "r" '])
def test_a_packet_that_may_only_be_read_is_left_alone(end: bytes) -> None:
    """Its author said so; and where nothing changes there is nothing to complain of."""
    locked = DIGIKAM.replace(b'end="w"', end) + b"\n"
    with pytest.raises(UnreadableSidecar, match="only be read"):
        with_label(locked, ("cat",), SET)
    assert with_label(locked, ("beach",), [("beach",)]) is None
    assert keywords(locked) == keywords(DIGIKAM)


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (b"", "well-formed"),
        (DIGIKAM[:-40].replace(b"</x:xmpmeta>", b""), "well-formed"),
        (DIGIKAM.decode().encode("utf-16"), "UTF-8"),
        (b'<?xml version="1.0" encoding="latin-1"?><a/>', "UTF-8"),
        (b"<html/>", "describes no photo"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + DARKTABLE[39:], "more than say"),
        (b"<!DOCTYPE x>" + DARKTABLE[39:], "more than say"),
        (DIGIKAM.replace(b'xmp:Rating="4"', b'dc:subject="beach"'), "not a list"),
        (DIGIKAM.replace(b"<rdf:li>beach</rdf:li>", b"<rdf:li><b/></rdf:li>"), "plain texts"),
    ],
)
def test_what_cannot_be_read_is_left_alone(packet: bytes, said: str) -> None:
    """Half of a file that is half understood would be lost."""
    with pytest.raises(UnreadableSidecar, match=said):
        with_label(packet, ("cat",), SET)


def test_a_label_that_xml_cannot_hold_is_refused() -> None:
    """The sidecar would be read by no program any more."""
    with pytest.raises(UnreadableSidecar):
        with_label(DIGIKAM, ("a\x01b",), SET)


WORDS = (
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=12).map(str.strip).filter(bool)
)


def bag(words: list[str], *, indented: bool) -> bytes:
    gap = "\n     " if indented else ""
    escaped = [word.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for word in words]
    items = "".join(f"{gap}<rdf:li>{word}</rdf:li>" for word in escaped)
    middle = f"<rdf:Bag>{items}</rdf:Bag>" if items or indented else "<rdf:Bag/>"
    start, end = DIGIKAM.index(b"<dc:subject>") + 12, DIGIKAM.index(b"</dc:subject>")
    return DIGIKAM[:start] + middle.encode() + DIGIKAM[end:]


@given(have=st.lists(WORDS, max_size=5), label=WORDS, following=WORDS, indented=st.booleans())
def test_whatever_the_keywords_all_others_stay_and_the_label_is_there_once(
    have: list[str], label: str, following: str, indented: bool
) -> None:
    """One keyword lost in a hundred thousand photos is noticed by nobody."""
    packet = bag(have, indented=indented)
    assert keywords(packet) == have
    changed = with_label(packet, (label,), [(label,), (following,)]) or packet
    there = have if label in have else [*have, label]
    assert keywords(changed) == there
    assert sorted(word.strip() for word in packet_of(changed).keywords) == sorted(there)
    again = with_label(changed, (following,), [(label,), (following,)]) or changed
    wanted = have if following in have else [*have, following]
    assert Counter(keywords(again)) == Counter(wanted)


def test_the_samples_of_other_programs_are_kept(shared: Path) -> None:
    """Sidecars of real programs, where they are at hand."""
    for sample in sorted((shared / "data").rglob("*.xmp")):
        before = sample.read_bytes()
        after = with_label(before, ("cat",), SET)
        assert after is not None and {*packet_of(after).keywords} == {*packet_of(before).keywords, "cat"}

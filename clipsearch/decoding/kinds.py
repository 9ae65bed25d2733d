"""Which reader a file needs, told by its first bytes; by its name only where RAW files look like others.

Opens nothing and imports no reader: a run over JPEGs must load neither libheif nor LibRaw.
"""

from __future__ import annotations

from enum import Enum

from clipsearch.decoding.names import is_raw

HEAD = 64  # bytes that are looked at


class Kind(Enum):
    """Who reads it."""

    PILLOW = "Pillow"  # or nobody: Pillow says so when it opens the file
    HEIC = "HEIC"
    RAW = "RAW"
    ZEROS = "zeros"
    ICLOUD = "iCloud"  # the small property list that macOS leaves in place of a photo
    JPEG_XL = "JPEG XL"
    VIDEO = "video"


class Unreadable(Exception):
    """Carries the reason that the user will read."""


# Of the kinds that nothing here reads.
REASONS = {
    Kind.ZEROS: "it holds only zeros: a copy that broke off, or a stand-in of a cloud service; fetch the original",
    Kind.ICLOUD: "it is in iCloud and not on this machine; have Finder or Photos download it",
    Kind.JPEG_XL: "JPEG XL pictures are not read yet",
    Kind.VIDEO: "it is a video, not a picture",
}


def extra_missing(kind: Kind) -> Unreadable:
    return Unreadable(f'to read {kind.value}, run pip install "clipsearch[{_EXTRAS[kind]}]" and index again')


_EXTRAS = {Kind.HEIC: "heif", Kind.RAW: "raw"}

# ISO 14496-12 and 23008-12: the major brand of a file, then those it is compatible with.
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_ANY_CODEC = frozenset((b"mif1", b"msf1"))  # a picture; which codec, the compatible brands say
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_MOVIE_BRANDS = frozenset((b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"qt  ", b"M4V ", b"3gp4", b"3gp5"))
_RAW_MAGICS = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"\0MRM", b"FOVb")  # ORF, RW2, RAF, MRW, X3F
# What RAW files are built on, or look like to who does not know better. A RAW name with other magic (a JPEG
# that was renamed) is taken for what its bytes are.
_OTHER_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"BM", b"\0\0\0\x0cjP  ")


def kind_of(name: bytes, head: bytes) -> Kind:
    """`head` is the first HEAD bytes of the file, or all there are."""
    if not head.strip(b"\0"):
        return Kind.ZEROS
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return Kind.JPEG_XL
    if head.startswith(b"bplist0") and name.endswith(b".icloud"):
        return Kind.ICLOUD
    is_canon = head.startswith((b"II*\0", b"MM\0*")) and head[8:10] == b"CR"
    if head.startswith(_RAW_MAGICS) or is_canon or (is_raw(name) and not head.startswith(_OTHER_PICTURES)):
        return Kind.RAW
    return Kind.PILLOW


def _of_brands(head: bytes) -> Kind:
    length = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    compatible = {head[start : start + 4] for start in range(16, length - 3, 4)}
    if major == b"crx ":  # Canon's CR3
        return Kind.RAW
    if major in _HEIC_BRANDS or (major in _ANY_CODEC and not compatible & _AVIF_BRANDS):
        return Kind.HEIC
    return Kind.VIDEO if major in _MOVIE_BRANDS else Kind.PILLOW

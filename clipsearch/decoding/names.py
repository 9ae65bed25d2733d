"""Which names a walk takes: the suffixes of photos, and what is skipped everywhere. Looks at names only."""

from __future__ import annotations

from collections.abc import Sequence

from clipsearch.types import Stamp

# All of four bytes, dot included: `is_raw` relies on it.
RAW_SUFFIXES = frozenset(
    b".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .rw2 .rwl "
    b".sr2 .srf .srw .x3f".split()
)
JPEG_SUFFIXES = frozenset((b".jpg", b".jpeg", b".jpe"))
# By name only: to sniff every file of a home directory would read all of it. A file named by itself is
# tried whatever it is called. What takes an extra is listed without it too, so that it becomes a row with
# its reason, not a silence.
_OTHER_SUFFIXES = frozenset(
    b".jfif .mpo .png .webp .gif .tif .tiff .bmp .avif .heic .heif .hif .jxl .jp2 .j2k .jpx .ppm .pgm .pbm .pnm".split()
)
PHOTO_SUFFIXES = JPEG_SUFFIXES | RAW_SUFFIXES | _OTHER_SUFFIXES
SKIPPED_FOLDERS = frozenset(
    name.encode()
    for name in ("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__MACOSX", "Trash")
)
_STAND_IN = b".icloud"  # .IMG_1.HEIC.icloud: the photo is in the cloud, and this says so


def is_listed(name: bytes) -> bool:
    """Whether a walk takes a file of this name for a photo."""
    # Not os.path.splitext, which takes a quarter of a re-scan; hidden names were skipped before.
    stem, dot, suffix = name.rpartition(b".")
    ending = dot + suffix.lower()
    return ending in PHOTO_SUFFIXES or (ending == _STAND_IN and is_listed(stem))


def is_skipped(name: bytes) -> bool:
    """Hidden names (AppleDouble `._IMG` among them), thumbnails of NAS boxes, trash; not iCloud's stand-ins."""
    if name.startswith(b"."):
        return name.startswith(b"._") or not name.endswith(_STAND_IN)
    return name in SKIPPED_FOLDERS


def is_raw(name: bytes) -> bool:
    return name[-4:].lower() in RAW_SUFFIXES


def one_of_each(stamps: Sequence[Stamp]) -> Sequence[Stamp]:
    """The files of one folder without the RAWs that a camera wrote beside a JPEG: the JPEG stands for both.

    A RAW is listed again as soon as its JPEG is not. An empty JPEG, of a copy that broke off, stands for nothing.
    """
    if RAW_SUFFIXES.isdisjoint(
        [stamp.name[-4:].lower() for stamp in stamps]
    ):  # as good as always; costs no call a name
        return stamps
    developed = {stem for stem, suffix in map(_parts, filter(_is_filled, stamps)) if suffix in JPEG_SUFFIXES}
    return [stamp for stamp in stamps if not (is_raw(stamp.name) and _parts(stamp)[0] in developed)]


def _is_filled(stamp: Stamp) -> bool:
    return stamp.size > 0


def _parts(stamp: Stamp) -> tuple[bytes, bytes]:
    stem, dot, suffix = stamp.name.lower().rpartition(b".")
    return stem, dot + suffix

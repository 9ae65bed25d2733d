"""Which names a walk takes: the suffixes of photos, and what is skipped everywhere. Looks at names only."""

from __future__ import annotations

# By name only: to sniff every file of a home directory would read all of it. A file named by itself is
# tried whatever it is called. HEIC is listed so that it becomes a row with its reason, not a silence.
PHOTO_SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .mpo .png .webp .gif .tif .tiff .bmp .avif .heic .heif "
    b".jp2 .j2k .jpx .ppm .pgm .pbm .pnm".split()
)
SKIPPED_FOLDERS = frozenset(
    name.encode()
    for name in ("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__MACOSX", "Trash")
)


def is_listed(name: bytes) -> bool:
    """Whether a walk takes a file of this name for a photo."""
    # Not os.path.splitext, which takes a quarter of a re-scan; hidden names were skipped before.
    _, dot, suffix = name.rpartition(b".")
    return dot + suffix.lower() in PHOTO_SUFFIXES


def is_skipped(name: bytes) -> bool:
    """Hidden names (AppleDouble `._IMG` among them), thumbnails of NAS boxes, trash."""
    return name.startswith(b".") or name in SKIPPED_FOLDERS

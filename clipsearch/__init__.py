"""clipsearch: grep for photos, by meaning, on your own machine."""

__version__ = "0.1.0"

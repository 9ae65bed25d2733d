"""Bundles: encoded photos on their way from many machines into one library.

A bundle is a folder of parts and, once it is whole, a manifest:

    part-<sha256>.parquet    some rows, under the checksum of all its bytes
    bundle.json              which parts belong to it, what they hold, with a checksum of itself

A row is what became of one file: a photo with its vector, a copy of a photo, or why it could not be read.

  (B1) A part appears under its name whole or not at all, and never changes.
  (B2) The manifest comes after all the parts that it names. Without it a bundle is unfinished, and nobody merges it.
  (B3) A bundle holds vectors of one model. Each part says which.
  (B4) What a copy is a copy of is in the same bundle, in whichever part.

Knows pictures by their digests and places alone: no library, no SQL, no model. Whoever has rows may write a bundle,
with any number of writers at once: their parts cannot meet under one name unless they are the same.
"""

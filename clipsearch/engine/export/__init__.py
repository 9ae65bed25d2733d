"""PyTorch weights -> graphs that every backend opens, proven against PyTorch. Needs the extra `export`.

A checkpoint is read by the file named after its kind, which hands over a `LoadedModel`; from there on nobody knows
where it came from. Nothing outside of this package imports torch but its backend, and nothing here is imported before
somebody exports.
"""

"""Zero-shot labels: what is asked, in which words, and what may be said of a photo. Pure numpy and text.

It never loads a model, reads a photo or knows a library. `builtin/` holds label sets and templates as their makers
published them.
"""

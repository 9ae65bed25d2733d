"""One share of some folders, encoded into a bundle (`clipsearch.bundles`) that another machine merges into a library.

Pictures go the way that `clipsearch index` sends them: the same walk, the same workers and quarantine, the same model.
What differs is where they arrive (store.py). No library is written here, and none need be there.
"""

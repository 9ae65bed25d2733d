"""A file -> upright pixels and what it says of itself, in processes that may die.

Knows nothing of libraries, models and SQL: it is handed a `Prepare` and answers with `Decoded` or a `Failure`
(types.py). `decode` is one file's way, top to bottom; `workers` is where it runs.
"""

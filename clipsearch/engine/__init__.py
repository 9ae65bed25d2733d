"""How pixels or words become a unit vector. The promise: float32 (n, d), finite, each row of length 1.

A model is a folder with a card (cards.py); no model's name appears in code. `engine` does not know
`index`: nothing here sees a library, a path of a photo, or progress.
"""

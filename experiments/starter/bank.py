"""Encodes the bank's texts with the starter and puts their vectors into the package.

python experiments/starter/bank.py      # after clipsearch/background.txt or the text tower has changed
"""

from __future__ import annotations

from clipsearch import Engine
from clipsearch.background import background_texts
from clipsearch.engine.bank import bank_file, write_bank


def main() -> None:
    with Engine("starter") as engine:
        for old in engine.card.folder.glob("background-*.npy"):
            old.unlink()
        path = engine.card.folder / bank_file(engine.card, background_texts())
        write_bank(path, engine.freshly_encoded(background_texts()))
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

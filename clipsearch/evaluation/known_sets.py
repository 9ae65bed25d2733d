"""The published sets that have figures or templates of their own: what they are called, and what their test part holds.

Facts only; which of them a folder holds is labelled.py's to say.
"""

from __future__ import annotations

from dataclasses import dataclass

from clipsearch.errors import UsageError
from clipsearch.labels.sets import builtin_set, imagenet_names, published_templates


@dataclass(frozen=True, slots=True)
class KnownSet:
    name: str  # as label sets, templates and figures name it
    title: str
    pictures: int  # of the part that published figures are over
    lossless: bool  # published as bare pixels: a JPEG of them is another picture

    @property
    def classes(self) -> tuple[str, ...]:
        """As they are asked, in the order of their numbers."""
        return imagenet_names() if self.name == "imagenet" else builtin_set(self.name).names

    @property
    def templates(self) -> tuple[str, ...]:
        """The name of its published templates, as `checked_templates` takes it; none where nobody published any."""
        return (self.name,) if self.name in published_templates() else ()


KNOWN_SETS = (
    KnownSet("cifar10", "CIFAR-10", 10_000, True),
    KnownSet("cifar100", "CIFAR-100", 10_000, True),
    KnownSet("fashion-mnist", "Fashion-MNIST", 10_000, True),
    KnownSet("food101", "Food-101", 25_250, False),
    KnownSet("imagenet", "ImageNet", 50_000, False),
    KnownSet("mnist", "MNIST", 10_000, True),
)


def known_set(name: str) -> KnownSet:
    """Raises UsageError for one that is not known."""
    found = next((one for one in KNOWN_SETS if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in KNOWN_SETS)
        raise UsageError(f'There is no set "{name}".', f"Known are {names}; class folders need no name.")
    return found

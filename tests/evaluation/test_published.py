"""Published figures as they were published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clipsearch.engine.pulling.catalogue import entry_for
from clipsearch.engine.store import find_model
from clipsearch.evaluation.known_sets import KNOWN_SETS
from clipsearch.evaluation.published import published_beside, published_models

SETS = {one.name for one in KNOWN_SETS} | {"flickr30k", "coco"}


def test_figures_are_those_of_the_catalogue_where_both_have_them() -> None:
    """Two files that say two numbers: one of them is wrong."""
    both = 0
    for one in published_models():
        entry = entry_for(one.name)
        if entry is None:
            continue
        for name, ours in (("imagenet", entry.imagenet), ("flickr30k", entry.flickr), ("coco", entry.coco)):
            if name in one.figures and ours is not None:
                assert one.figures[name][0] == ours, (one.name, name)
                both += 1
    assert both > 90


def test_each_figure_is_a_percentage_with_a_source() -> None:
    """A share of 0.63 beside one of 63 percent is a hundredth of it."""
    for one in published_models():
        assert one.source and one.figures.keys() <= SETS
        for name, figures in one.figures.items():
            assert len(figures) == (2 if name in ("flickr30k", "coco") else 1)
            assert all(20 < figure < 100 for figure in figures), (one.name, name)


@pytest.mark.parametrize(
    ("name", "of", "figures"),
    [
        ("vit-b-32-openai", "cifar10", (89.8,)), ("vit-l-14-laion2b", "mnist", (54.1,)),
        ("mobileclip2-s2", "food101", (90.6,)), ("siglip2-g-16-384", "coco", (56.1, 72.8)),
        ("rn50-openai", "flickr30k", (57.4, 80.0)), ("tinyclip-8m-16", "imagenet", (41.1,)),
    ],
)  # fmt: skip
def test_some_rows_as_they_stand_in_their_sources(name: str, of: str, figures: tuple[float, ...]) -> None:
    """Of two columns that were swapped no other test would tell."""
    (found,) = [one for one in published_models() if one.name == name]
    assert found.figures[of] == figures


def test_the_same_model_stands_alone_and_another_beside_those_of_its_size(tmp_path: Path) -> None:
    """A figure of another model under ours would be read as ours."""
    card = find_model("starter", tmp_path)
    beside = published_beside(card, "cifar10")
    assert beside.model is None and len(beside.others) == 3
    assert beside.others[0].params == min(one.params or 999 for one in published_models() if "cifar10" in one.figures)
    same = published_beside(replace(card, name="vit-b-32-openai"), "cifar10")
    assert same.model is not None and same.model.figures["cifar10"] == (89.8,) and not same.others
    assert published_beside(replace(card, name="xlm-r-b-32-laion5b"), "cifar10").model is None  # known, not on this set
    nothing = published_beside(card, None)
    assert nothing.model is None and not nothing.others

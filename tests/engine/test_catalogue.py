"""The catalogue says what is published, of models that can be named as people name them."""

from __future__ import annotations

import pytest

from clipsearch.engine.cards import ImageInput
from clipsearch.engine.pulling import catalogue as module
from clipsearch.engine.pulling.catalogue import canonical, catalogue, entry_for, nearest


def test_every_family_of_the_field_is_there_in_every_size_that_is_known() -> None:
    """A person who has heard of a model would think that clipsearch cannot use it."""
    names = {entry.name for entry in catalogue()}
    assert len(names) >= 25
    assert names >= {
        "rn50-openai", "vit-b-32-openai", "vit-l-14-336-openai", "vit-b-32-laion2b", "vit-b-32-256-datacomp",
        "vit-h-14-378-dfn5b", "siglip-b-16-224", "siglip2-b-32-256", "mobileclip-s0", "mobileclip2-s2",
        "tinyclip-8m-16", "xlm-r-b-32-laion5b", "siglip-b-16-i18n-256",
    }  # fmt: skip
    assert sum(entry.repository is not None for entry in catalogue()) >= 25


def test_each_name_means_one_model() -> None:
    """A name that two models share fetches the wrong gigabyte."""
    names = [name for entry in catalogue() for name in module._names(entry)]
    assert len(names) == len(set(names))
    assert all(canonical(entry.name) == entry.name for entry in catalogue())


def test_every_number_has_its_source_and_is_a_percentage() -> None:
    """A figure from nowhere is a figure made up."""
    for entry in catalogue():
        numbers = [entry.imagenet, entry.flickr, entry.coco, entry.crossmodal]
        assert all(number is None or 1 < number < 100 for number in numbers), entry.name
        assert (entry.source is not None) == any(number is not None for number in numbers), entry.name
        assert entry.repository or entry.weights, entry.name
        assert 0.1 < entry.megabytes / (4 * sum(entry.params)) < 12, entry.name


def test_the_most_retrieval_per_cost_comes_first_and_the_unknown_last() -> None:
    """An unknown cost that counts as nothing would head the list."""
    values = [entry.value for entry in catalogue()]
    known = [value for value in values if value is not None]
    assert values[: len(known)] == sorted(known, reverse=True)
    assert None in values and set(values[len(known) :]) == {None}


def test_what_differs_within_a_family_is_not_lost() -> None:
    """One mean instead of another gives plausible vectors of no model."""
    assert entry("vit-l-14-laion2b").image == ImageInput(224, "shortest", "bicubic", (0.5,) * 3, (0.5,) * 3)
    assert entry("vit-b-32-laion2b").image.mean == (0.48145466, 0.4578275, 0.40821073)
    assert entry("mobileclip-s2").image == ImageInput(256, "shortest", "bilinear", (0.0,) * 3, (1.0,) * 3)
    assert entry("siglip2-b-32-256").image.resize == entry("vit-h-14-dfn5b").image.resize == "squash"
    assert [entry(name).family.pad_id for name in ("siglip-b-16-224", "siglip2-b-16-224", "xlm-r-b-32-laion5b")] == [
        1, 0, 1,
    ]  # fmt: skip
    activations = [entry(name).family.activation for name in ("vit-b-32-openai", "vit-b-32-laion2b", "vit-l-14-dfn2b")]
    assert activations == ["quickgelu", "gelu", "quickgelu"]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (" ViT-B-32__openai", "vit-b-32-openai"),  # a blank in front broke searches of another program
        ("immich-app/ViT-L-14__laion2b-s32b-b82k", "vit-l-14-laion2b"),
        ("ViT-L-14__laion2b-s32b-b82k", "vit-l-14-laion2b"),
        ("xenova/CLIP-ViT-Base-Patch32", "vit-b-32-openai"),
        ("ViT-B-16-SigLIP__webli", "siglip-b-16-224"),
        ("google/siglip2-base-patch16-512", "siglip2-b-16-512"),
    ],
)
def test_a_model_has_the_names_that_its_publishers_give_it(written: str, name: str) -> None:
    """Names are copied from a web page and pasted."""
    found = entry_for(written)
    assert found is not None and found.name == name


def test_a_repository_of_several_models_names_none_of_them() -> None:
    assert entry("vit-b-32-256-datacomp").repository == "yurijmikhalevich/rclip-models"
    assert entry_for("yurijmikhalevich/rclip-models") is None and entry_for("rclip-models") is None


def test_a_typing_mistake_finds_its_model_in_any_case() -> None:
    known = [one.name for one in catalogue()]
    assert nearest("SIGLIP2-B32-256", known) == "siglip2-b-32-256"
    assert nearest("qqqqqqq", known) is None


def entry(name: str) -> module.Entry:
    found = entry_for(name)
    assert found is not None
    return found

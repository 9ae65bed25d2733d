"""What is chosen on some photos is told by others, and what is printed can be used."""

from __future__ import annotations

import subprocess
import tomllib
from types import SimpleNamespace

import numpy as np
import pytest

from clipsearch.errors import UsageError
from clipsearch.evaluation.encoded import EncodedPhotos
from clipsearch.evaluation.halves import halves
from clipsearch.evaluation.intervals import Interval
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.lab.prompts import PromptChoice, finding, points, prompt_choice, prompt_plan, ready
from clipsearch.labels.sets import read_label_set

CLASSES = tuple(f"thing {number}" for number in range(5))
SENTENCES = tuple(f"picture {number} of {{}}" for number in range(30))
DIM = 16


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


class Words:
    """An engine whose texts have vectors that mean nothing, and that counts what it was asked."""

    card = SimpleNamespace(name="noise")
    dim = DIM

    def __init__(self) -> None:
        self.asked: list[str] = []

    def freshly_encoded(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        return unit(np.stack([np.random.default_rng(list(text.encode())).standard_normal(DIM) for text in texts]))


def noise(photos: int = 300, classes: tuple[str, ...] = CLASSES) -> tuple[LabelledPhotos, EncodedPhotos]:
    random = np.random.default_rng(0)
    truth = np.arange(photos) % len(classes)
    vectors = unit(random.standard_normal((photos, DIM)))
    encoded = EncodedPhotos(vectors, truth, np.arange(photos), (), 1.0)
    return LabelledPhotos("noise", classes, ["photo.jpg"] * photos, truth), encoded


def chosen_of(encoded: EncodedPhotos, photos: LabelledPhotos, words: Words | None = None) -> PromptChoice:
    return prompt_choice(words or Words(), photos, encoded, prompt_plan(photos, SENTENCES))  # type: ignore[arg-type]


def test_luck_is_no_gain_on_photos_that_did_not_choose() -> None:
    """The best of thirty templates that mean nothing looks 10 points better than chance where it was chosen."""
    photos, encoded = noise()
    choice = chosen_of(encoded, photos)
    assert (choice.choosing, choice.telling) == (150, 150)
    assert choice.chosen.choosing > 0.28
    assert choice.chosen.telling.value < 0.27 and choice.chosen.telling.low < 0.2
    assert choice.chosen.gain.low < 0 < choice.chosen.gain.high
    assert "(may be chance)" in finding(choice).says


def test_photos_that_tell_have_no_say_in_what_is_chosen() -> None:
    """Ranked, or stopped, by them, the gain would be of their own choosing."""
    photos, encoded = noise()
    other = encoded.vectors.copy()
    telling = halves(encoded.truth).telling
    other[telling] = other[telling][np.random.default_rng(1).permutation(len(telling))]
    changed = EncodedPhotos(other, encoded.truth, encoded.read, (), 1.0)
    first, second = chosen_of(encoded, photos), chosen_of(changed, photos)
    assert first.chosen.templates == second.chosen.templates
    assert [one.template for one in first.singles] == [one.template for one in second.singles]
    assert [one.telling for one in first.steps] != [one.telling for one in second.steps]


def test_the_fewest_of_the_best_are_chosen_and_the_curve_goes_on_to_all() -> None:
    """Templates that bring nothing cost time in every search of a label."""
    photos, encoded = noise()
    choice = chosen_of(encoded, photos)
    shares = [one.choosing for one in choice.steps]
    assert len(choice.chosen.templates) == shares.index(max(shares)) + 1
    assert {one.template for one in choice.steps} == set(SENTENCES)
    assert choice.chosen.choosing == pytest.approx(max(shares))
    everything = next(one for one in choice.ensembles if one.templates == SENTENCES)
    assert choice.steps[-1].telling == pytest.approx(everything.telling.value)
    assert choice.over_all.value == pytest.approx(choice.chosen.telling.value - everything.telling.value)


def test_no_text_is_encoded_twice() -> None:
    """A thousand classes and eighty templates are minutes; two classes of one name ask one text."""
    photos, encoded = noise(classes=("missile", "cat", "missile"))
    words = Words()
    choice = chosen_of(encoded, photos, words)
    assert len(words.asked) == len(set(words.asked))
    every = {template for one in choice.ensembles for template in one.templates} | set(SENTENCES)
    assert len(words.asked) == 2 * len(every)


def test_the_sets_own_templates_take_part_and_named_ones_stand_alone() -> None:
    """What was published for a set is what a choice has to beat."""
    photos = LabelledPhotos("Satellite pictures", CLASSES, ["a.jpg"] * 9, np.arange(9) % 5, "eurosat")
    plan = prompt_plan(photos)
    assert len(plan.offered) == 83 and "a centered satellite photo of {}." in plan.offered
    assert plan.groups["CLIP's for Satellite pictures, 3"] == plan.offered[80:]
    assert prompt_plan(photos, ["mnist", "{}!"]).offered == ('a photo of the number: "{}".', "{}!")


def test_what_memory_cannot_hold_is_refused_before_the_work() -> None:
    """All of ImageNet's validation photos with eighty templates are 8 GB."""
    photos = LabelledPhotos("ImageNet", tuple(map(str, range(1000))), ["a.jpg"] * 50_000, np.arange(50_000) % 1000)
    with pytest.raises(UsageError, match="80 templates, 1,000 classes and 50,000 photos need 8 GB"):
        prompt_plan(photos)


def test_lines_to_copy_are_the_templates_in_a_shell_and_in_a_label_file() -> None:
    """A template with quotes, as that of MNIST, must come through both."""
    templates = ('a photo of the number: "{}".', "it's a {}\\o/.", "ein großes {}.")
    lines = ready(templates)
    blank = lines.index("")
    shell = subprocess.run(["sh", "-c", "printf '%s\n' " + "\n".join(lines[:blank])], capture_output=True, check=True)
    assert shell.stdout.decode().splitlines() == [part for one in templates for part in ("--template", one)]
    written = "\n".join(lines[blank:])
    assert tuple(tomllib.loads(written)["templates"]) == templates
    label = read_label_set(f'{written}\nlabels = ["cat"]\n'.encode(), "mine.toml").labels[0]
    assert label.templates == templates


def test_points_are_hundredths_with_their_sign() -> None:
    """1.3 % more of 60 % is another figure than 1.3 points more."""
    assert points(Interval(0.013, -0.002, 0.024)) == "+1.3 points [-0.2, +2.4]"

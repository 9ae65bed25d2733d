"""Label sets: plain lists, files, and those that ship with clipsearch."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clipsearch.errors import UsageError
from clipsearch.labels.sets import (
    PLAIN_TEMPLATES,
    builtin_names,
    builtin_set,
    check_alternatives,
    check_fitted,
    checked_templates,
    label_file,
    label_set,
    prompts,
    published_templates,
    read_label_set,
)
from clipsearch.types import Fitted, Label, LabelSet

# As published: openai/CLIP data/prompts.md and notebooks/Prompt_Engineering_for_ImageNet.ipynb.
COUNTS = {
    "imagenet": (1000, 80), "cifar10": (10, 18), "cifar100": (100, 18), "food101": (101, 1), "mnist": (10, 1),
    "scenes": (397, 2),
}  # fmt: skip


@pytest.mark.parametrize("labels", [[], ["", "  "], ["cat", "dog", "cat "]])
def test_no_labels_and_labels_twice_are_refused(labels: list[str]) -> None:
    """The same label twice would halve its probability."""
    with pytest.raises(UsageError):
        label_set(labels)


def test_one_label_says_nothing_under_softmax_unless_nothing_may_fit() -> None:
    """100 % for whatever was asked looks like an answer."""
    with pytest.raises(UsageError, match="shares 100 %"):
        check_alternatives(label_set([" cat "]), unknown=False)
    check_alternatives(label_set(["cat"]), unknown=True)
    check_alternatives(label_set(["cat", "dog"]), unknown=False)


def test_a_template_needs_one_place_for_the_label_or_is_a_name() -> None:
    """Without it every label would be asked with the same words."""
    for template in ("a photo", "{} and {}", "imagenet-8"):
        with pytest.raises(UsageError, match=r"place"):
            checked_templates([template])
    assert checked_templates([]) == PLAIN_TEMPLATES
    assert checked_templates(["{}!", "mnist"]) == ("{}!", 'a photo of the number: "{}".')
    (red_car,) = label_set(["red car"], ["a {}.", "{}!"]).labels
    assert prompts(red_car) == ("a red car.", "red car!")


@pytest.mark.parametrize("name", builtin_names())
def test_what_ships_has_the_published_counts(name: str) -> None:
    """A figure that is compared with a published one has to be asked in the same words."""
    labels = builtin_set(name)
    assert all(template.count("{}") == 1 for label in labels.labels for template in label.templates)
    if name in COUNTS:
        classes, templates = COUNTS[name]
        published = 998 if name == "imagenet" else classes  # two of its names stand for two classes each
        assert (len(labels.labels), len(labels.labels[0].templates)) == (published, templates)
    assert len({len(value) for value in published_templates().values()}) > 5


def test_a_file_says_more_than_a_list() -> None:
    """Words, templates, thresholds and kinds, each where it was written."""
    labels = read_label_set(
        b"""
        templates = ["a {}."]
        labels = ["landscape", "receipt"]
        [label.receipt]
        words = ["receipt", "bill"]
        templates = "a scan of a {}."
        threshold = 0.6
        under = "document"
        """,
        "labels.toml",
    )
    landscape, receipt = labels.labels
    assert prompts(landscape) == ("a landscape.",)
    assert prompts(receipt) == ("a scan of a receipt.", "a scan of a bill.")
    assert (receipt.threshold, receipt.under) == (0.6, "document")
    assert [group.name for group in labels.groups] == ["document"]
    forced = read_label_set(b'[label.a]\ntemplates = "an {}"\n[label.b]\n', "x.toml", ["the {}"])
    assert [prompts(label) for label in forced.labels] == [("the a",), ("the b",)]


def test_a_plain_file_has_one_label_a_line() -> None:
    """Comments and blanks are no labels; a byte order mark is none either."""
    labels = read_label_set("\ufeffcat\n# no\n\n dog \n".encode(), "labels.txt")
    assert labels.names == ("cat", "dog")
    with pytest.raises(UsageError, match=r"no labels in labels\.txt"):
        read_label_set(b"# none\n\n", "labels.txt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("labels = [", "not valid TOML"),
        ("lables = ['a']", '"lables"'),
        ("labels = [1]", "labels must be"),
        ("[label.a]\nthreshold = 2", "from 0 to 1"),
        ("[label.a]\nword = 'b'", '"word"'),
        ("[label.a]\nunder = 'a'", "under itself"),
        ("[label.a]\nunder = 'b'\n[label.b]\nunder = 'a'", "under itself"),
        ("label = 3", "must be tables"),
        ("templates = ['none']\nlabels = ['a']", "places for the label"),
        ("", "labels.toml: there are no labels"),
        ("labels = ['a', 'a']", "labels.toml: .*twice"),
        ("labels = 'cat, dog'", "must be a list"),
        ("[label.a]\nslope = 'b'", "must be a number"),
        ("labels = ['a']\n[fitted]\nmodel = 'm'", "model, space and words"),
        ("fitted = 3\nlabels = ['a']", "must be a table"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_the_place(content: str, words: str) -> None:
    """A person mends what is named."""
    with pytest.raises(UsageError, match=words):
        read_label_set(content.encode(), "labels.toml")


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).map(str.strip).filter(bool)
TEMPLATES = st.sampled_from([("a {}.",), ("{}!", 'the "{}"'), ("a photo of {}.",)])
VALUES = st.floats(-9, 9).map(lambda value: round(value, 4))
LABELS = st.builds(
    Label, NAMES, st.lists(NAMES, min_size=1, max_size=2).map(tuple), TEMPLATES, st.none() | st.floats(0, 1),
    st.none() | st.sampled_from(["group", "other group"]), VALUES, VALUES,
)  # fmt: skip


@given(
    labels=st.lists(LABELS, min_size=1, max_size=4, unique_by=lambda label: label.name),
    fitted=st.none() | st.builds(Fitted, NAMES, NAMES, VALUES),
    threshold=st.none() | st.just(0.75),
)
def test_a_file_that_is_written_reads_as_the_same_labels(
    labels: list[Label], fitted: Fitted | None, threshold: float | None
) -> None:
    """What was learned from examples would be another thing the next day."""
    assume(not {"group", "other group"} & {label.name for label in labels})
    names = list(dict.fromkeys(label.under for label in labels if label.under is not None))
    groups = tuple(Label(name, (), ("a photo of {}.",), threshold) for name in names)
    written = LabelSet(tuple(labels), groups, fitted)
    read = read_label_set(label_file(written).encode(), "labels.toml")
    assert read.labels == written.labels and read.fitted == fitted
    assert [(group.name, group.threshold) for group in read.groups] == [(one.name, one.threshold) for one in groups]


def test_values_of_other_words_or_of_another_model_are_refused() -> None:
    """A bias of "a bird" added to "a plane" is a wrong answer that looks like any other."""
    plain = label_set(["cat", "dog"])
    fitted = LabelSet(tuple(replace(label, slope=1.2, bias=0.5) for label in plain.labels), (), Fitted("b16", "f1"))
    text = label_file(fitted)
    check_fitted(read_label_set(text.encode(), "x.toml"), "b16", "f1")
    for model, said in (("starter", "model b16; under starter"), ("b16", "another b16")):
        with pytest.raises(UsageError, match=said):
            check_fitted(fitted, model, "f2")
    check_fitted(plain, "starter", "f2")
    for changed, templates in ((text.replace('words = ["cat"]', 'words = ["tom cat"]'), ()), (text, ["the {}"])):
        with pytest.raises(UsageError, match="other words or templates"):
            read_label_set(changed.encode(), "x.toml", templates)
        again = read_label_set(changed.encode(), "x.toml", templates, to_be_fitted=True)  # the way out that is named
        assert again.fitted is None and {(label.slope, label.bias) for label in again.labels} == {(1.0, 0.0)}


def test_every_published_set_of_templates_is_there() -> None:
    """Those of the paper's sets that were published."""
    counts = {name: len(templates) for name, templates in published_templates().items()}
    assert counts["imagenet-7"] == 7 and counts["kinetics700"] == 28 and counts["ucf101"] == 48
    assert len(counts) == 28  # ImageNet's two and 26 of prompts.md


def test_titles_are_for_people() -> None:
    """`--set` completes names; the title says what they are of."""
    from clipsearch.labels import sets

    for name in builtin_names():
        assert sets.builtin_title(name)
        assert "source" in tomllib.loads((sets._BUILTIN / f"{name}.toml").read_text("utf-8"))

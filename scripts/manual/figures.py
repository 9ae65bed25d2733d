"""The figures of docs/figures as tables: what scripts/figures measured, one model a row, with the command of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).absolute().parents[2] / "docs" / "figures"
SETS = {"cifar10": "CIFAR-10", "fashion-mnist": "Fashion-MNIST", "mnist": "MNIST"}
SECTION = """\
## Labelled and captioned photos

Zero-shot accuracy on 10,000 pictures each, or as many as it says, with the templates published for the set; in brackets
the 95 % interval. By chance it is 10 %. What the command says of the pictures:

{differences}

{accuracies}

A caption finds its photo among {photos:,} photos with {captions:,} captions, and a single word the photos that it is in
(word mAP):

{recalls}

The starter's digits and clothes are not measured. Had the words that are asked never been taught, its word mAP would be
0.460 instead of 0.524 ([how that was measured](../experiments/starter/README.md#figures)). The text tower of
`clip-vit-b16-minilm` is a small one, so these are not the figures of OpenAI's model (90.8 % on CIFAR-10, 51.3 % on
MNIST as published).

`random` is a model of full size whose weights are random: it shows that the commands work, and what chance is (with
one drawing of weights, which prefer some classes). Another model's row is made in the same way: `clipsearch model pull
NAME`, then `scripts/figures DATA NAME && scripts/results`.

What the experiments found with the same models: [prompts and calibration](lab-prompts.md), [embedding
space](lab-space.md), [speed, precision, models compared](lab-speed.md), [backends, variants and
preprocessing](agreement.md); what the names stand for: [the laboratory](lab.md).

<details><summary>The commands, in the folder of the data</summary>

```sh
{commands}
```

</details>
"""


@dataclass(frozen=True, slots=True)
class Figure:
    model: str
    name: str
    command: str
    answer: dict[str, Any]


def section() -> str:
    found = [_figure(file) for file in sorted(FIGURES.glob("*.json"))]
    models = sorted({one.model for one in found}, key=lambda model: (model.endswith("random"), model))
    by_place = {(one.model, one.name): one.answer for one in found}
    captions = next(one.answer for one in found if one.name == "captions")
    return SECTION.format(
        differences=_differences(found),
        accuracies=_table(
            ("model", *(f"{title} acc@1" for title in SETS.values())),
            [(model, *(_accuracy(by_place.get((model, name))) for name in SETS)) for model in models],
        ),
        photos=captions["photos"],
        captions=captions["captions"],
        recalls=_table(
            ("model", "R@1", "R@5", "R@10", "photo finds a caption R@1", "word mAP"),
            [
                (model, *_recalls(by_place.get((model, "captions"))), _words(by_place.get((model, "words"))))
                for model in models
            ],
        ),
        commands="\n".join(one.command for one in found),
    )


def _figure(file: Path) -> Figure:
    model, name, _ = file.name.rsplit(".", 2)
    read = json.loads(file.read_text("utf-8"))
    return Figure(model, name, read["command"], read["answer"])


def _differences(found: list[Figure]) -> str:
    """Of the whole sets; what a part of one lacks stands beside its figure."""
    whole = [one.answer for one in found if one.answer["photos"] == 10_000]
    told = {f"- {answer['set']}: {text}" for answer in whole for text in answer["unlike_published"]}
    return "\n".join(sorted(told))


def _accuracy(answer: dict[str, Any] | None) -> str:
    if answer is None:
        return "–"
    part = "" if answer["photos"] == 10_000 else f", of {answer['photos']:,}"
    return f"{answer['acc1']:.1%} {_interval(answer['acc1_interval'], '.1%')}{part}"


def _recalls(answer: dict[str, Any] | None) -> tuple[str, ...]:
    if answer is None:
        return ("–",) * 4
    shown = [*answer["text_to_image"], answer["image_to_text"][0]]
    return tuple(f"{one['share']:.3f} {_interval((one['low'], one['high']), '.3f')}" for one in shown)


def _words(answer: dict[str, Any] | None) -> str:
    return "–" if answer is None else f"{answer['mean']:.3f} {_interval((answer['low'], answer['high']), '.3f')}"


def _interval(ends: tuple[float, float], form: str) -> str:
    return f"[{ends[0]:{form}}, {ends[1]:{form}}]"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

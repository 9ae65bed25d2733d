"""The text head: MiniLM's pooled levels to CLIP's own text vectors, learnt from open data only.

What pulls, each with its weight:

    rows     the vector that CLIP's text tower gave a name: its cosine, its rank among other names, and the order in
             which it ranks the training photos
    classes  the mean vector of a class's sentences: the mean of ours must agree, and tell classes apart
    pairs    a photo and its alt text: each finds the other among the batch
    captions two captions of one photo find each other (no photo is needed)

Texts lie in a narrow cone, whose mean says nothing: the contrastive parts take most of it off before they compare.
Choices were made on captions of photos that nothing else uses (README.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

WIDTH, HIDDEN = 512, 768
STEPS, RATE, DROPOUT, NOISE = 1_000, 1.5e-3, 0.15, 0.01
SHARPNESS = 50.0  # of the contrastive parts; CLIP's own is 100
OFF = 0.8  # of the cone's mean


@dataclass(frozen=True)
class Lessons:
    """Texts are numbers into the inputs; vectors have length 1."""

    inputs: Tensor  # (texts, width of the pooled levels)
    row_texts: Tensor
    row_vectors: Tensor  # (rows, 512)
    class_texts: list[list[int]]
    class_vectors: Tensor
    pair_texts: list[list[int]]
    pair_vectors: Tensor  # of the photos
    captions: list[list[int]]  # of one photo each
    photos: Tensor  # (photos, 512) of the teacher: what a query ranks


class Head(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.straight = nn.Linear(inputs, WIDTH)
        self.inner = nn.Linear(inputs, HIDDEN)
        self.outer = nn.Linear(HIDDEN, WIDTH)
        nn.init.zeros_(self.outer.weight)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.straight(x) + self.outer(self.dropout(F.gelu(self.inner(x)))), dim=-1)


def trained(lessons: Lessons, seed: int = 0, steps: int = STEPS) -> Head:
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    head = Head(lessons.inputs.shape[1])
    optimiser = torch.optim.AdamW(head.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.1)
    mean = F.normalize(lessons.row_vectors.mean(0), dim=0)
    for _ in range(steps):
        loss = (
            _rows(head, lessons, mean, random)
            + 0.5 * _classes(head, lessons, mean, random)
            + 0.25 * _pairs(head, lessons, random)
            + 0.25 * _captions(head, lessons, random)
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return head.eval()


def _noisy(lessons: Lessons, texts: Tensor | list[int] | NDArray[np.int64]) -> Tensor:
    chosen = lessons.inputs[torch.as_tensor(texts)]
    return chosen + NOISE * torch.randn(chosen.shape)


def _rows(head: Head, lessons: Lessons, mean: Tensor, random: np.random.Generator) -> Tensor:
    some = torch.from_numpy(random.integers(0, len(lessons.row_texts), 512))
    ours, theirs = head(_noisy(lessons, lessons.row_texts[some])), lessons.row_vectors[some]
    agreement = 2 * (1 - (ours * theirs).sum(1)).mean()
    twins = (theirs @ theirs.T > 0.97) & ~torch.eye(len(some), dtype=torch.bool)  # the same thing by two names
    logits = (SHARPNESS * (ours - OFF * mean) @ (theirs - OFF * mean).T).masked_fill(twins, -1e4)
    photos = lessons.photos[torch.from_numpy(random.integers(0, len(lessons.photos), 1_500))]
    order = F.kl_div(
        F.log_softmax(100 * ours[:256] @ photos.T, 1),
        F.log_softmax(100 * theirs[:256] @ photos.T, 1),
        log_target=True,
        reduction="batchmean",
    )
    return agreement + 0.125 * _both_ways(logits) + 0.5 * order


def _classes(head: Head, lessons: Lessons, mean: Tensor, random: np.random.Generator) -> Tensor:
    chosen = random.integers(0, len(lessons.class_texts), 48)
    sentences = [random.permutation(lessons.class_texts[number])[:6] for number in chosen]
    own = torch.from_numpy(np.repeat(np.arange(len(chosen)), [len(some) for some in sentences]))
    ours, theirs = head(_noisy(lessons, np.concatenate(sentences))), lessons.class_vectors[torch.from_numpy(chosen)]
    means = torch.zeros(len(chosen), WIDTH).index_add(0, own, ours)
    agreement = 2 * (1 - (F.normalize(means, dim=1) * theirs).sum(1)).mean()
    apart = F.cross_entropy(SHARPNESS * (ours - OFF * mean) @ (theirs - OFF * mean).T, own)
    return agreement + 0.2 * apart


def _pairs(head: Head, lessons: Lessons, random: np.random.Generator) -> Tensor:
    some = random.choice(len(lessons.pair_texts), 256, replace=False)
    ours = head(_noisy(lessons, [int(random.choice(lessons.pair_texts[number])) for number in some]))
    return _both_ways(SHARPNESS * ours @ lessons.pair_vectors[torch.from_numpy(some)].T)


def _captions(head: Head, lessons: Lessons, random: np.random.Generator) -> Tensor:
    groups = [lessons.captions[number] for number in random.choice(len(lessons.captions), 256, replace=False)]
    first, second = zip(*(random.choice(group, 2, replace=False) for group in groups), strict=True)
    ours, others = head(_noisy(lessons, np.array(first))), head(_noisy(lessons, np.array(second)))
    middle = ((ours.mean(0) + others.mean(0)) / 2).detach()
    return F.cross_entropy(SHARPNESS * (ours - middle) @ (others - middle).T, torch.arange(len(groups)))


def _both_ways(logits: Tensor) -> Tensor:
    """Each row's own column is the right one, and each column's row."""
    right = torch.arange(len(logits))
    return F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)

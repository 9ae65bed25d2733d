"""The figures beside CLIP-benchmark's own functions, on the same vectors; and that a likely mistake would show.

Read in its source (1.6.2, metrics/): R@k of captions and of photos both count a query as found where `recall_at_k` is
above zero, so a photo with one of its five captions among the k best counts whole; a caption has one photo that is
right. Equal scores it leaves to torch.topk, which promises no order: the vectors here have none.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.evaluation.metrics import average_precision, class_accuracies, confusion
from clipsearch.evaluation.retrieval import to_captions, to_photos
from tests.support.accuracy import accuracy

torch = pytest.importorskip("torch", reason="the extra [export] is not installed")
zeroshot = pytest.importorskip("clip_benchmark.metrics.zeroshot_classification", reason="CLIP-benchmark is missing")
retrieval = pytest.importorskip("clip_benchmark.metrics.zeroshot_retrieval", reason="CLIP-benchmark is missing")

Vectors = NDArray[np.float32]
KS = (1, 5, 10)


def unit(rows: NDArray[np.floating]) -> Vectors:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


class Given:
    """A model of CLIP-benchmark's that was handed its vectors: pictures and texts are their row numbers."""

    def __init__(self, pictures: Vectors, texts: Vectors) -> None:
        self.pictures, self.texts = torch.from_numpy(pictures), torch.from_numpy(texts)

    def encode_image(self, numbers: torch.Tensor) -> torch.Tensor:
        return self.pictures[numbers]

    def encode_text(self, numbers: torch.Tensor) -> torch.Tensor:
        return self.texts[numbers]


# -- classes ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classes() -> SimpleNamespace:
    """300 photos of 12 classes, unequally many of each; a model that is right every other time."""
    rng = np.random.default_rng(1)
    weights = unit(rng.standard_normal((12, 32)))
    truth = np.minimum(rng.geometric(0.2, 300) - 1, 11)
    vectors = unit(weights[truth] + 0.7 * rng.standard_normal((300, 32)))
    return SimpleNamespace(vectors=vectors, weights=weights, scores=vectors @ weights.T, truth=truth)


@pytest.fixture(scope="module")
def published(classes: SimpleNamespace) -> dict[str, float]:
    """What CLIP-benchmark's evaluation of a classifier says of them, past its loading of data and models."""
    texts = np.concatenate([classes.weights, classes.weights])  # two templates that say the same
    names = [str(number) for number in range(12)]
    truth = torch.from_numpy(classes.truth)
    batches = [(torch.arange(start, start + 100), truth[start : start + 100]) for start in (0, 100, 200)]
    loader = Batches(batches)
    loader.dataset = SimpleNamespace(classes=names)
    with pytest.MonkeyPatch.context() as patch:
        # It calls float() on an array of one figure, which NumPy refuses from 2.4 on.
        patch.setattr(zeroshot, "float", lambda array: np.asarray(array).item(), raising=False)
        found: dict[str, float] = zeroshot.evaluate(
            Given(classes.vectors, texts), loader, _numbers, names, ["{c}", "{c}"], "cpu", amp=False
        )
    return found


class Batches(list[Any]):
    """What it needs of a data loader."""

    dataset: SimpleNamespace


def _numbers(texts: list[str]) -> torch.Tensor:
    return torch.tensor([int(text) for text in texts])


def test_accuracy_is_clip_benchmarks(classes: SimpleNamespace, published: dict[str, float]) -> None:
    scores, truth = classes.scores, classes.truth
    assert accuracy(scores, truth) == pytest.approx(published["acc1"], abs=1e-9)
    assert accuracy(scores, truth, 5) == pytest.approx(published["acc5"], abs=1e-9)
    mean = np.nanmean(class_accuracies(confusion(scores, truth)))
    assert mean == pytest.approx(published["mean_per_class_recall"], abs=1e-9)


def test_likely_mistakes_of_a_classifier_would_show(classes: SimpleNamespace, published: dict[str, float]) -> None:
    scores, truth = classes.scores, classes.truth
    matrix = confusion(scores, truth)
    mistaken = {
        "acc1": [class_accuracies(matrix).mean(), accuracy(scores, truth, 2), accuracy(scores[:200], truth[:200])],
        "acc5": [accuracy(scores, truth, 4), accuracy(scores, truth, 6)],
        "mean_per_class_recall": [class_accuracies(matrix.T).mean(), accuracy(scores, truth)],
    }
    for name, figures in mistaken.items():
        assert all(abs(figure - published[name]) > 0.005 for figure in figures), name


def test_average_precision_is_clip_benchmarks(classes: SimpleNamespace) -> None:
    """Its mAP of several labels a photo; interpolated, as PASCAL VOC had it, it would be more."""
    rng = np.random.default_rng(2)
    present = rng.random(classes.scores.shape) < 0.05 + 0.5 * (classes.scores > 0.5)
    published = zeroshot.average_precision_per_class(torch.from_numpy(classes.scores), torch.from_numpy(present))
    ours = [average_precision(one, there) for one, there in zip(classes.scores.T, present.T, strict=True)]
    assert ours == pytest.approx(published.tolist(), abs=1e-5)
    interpolated = [_interpolated(one, there) for one, there in zip(classes.scores.T, present.T, strict=True)]
    assert np.mean(interpolated) - float(published.mean()) > 0.005


def _interpolated(scores: NDArray[np.floating], present: NDArray[np.bool_]) -> float:
    right = present[np.argsort(-scores)]
    precision = right.cumsum() / np.arange(1, len(right) + 1)
    return float(np.maximum.accumulate(precision[::-1])[::-1][right].mean())


# -- captions --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def captioned() -> SimpleNamespace:
    """80 photos with one to five captions each; batches of 16 photos, as a loader would hand them out."""
    rng = np.random.default_rng(3)
    photos = unit(rng.standard_normal((80, 24)))
    photo_of = np.repeat(np.arange(80), rng.integers(1, 6, 80))
    captions = unit(photos[photo_of] + 0.5 * rng.standard_normal((len(photo_of), 24)))
    batches = [
        (
            torch.arange(start, start + 16),
            [np.flatnonzero(photo_of == photo).tolist() for photo in range(start, start + 16)],
        )
        for start in range(0, 80, 16)
    ]
    published: dict[str, float] = retrieval.evaluate(
        Given(photos, captions), batches, torch.tensor, "cpu", amp=False, recall_k_list=list(KS)
    )
    return SimpleNamespace(photos=photos, captions=captions, photo_of=photo_of, published=published)


def test_recall_is_clip_benchmarks(captioned: SimpleNamespace) -> None:
    photos, captions, photo_of = captioned.photos, captioned.captions, captioned.photo_of
    for one in to_photos(captions, photos, photo_of, KS):
        assert one.share == pytest.approx(captioned.published[f"image_retrieval_recall@{one.k}"], abs=1e-6)
    for one in to_captions(photos, captions, photo_of, KS):
        assert one.share == pytest.approx(captioned.published[f"text_retrieval_recall@{one.k}"], abs=1e-6)


def _all_captions(scores: Vectors, own: NDArray[np.bool_], k: int) -> float:
    """A photo counts where all its captions are among the k best."""
    worst = np.where(own, scores, np.inf).min(axis=1)
    return float(((scores > worst[:, None]).sum(axis=1) < k).mean())


def _share_of_captions(scores: Vectors, own: NDArray[np.bool_], k: int) -> float:
    """Recall in the strict sense, which CLIP-benchmark computes on its way and does not report."""
    best = np.argsort(-scores, axis=1)[:, :k]
    return float((np.take_along_axis(own, best, axis=1).sum(axis=1) / own.sum(axis=1)).mean())


def _first_caption(scores: Vectors, own: NDArray[np.bool_], k: int) -> float:
    """Only a photo's first caption counts."""
    first = own & (own.cumsum(axis=1) == 1)
    return float(((scores > scores[first][:, None]).sum(axis=1) < k).mean())


def _one_rank_late(scores: Vectors, own: NDArray[np.bool_], k: int) -> float:
    best = np.where(own, scores, -np.inf).max(axis=1)
    return float(((scores > best[:, None]).sum(axis=1) <= k).mean())


@pytest.mark.parametrize("mistaken", [_all_captions, _share_of_captions, _first_caption, _one_rank_late])
@pytest.mark.parametrize("k", KS[:2])
def test_other_recalls_of_photos_would_show(
    captioned: SimpleNamespace, mistaken: Callable[[Vectors, NDArray[np.bool_], int], float], k: int
) -> None:
    """Each is called text recall somewhere."""
    own = captioned.photo_of == np.arange(80)[:, None]
    figure = mistaken(captioned.photos @ captioned.captions.T, own, k)
    assert abs(figure - captioned.published[f"text_retrieval_recall@{k}"]) > 0.01


def test_recall_of_captions_averaged_by_photo_would_show(captioned: SimpleNamespace) -> None:
    """Photos with many captions count more than those with one: every caption is a query."""
    scores = captioned.captions @ captioned.photos.T
    found = scores.argmax(axis=1) == captioned.photo_of
    by_photo = np.mean([found[captioned.photo_of == photo].mean() for photo in range(80)])
    assert abs(by_photo - captioned.published["image_retrieval_recall@1"]) > 0.005

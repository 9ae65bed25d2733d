"""Zero-shot labels: prompts for each label, one vector a label, probabilities under the model's own scale.

Search turned round: one image, many texts. Pure numpy; it never loads a model or reads a file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import UsageError
from clipsearch.types import LabelScore

PLAIN_TEMPLATE = "a photo of {}."


def checked_labels(labels: Sequence[str], *, exclusive: bool) -> tuple[str, ...]:
    """The labels as they will be asked, blanks dropped. `exclusive` says that a softmax shares one whole among them.

    Raises UsageError for none, for the same label twice, and for a single label under softmax.
    """
    cleaned = tuple(label.strip() for label in labels if label.strip())
    if not cleaned:
        raise UsageError("There are no labels.", "Name them: --labels cat,dog,other  or  --labels-file labels.txt")
    twice = sorted({label for label in cleaned if cleaned.count(label) > 1})
    if twice:
        raise UsageError(f'The label "{twice[0]}" is there twice.', "Name each label once.")
    if exclusive and len(cleaned) == 1:
        raise UsageError(
            f'One label ("{cleaned[0]}") says nothing: this model shares 100 % among the labels, '
            "so it would always get all of it.",
            f'Add what else it could be: --labels "{cleaned[0]},something else"',
        )
    return cleaned


def checked_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """The templates, or the plain one when none is given. Raises UsageError for one without exactly one {}."""
    for template in templates:
        if template.count("{}") != 1:
            raise UsageError(
                f'The template "{template}" has {template.count("{}")} places for the label.',
                'Write {} once, where the label goes: --template "a photo of a {}."',
            )
    return tuple(templates) or (PLAIN_TEMPLATE,)


def prompts(label: str, templates: Sequence[str]) -> tuple[str, ...]:
    return tuple(template.replace("{}", label) for template in templates)


def ensembled(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """One unit vector for one label: the mean of its prompts' unit vectors (prompts, d), made unit again.

    As open_clip's `build_zero_shot_classifier` defines it.
    """
    mean = vectors.astype(np.float64).mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def ranked(
    labels: Sequence[str], cosines: NDArray[np.float32], probabilities: NDArray[np.float64]
) -> tuple[LabelScore, ...]:
    """The labels of one photo, most probable first; equal ones in the order given."""
    order = np.argsort(-probabilities, kind="stable")
    return tuple(LabelScore(labels[i], float(probabilities[i]), float(cosines[i])) for i in order)

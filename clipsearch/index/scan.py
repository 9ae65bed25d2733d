"""The rows of a mapped matrix with the highest products, block by block. The only module that knows numkong.

A scan is bound by memory: a million rows of 256 bytes take 12 ms, 512 dimensions in f16 take 35 ms (one core of an
AMD EPYC; numkong holds the interpreter's lock, so a second thread gains nothing). Importing it costs 1 ms.
"""

from __future__ import annotations

import numkong
import numpy as np
from numpy.typing import NDArray

_BLOCK = 32_768  # rows between two looks at what the best ones have; their products are 256 KiB


def best_rows(
    query: NDArray[np.int8] | NDArray[np.float16],
    matrix: NDArray[np.int8] | NDArray[np.float16],
    count: int,
    ids: NDArray[np.int64],
    accepted: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Rows of `matrix` (n, d) with the `count` highest products with `query` (d,) of the same type; in no order.

    `accepted` says for an id whether it may answer (beyond its end: no); `ids` (n,) are those of the rows.
    """
    if count >= len(matrix):
        return accepted_rows(np.arange(len(matrix)), ids, accepted)
    rows, scores = np.empty(0, np.int64), np.empty(0, np.float64)
    waiting: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    floor, above = -np.inf, 0
    for start in range(0, len(matrix), _BLOCK):
        block = matrix[start : start + _BLOCK]
        # Not with `out=` and float32: numkong 7.8.6 then takes a hundred times as long for f16.
        found = np.asarray(numkong.cdist(query[None], block, "dot"))[0]
        # Only what beats the worst of the best so far is looked at, so no million scores are ever sorted.
        fresh = accepted_rows(start + np.flatnonzero(found > floor), ids, accepted)
        waiting.append((fresh, found[fresh - start]))
        above += len(fresh)
        if above > count or start + _BLOCK >= len(matrix):
            rows = np.concatenate([rows, *(one for one, _ in waiting)])
            scores = np.concatenate([scores, *(one for _, one in waiting)])
            if len(rows) > count:
                best = np.argpartition(scores, -count)[-count:]
                rows, scores = rows[best], scores[best]
                floor = float(scores.min())
            waiting, above = [], 0
    return rows


def accepted_rows(
    rows: NDArray[np.int64], ids: NDArray[np.int64], accepted: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    if accepted is None:
        return rows
    chosen = ids[rows]
    known = (chosen >= 0) & (chosen < len(accepted))
    return rows[known & accepted[np.where(known, chosen, 0)]]

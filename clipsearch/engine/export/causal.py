"""CLIP's causal text tower at any length up to its context.

The position table and the mask are cut to the text: what stands behind its end cannot be seen from there, so the
vector is that of the padded text, at a fraction of the cost. The published classes take one length only.
"""

from __future__ import annotations

import torch
from torch import nn


class CausalText(nn.Module):
    """int64 (n, tokens) -> (n, dim); takes the parts of a tower and shares their weights."""

    positions: torch.Tensor
    mask: torch.Tensor

    def __init__(
        self,
        tokens: nn.Module,
        positions: torch.Tensor,
        transformer: nn.Module,
        norm: nn.Module,
        projection: nn.Module | torch.Tensor | None,
        end_id: int | None,
    ) -> None:
        """`transformer` is called with `attn_mask`. `end_id` ends a text; None: the largest id does (OpenAI)."""
        super().__init__()
        self.tokens, self.transformer, self.norm = tokens, transformer, norm
        self.projection, self.end_id = projection, end_id
        # One row more than any text has: a cut that may be the whole is a case of its own to torch.export.
        rows = len(positions) + 1
        table = torch.cat([positions.detach(), torch.zeros(1, positions.shape[1])])
        mask = torch.full((rows, rows), torch.finfo(torch.float32).min).triu_(1)
        self.register_buffer("positions", table, persistent=False)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        length = ids.shape[1]
        states = self.tokens(ids) + self.positions[:length]
        states = self.norm(self.transformer(states, attn_mask=self.mask[:length, :length]))
        ends = ids.argmax(-1) if self.end_id is None else (ids == self.end_id).int().argmax(-1)
        pooled = states[torch.arange(ids.shape[0]), ends]
        return pooled if self.projection is None else project(pooled, self.projection)


def project(pooled: torch.Tensor, projection: nn.Module | torch.Tensor) -> torch.Tensor:
    """By a layer, or by a matrix (width, dim) as OpenAI keeps it."""
    projected: torch.Tensor = projection(pooled) if isinstance(projection, nn.Module) else pooled @ projection
    return projected

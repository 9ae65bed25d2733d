"""Weights as codes: `d` neighbouring weights of a row share one of 256 entries of a small book.

    W[o, j*d + k] = row[o] * book[codes[o, j], k]        codes uint8, row float, book int8 or float

8/d bits a weight: 4 for d = 2, 2.7 for d = 3. Where a book's entries are int8, the weights are plain int8 weights with
a scale for each output channel once they are unfolded: a runtime's int8 kernels take them as they are. A book of floats
is for layers with single weights of 40 times the usual size, beside which 1/127 of the largest is too coarse.

Chosen as GPTQ chooses, each code seeing the error of those before it (GPTVQ, van Baalen et al. 2024, arXiv 2402.15319),
so that the layer's outputs are kept rather than its weights.

Knows matrices and moments of their inputs only, no model and no file.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ENTRIES = 256
DAMPING = 0.01  # of the moments, as in GPTQ
_SAMPLE, _LONGEST, _ROUNDS = 60_000, 1_000, 20  # of k-means
_LAZY = 96  # columns whose errors are carried on together; a multiple of 2 and 3


@torch.no_grad()
def coded(weight: Tensor, moments: Tensor, d: int, integer: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Codes (out, in/d), book (256, d), of whole numbers -127..127 if `integer`, row (out,), for a weight (out, in).

    `moments` (in, in) is the mean of x xᵀ over the layer's inputs x.
    """
    left = weight.clone().float()
    out, width = left.shape
    if width % d:
        raise ValueError(f"{width} inputs are not a multiple of {d}")
    moments = moments.double()
    moments = moments + DAMPING * moments.diagonal().mean() * torch.eye(width, dtype=torch.float64)
    factor = torch.linalg.cholesky(torch.linalg.inv(moments), upper=True).float()
    row = left.pow(2).mean(1).sqrt()
    importance = moments.diagonal().float().reshape(-1, d).mean(1).repeat(out)
    book = _k_means((left / row[:, None]).reshape(-1, d), importance)
    if integer:
        step = book.abs().max() / 127
        book, row = (book / step).round().clamp(-127, 127), row * step
    norms = (book * book).sum(1) / 2
    codes = torch.zeros(out, width // d, dtype=torch.int32)
    for begin in range(0, width, _LAZY):
        end = min(begin + _LAZY, width)
        errors = torch.zeros(out, end - begin)
        for at in range(begin, end, d):
            wanted = left[:, at : at + d]
            chosen = (wanted / row[:, None] @ book.T - norms).argmax(1)
            codes[:, at // d] = chosen
            short = wanted - book[chosen] * row[:, None]
            error = torch.zeros(out, d)
            for k in range(d):
                error[:, k] = short[:, k] / factor[at + k, at + k]
                short[:, k + 1 :] -= error[:, k, None] * factor[at + k, at + k + 1 : at + d]
            left[:, at + d : end] -= error @ factor[at : at + d, at + d : end]
            errors[:, at - begin : at - begin + d] = error
        left[:, end:] -= errors @ factor[begin:end, end:]
    return codes, book, row


def nearest(vectors: Tensor, book: Tensor) -> Tensor:
    """The entry nearest to each vector (n, d)."""
    norms = (book * book).sum(1) / 2
    return torch.cat([(part @ book.T - norms).argmax(1) for part in vectors.split(65_536)])


def _k_means(vectors: Tensor, importance: Tensor) -> Tensor:
    """A quarter of the entries starts at the longest vectors, which few samples would hold and which weigh most."""
    generator = torch.Generator().manual_seed(0)
    longest = vectors.norm(dim=1).argsort(descending=True)[:_LONGEST]
    sample = torch.cat([longest, torch.randperm(len(vectors), generator=generator)[:_SAMPLE]])
    vectors, importance = vectors[sample], importance[sample]
    far = torch.randperm(_LONGEST, generator=generator)[: ENTRIES // 4]
    near = torch.randperm(len(vectors), generator=generator)[: ENTRIES - len(far)]
    book = vectors[torch.cat([far, near])].clone()
    for _ in range(_ROUNDS):
        own = nearest(vectors, book)
        weight = torch.zeros(ENTRIES).index_add(0, own, importance)
        total = torch.zeros_like(book).index_add(0, own, vectors * importance[:, None])
        held = weight > 0
        book[held] = total[held] / weight[held, None]
        if empty := int((~held).sum()):
            book[~held] = vectors[torch.randperm(len(vectors), generator=generator)[:empty]]
    return book


class CodedLinear(nn.Module):
    """A linear layer of codes whose book, row scales and bias can still be trained."""

    codes: Tensor
    scale: Tensor

    def __init__(self, linear: nn.Linear, moments: Tensor, d: int, integer: bool = True) -> None:
        super().__init__()
        codes, book, row = coded(linear.weight.detach(), moments, d, integer)
        self.integer = integer
        largest = 127 if integer else 1
        self.register_buffer("codes", codes)
        self.register_buffer("scale", row * largest)
        self.book = nn.Parameter(book / largest)
        self.gain = nn.Parameter(torch.ones(len(row)))  # of a row; starts at 1, so that one learning rate fits all
        self.bias = nn.Parameter(linear.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = _Unfolded.apply(self.book, self.scale * self.gain, self.codes)
        return F.linear(x, weight.to(x.dtype), self.bias)

    @torch.no_grad()
    def finished(self) -> tuple[Tensor, Tensor, Tensor]:
        """Codes uint8, book, row: as a graph stores them."""
        if not self.integer:
            return self.codes.to(torch.uint8), self.book.detach(), self.scale * self.gain
        step = self.book.abs().max() / 127
        book = (self.book / step).round().clamp(-127, 127)
        return self.codes.to(torch.uint8), book.to(torch.int8), self.scale * self.gain * step


def unfolded(codes: Tensor, book: Tensor, row: Tensor) -> Tensor:
    """The weight (out, in) that codes stand for."""
    return F.embedding(codes.int(), book.float()).reshape(len(codes), -1) * row[:, None]


class _Unfolded(torch.autograd.Function):
    """`unfolded` in bfloat16, with a gradient for the book by counting, which is faster than adding by index."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, book: Tensor, row: Tensor, codes: Tensor) -> Tensor:
        ctx.save_for_backward(book, row, codes)
        return unfolded(codes, book, row).bfloat16()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[no-untyped-def,override]
        book, row, codes = ctx.saved_tensors
        gradient = gradient.float()
        of_row = (gradient * unfolded(codes, book, torch.ones_like(row))).sum(1)
        scaled, flat = (gradient * row[:, None]).reshape(-1, book.shape[1]), codes.reshape(-1)
        of_book = [torch.bincount(flat, weights=column, minlength=len(book)) for column in scaled.T]
        return torch.stack(of_book, 1).float(), of_row, None

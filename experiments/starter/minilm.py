"""all-MiniLM-L6-v2 in torch: its levels pooled over the words, and its weights as codes.

A level is the embedding or one layer's output; the mean of each over a text's words is what the text head reads.
The levels above the third are used: the lower ones know spelling, the last one what two sentences share.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from codes import CodedLinear, coded
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

WIDTH, HEADS, LAYERS = 384, 12, 6
CONTEXT = 64  # tokens; the 95th of 100 captions has 22
LEVELS = (3, 4, 5, 6)


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.after_attention = nn.LayerNorm(WIDTH, eps=1e-12)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)
        self.after_mlp = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.after_attention(x + self.out(self.attended(x, mask)))
        return self.after_mlp(x + self.down(F.gelu(self.up(x))))

    def attended(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        heads = self.qkv(x).reshape(batch, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        scores = heads[0] @ heads[1].transpose(-1, -2) * (WIDTH // HEADS) ** -0.5 + mask[:, None, None]
        return (scores.softmax(-1) @ heads[2]).transpose(1, 2).reshape(batch, tokens, WIDTH)


class Words(nn.Module):
    """A word's vector out of codes, a row a word: looked up before it is unfolded."""

    codes: Tensor
    book: Tensor
    row: Tensor

    def __init__(self, weight: Tensor, d: int) -> None:
        super().__init__()
        codes, book, row = coded(weight, torch.eye(weight.shape[1]), d, integer=False)
        self.register_buffer("codes", codes.to(torch.uint8))
        self.register_buffer("book", book)
        self.register_buffer("row", row)

    def forward(self, ids: Tensor) -> Tensor:
        pieces = F.embedding(F.embedding(ids, self.codes).int(), self.book)
        return pieces.flatten(-2) * F.embedding(ids, self.row[:, None])


class MiniLM(nn.Module):
    words: nn.Module

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30522, WIDTH)
        self.places = nn.Parameter(torch.zeros(CONTEXT, WIDTH))
        self.embedded = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def levels(self, ids: Tensor, mask: Tensor) -> list[Tensor]:
        """The embedding and each layer's output, (batch, tokens, 384); `mask` is 1 for a token, 0 for padding."""
        mask = (1.0 - mask.float()) * -1e4
        levels = [self.embedded(self.words(ids) + self.places[: ids.shape[1]])]
        for layer in self.layers:
            levels.append(layer(levels[-1], mask))
        return levels

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(batch, 384 times the levels): the mean over the tokens of each of LEVELS, at length 1."""
        share = mask.float()[:, :, None] / mask.float().sum(1)[:, None, None]
        levels = self.levels(ids, mask)
        return torch.cat([F.normalize((levels[at] * share).sum(1), dim=-1) for at in LEVELS], dim=-1)


def load(weights: Path) -> MiniLM:
    """From the published model.safetensors."""
    stored = load_file(weights)
    model = MiniLM()
    model.words.weight.data = stored["embeddings.word_embeddings.weight"]
    kind = stored["embeddings.token_type_embeddings.weight"][0]  # of the only sentence
    model.places.data = stored["embeddings.position_embeddings.weight"][:CONTEXT] + kind
    _take(model.embedded, stored, "embeddings.LayerNorm")
    for number, layer in enumerate(model.layers):
        assert isinstance(layer, Layer)
        own = f"encoder.layer.{number}"
        for what in ("weight", "bias"):
            parts = [stored[f"{own}.attention.self.{name}.{what}"] for name in ("query", "key", "value")]
            getattr(layer.qkv, what).data = torch.cat(parts)
        _take(layer.out, stored, f"{own}.attention.output.dense")
        _take(layer.after_attention, stored, f"{own}.attention.output.LayerNorm")
        _take(layer.up, stored, f"{own}.intermediate.dense")
        _take(layer.down, stored, f"{own}.output.dense")
        _take(layer.after_mlp, stored, f"{own}.output.LayerNorm")
    return model.eval()


def _take(module: nn.Linear | nn.LayerNorm, stored: dict[str, Tensor], name: str) -> None:
    module.weight.data, module.bias.data = stored[f"{name}.weight"], stored[f"{name}.bias"]


def tokenizer(path: Path) -> Tokenizer:
    made = Tokenizer.from_file(str(path))
    made.no_padding()
    made.enable_truncation(CONTEXT)
    return made


@torch.no_grad()
def with_codes(model: MiniLM, ids: list[list[int]], of_words: int = 3, of_layers: int = 2) -> None:
    """Replaces every matrix by codes, layer after layer, each fitted to what the coded layers below give it."""
    assert isinstance(model.words, nn.Embedding)
    model.words = Words(model.words.weight.detach(), of_words)
    padded, mask = batch_of(ids)
    kept, cover = mask.bool(), (1.0 - mask.float()) * -1e4

    def code(layer: Layer, name: str, inputs: Tensor) -> None:
        tokens = inputs[kept]
        setattr(
            layer, name, CodedLinear(getattr(layer, name), tokens.T @ tokens / len(tokens), of_layers, integer=False)
        )

    x = model.embedded(model.words(padded) + model.places[: padded.shape[1]])
    for layer in model.layers:
        assert isinstance(layer, Layer)
        code(layer, "qkv", x)
        attended = layer.attended(x, cover)
        code(layer, "out", attended)
        x = layer.after_attention(x + layer.out(attended))
        code(layer, "up", x)
        inner = F.gelu(layer.up(x))
        code(layer, "down", inner)
        x = layer.after_mlp(x + layer.down(inner))


def batch_of(ids: list[list[int]]) -> tuple[Tensor, Tensor]:
    """(texts, tokens) ids padded with 0, and the mask."""
    longest = max(map(len, ids))
    padded = torch.tensor([one + [0] * (longest - len(one)) for one in ids])
    return padded, torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in ids])


@torch.no_grad()
def pooled(model: MiniLM, ids: list[list[int]], batch: int = 128) -> Tensor:
    """(texts, 384 times the levels), in the order of `ids`."""
    order = sorted(range(len(ids)), key=lambda number: len(ids[number]))
    vectors = torch.zeros(len(ids), WIDTH * len(LEVELS))
    for begin in range(0, len(order), batch):
        some = order[begin : begin + batch]
        vectors[some] = model(*batch_of([ids[number] for number in some]))
    return vectors

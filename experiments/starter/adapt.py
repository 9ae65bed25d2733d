"""The teacher's image tower at a smaller size, trained end to end towards the teacher, and coded on the way.

    python experiments/starter/adapt.py WORK

Block after block becomes codes (codes.py) while training goes on, so that the blocks above learn to read what the coded
ones below still say. From then on a block's books, row scales, biases and norms are what is trained in it. WORK holds
crops, the teacher's vectors of them and texts.npz (crops.py, teach.py, texts.py); `tower.pt` is written there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from codes import CodedLinear
from teach import Crops, read_crops
from text_tower import target_vectors
from torch import Tensor, nn
from tower import WIDTH, Block, Vit, normalised, quick_gelu, teacher

SIZE = 128  # px
STEPS, BATCH, WARM = 1_100, 32, 30
FIRST, EACH = 120, 48  # the step at which the first block is coded, and the steps from one to the next
RATES = {"dense": 1e-5, "vectors": 2e-5, "codes": 1e-3}
ORDER = 0.3  # weight of ranking the texts as the teacher does
OF_QK, OF_VALUES, OF_MLP = 3, 2, 3  # weights a code: what attends tolerates most
CALIBRATION = 256  # crops
FIRST_TOKEN = 6.0  # its weight among 65 when a matrix is coded: the vector is read from it alone


def main() -> None:
    work = Path(sys.argv[1])
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    crops = read_crops(work, SIZE)
    tower = adapted(teacher(work / "teacher.onnx", SIZE), crops, target_vectors(work), random)
    torch.save(tower, work / "tower.pt")


def adapted(tower: Vit, crops: Crops, texts: Tensor, random: np.random.Generator) -> Vit:
    """`texts` (n, 512): vectors whose ranking of each crop is to stay the teacher's."""
    groups = {"dense": [p for name, p in tower.named_parameters() if _is_matrix(name, p)]}
    groups["vectors"] = [p for name, p in tower.named_parameters() if not _is_matrix(name, p)]
    optimiser = torch.optim.AdamW(
        [{"params": group, "lr": 0.0, "name": name, "weight_decay": 0.0} for name, group in groups.items()], fused=True
    )
    mean = torch.from_numpy(crops.vectors.astype(np.float32).mean(0))
    calibration = normalised(crops.pictures[np.sort(random.permutation(len(crops.pictures))[:CALIBRATION])])
    batches, began = _batches(crops, random), time.monotonic()
    for step in range(STEPS):
        number, rest = divmod(step - FIRST, EACH)
        if rest == 0 and 0 <= number < len(tower.blocks):
            code(tower, number, calibration, optimiser)
        warmth = min(1.0, (step + 1) / WARM) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * step / STEPS)))
        for group in optimiser.param_groups:
            group["lr"] = RATES[group["name"]] * warmth
        pictures, wanted = next(batches)
        with torch.autocast("cpu", torch.bfloat16):
            found = tower(pictures)
        found = F.normalize(found.float(), dim=1)
        centred = F.cosine_similarity(found - mean, wanted - mean)
        order = F.kl_div(
            F.log_softmax(100 * found @ texts.T, 1),
            F.log_softmax(100 * wanted @ texts.T, 1),
            log_target=True,
            reduction="batchmean",
        )
        loss = 2 * (1 - (found * wanted).sum(1)).mean() + (1 - centred).mean() + ORDER * order
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], 1.0)
        optimiser.step()
        if step % 10 == 9:
            print(f"{step + 1}: centred cosine {centred.mean():.3f}, {time.monotonic() - began:.0f} s", flush=True)
    return tower.eval()


def _is_matrix(name: str, parameter: Tensor) -> bool:
    return parameter.ndim >= 2 and name not in ("first", "places")


def _batches(crops: Crops, random: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        order = random.permutation(len(crops.pictures))
        for begin in range(0, len(order) - BATCH + 1, BATCH):
            some = order[begin : begin + BATCH]
            yield normalised(crops.pictures[some]), torch.from_numpy(crops.vectors[some].astype(np.float32))


@torch.no_grad()
def code(tower: Vit, number: int, pictures: Tensor, optimiser: torch.optim.Optimizer) -> None:
    """The block's matrices become codes, each fitted to what the coded parts before it give it."""
    block = tower.blocks[number]
    assert isinstance(block, Block)
    with torch.autocast("cpu", torch.bfloat16):
        parts = [tower.embedded(part) for part in pictures.split(64)]
        for below in list(tower.blocks)[:number]:
            parts = [below(part) for part in parts]
    x = torch.cat(parts).float()
    share = torch.ones(x.shape[1])
    share[0] = FIRST_TOKEN
    share = share.repeat(len(x))[:, None]

    def replace(name: str, inputs: Tensor, d: int) -> None:
        flat = inputs.reshape(-1, inputs.shape[-1])
        linear = getattr(block, name)
        made = CodedLinear(linear, (flat * share).T @ flat / len(flat), d)
        setattr(block, name, made)
        _forget(optimiser, linear.weight, linear.bias)
        _follow(optimiser, "codes", made.book, made.gain)
        _follow(optimiser, "vectors", made.bias)

    _smooth(block.norm1, [block.qk, block.v], block.norm1(x))
    normed = block.norm1(x)
    replace("qk", normed, OF_QK)
    replace("v", normed, OF_VALUES)
    attended = torch.cat([block.attended(part) for part in normed.split(64)])
    replace("out", attended, OF_VALUES)
    x = x + block.out(attended)
    _smooth(block.norm2, [block.up], block.norm2(x))
    replace("up", block.norm2(x), OF_MLP)
    replace("down", quick_gelu(block.up(block.norm2(x))), OF_MLP)


def _smooth(norm: nn.LayerNorm, linears: list[nn.Linear], inputs: Tensor) -> None:
    """Moves scale from a layer's inputs into its weights, so that one int8 scale fits them all (SmoothQuant, 2022)."""
    largest = inputs.reshape(-1, WIDTH).abs().amax(0).clamp(min=1e-4)
    weight = torch.cat([linear.weight for linear in linears]).abs().amax(0).clamp(min=1e-5)
    factor = (largest / weight).sqrt()
    factor = (factor / factor.log().mean().exp()).clamp(0.2, 5.0)
    norm.weight.data /= factor
    norm.bias.data /= factor
    for linear in linears:
        linear.weight.data *= factor


def _forget(optimiser: torch.optim.Optimizer, *parameters: Tensor) -> None:
    gone = set(map(id, parameters))
    for group in optimiser.param_groups:
        group["params"] = [one for one in group["params"] if id(one) not in gone]
    for parameter in parameters:
        optimiser.state.pop(parameter, None)


def _follow(optimiser: torch.optim.Optimizer, name: str, *parameters: nn.Parameter) -> None:
    for group in optimiser.param_groups:
        if group["name"] == name:
            group["params"].extend(parameters)
            return
    optimiser.add_param_group({"params": list(parameters), "lr": 0.0, "name": name, "weight_decay": 0.0})


if __name__ == "__main__":
    main()

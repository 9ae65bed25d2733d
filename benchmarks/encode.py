"""How fast the towers of full-size CLIP models run here, every way there is, beside PyTorch and clip.cpp.

    python benchmarks/peers/full_size.py MADE --photos ../shared/data/photos        once: the models (random weights)
    python benchmarks/encode.py MADE [--only PART ...] [--rounds 5] [--threads 2] [--json]

Parts, all of them if none is named; about 8 minutes on 2 cores:
    images   ViT-B/32, pictures a second: PyTorch, each runtime and arithmetic, int8, and what `auto` chose; clip.cpp
    texts    the same for one short text (7 tokens) and one of 77; 200 labels, sorted or padded to the context
    sweep    batches of 1 to 64: pictures a second, ms a batch, memory
    models   RN50, ViT-B/32, ViT-B/16, ViT-L/14: size, work, pictures a second, ms a text, memory
    choice   ViT-B/32 in fp32 only: does `auto` name the fastest way, in 9 of 10 first uses?

Every way is a process of its own with the same threads (encoder_process.py), asked in turns, round by round; of each
turn the fastest call counts, and a ratio is the median over the rounds of what both did in one round.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from encoder_process import picture
from PIL import Image

from clipsearch.engine.cards import read_card
from clipsearch.engine.choosing.choice import chosen, measured_ways
from clipsearch.types import MeasuredWay

HERE = Path(__file__).parent
MODEL = "vit-b-32"
MODELS = ("rn50", "vit-b-32", "vit-b-16", "vit-l-14")
BATCHES = (1, 4, 16)  # of which each way is given its best
SWEEP = (1, 2, 4, 8, 16, 32, 64)
MOST_USES = 5  # of a model, until auto has measured all its ways
CHOICES = 10
TURN_S = 1.0
SHORT = "a photo of a dog"  # 7 tokens
LONG = " ".join(["dog"] * 75)  # 77
TARGETS = {
    "auto : PyTorch fp32": 3.3,
    "auto : ONNX Runtime fp32": 3.3,
    "auto : clip.cpp f16": 6.0,
    "OpenVINO bf16 : fp32": 1.8,
    "text int8 : fp32, 7 tokens": 1.5,
    "text int8 : fp32, 77 tokens": 1.5,
    "7 tokens : 77": 6.0,
}

Row = dict[str, Any]


@dataclass
class Way:
    """A child that runs one tower one way."""

    name: str
    command: list[str]
    more: Row = field(default_factory=dict)  # in every request
    _process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Way:
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()

    def ask(self, **request: object) -> Row:
        assert self._process and self._process.stdin and self._process.stdout and self._process.stderr
        try:
            self._process.stdin.write(json.dumps(request | self.more) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the line that is missing says why
        if not (line := self._process.stdout.readline()):
            raise SystemExit(f"{self.name} ended:\n{self._process.stderr.read()[-2000:]}")
        answer: Row = json.loads(line)
        return answer


@dataclass(frozen=True)
class Made:
    """What full_size.py made, and how many threads everybody gets."""

    folder: Path
    threads: int

    def way(self, name: str, role: str, model: str, variant: str, runtime: str, arithmetic: str = "f32") -> Way:
        spec = {"role": role, "model": str(self.folder / model), "variant": variant, "runtime": runtime}
        spec |= {"device": "cpu", "arithmetic": arithmetic, "threads": self.threads}
        return Way(name, [sys.executable, str(HERE / "encoder_process.py"), json.dumps(spec)])

    def ways(self, role: str) -> dict[str, Way]:
        """Everything that ViT-B/32 can be run with here."""
        model = f"quantised/{MODEL}"
        offered = [
            ("PyTorch fp32", "fp32", "pytorch", "f32"),
            ("ONNX Runtime fp32", "fp32", "onnxruntime", "f32"),
            ("ONNX Runtime int8", "int8-onnxruntime", "onnxruntime", "f32"),
            ("OpenVINO fp32", "fp32", "openvino", "f32"),
            ("OpenVINO bf16", "fp32", "openvino", "bf16"),
            ("OpenVINO int8", "int8-openvino", "openvino", "f32"),
        ]
        usable = [one for one in offered if one[3] == "f32" or offers_bf16()]
        return {name: self.way(name, role, model, variant, *how) for name, variant, *how in usable}

    def measured(self, model: str, most_uses: int) -> tuple[tuple[MeasuredWay, ...], list[float]]:
        """What `auto` finds on its first uses, until it knows all ways, and how long each of them took."""
        times: list[float] = []
        with tempfile.TemporaryDirectory(prefix="clipsearch-encode-") as cache:
            while True:
                started = time.perf_counter()
                found = measured_ways(read_card(self.folder / model), Path(cache))
                times.append(time.perf_counter() - started)
                if len(times) == most_uses or all(one.verdict != "unmeasured" for one in found):
                    return found, times

    def clip_cpp(self, picture_file: Path | None = None) -> Way:
        python = self.folder / "clip.cpp" / "bin" / "python"
        command = [str(python), str(HERE / "peers" / "clip_cpp.py"), str(self.folder / "vit-b-32-f16.gguf")]
        picture_named = {"picture": str(picture_file)} if picture_file else {}
        return Way("clip.cpp f16", command, {"threads": self.threads} | picture_named)


def images(made: Made, rounds: int) -> Iterator[Row]:
    ways = made.ways("image")
    found, times = made.measured(f"quantised/{MODEL}", MOST_USES)
    yield {
        "part": "auto, first use",
        "seconds": round(times[0], 1),
        "target": 20,
        "uses until all is known": len(times),
    }
    for one in found:
        yield {"part": "auto", **{key: value for key, value in asdict(one).items() if key != "fit_for"}}
    best = chosen(found, "ingest")
    if best is None:
        raise SystemExit("auto found nothing that works: is the machine busy?")
    way = best.way
    ways["auto"] = made.way(
        f"auto: {best.name}", "image", f"quantised/{MODEL}", best.variant, way.runtime, way.arithmetic
    )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder) / "picture.png"
        Image.fromarray(picture(224)).save(file)
        ways["clip.cpp f16"] = made.clip_cpp(file)
        batches, vectors = {}, {}
        for name, one in ways.items():
            stack.enter_context(one)
            tried = (1,) if "clip.cpp" in name else (best.batch,) if name == "auto" else BATCHES
            vectors[name] = one.ask(batch=1, seconds=0, vectors=True)["vectors"][0]
            rates = {batch: batch / one.ask(batch=batch, seconds=TURN_S / 2)["fastest_s"] for batch in tried}
            batches[name] = max(rates, key=rates.__getitem__)
        turns: dict[str, list[Row]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, one in ways.items():
                turns[name].append(one.ask(batch=batches[name], seconds=TURN_S))
        rates_of = {name: [batches[name] / turn["fastest_s"] for turn in turns[name]] for name in ways}
        for name in ways:
            yield {
                "part": "images",
                "way": ways[name].name,
                "batch": batches[name],
                "images_per_s": round(median(rates_of[name]), 1),
                "to_pytorch": ratio(rates_of[name], rates_of["PyTorch fp32"]),
                "to_onnxruntime": ratio(rates_of[name], rates_of["ONNX Runtime fp32"]),
                "peak_mb": max(turn["peak_mb"] for turn in turns[name]),
                "cosine": round(cosine(vectors[name], vectors["PyTorch fp32"]), 5),
            }
    for other in ("PyTorch fp32", "ONNX Runtime fp32", "clip.cpp f16"):
        yield target(f"auto : {other}", ratio(rates_of["auto"], rates_of[other]))
    if "OpenVINO bf16" in ways:
        yield target("OpenVINO bf16 : fp32", ratio(rates_of["OpenVINO bf16"], rates_of["OpenVINO fp32"]))


def texts(made: Made, rounds: int) -> Iterator[Row]:
    ways = made.ways("text")
    asked: dict[str, Row] = {
        "7 tokens": {"texts": [SHORT]},
        "the same padded to 77": {"texts": [SHORT], "padded": True},
        "77 tokens": {"texts": [LONG]},
    }
    own, padded, long = asked
    times: dict[str, dict[str, list[float]]] = {}
    moved: dict[str, float] = {}
    with ExitStack() as stack:
        ways["clip.cpp f16"] = made.clip_cpp()
        for name, one in ways.items():
            stack.enter_context(one)
            times[name] = {what: [] for what in asked}
            first = {what: one.ask(**asked[what], seconds=0, vectors=True)["vectors"] for what in asked}
            moved[name] = float(np.abs(np.subtract(first[own], first[padded])).max())
        for _ in range(rounds):
            for name, one in ways.items():
                for what, request in asked.items():
                    times[name][what].append(one.ask(**request, seconds=TURN_S / 3)["fastest_s"])
        for name, of in times.items():
            ms: Row = {what: round(median(of[what]) * 1000, 1) for what in asked}
            pads: Row = {"padded : own": ratio(of[padded], of[own]), "padding moves a number by": f"{moved[name]:.0e}"}
            if name == "clip.cpp f16":  # it has no padding
                ms, pads = ms | {padded: None}, dict.fromkeys(pads)
            yield {"part": "texts, ms", "way": name, **ms, **pads}
        for what in (own, long):
            exact = min(("ONNX Runtime fp32", "OpenVINO fp32"), key=lambda way: median(times[way][what]))
            yield target(f"text int8 : fp32, {what}", ratio(times[exact][what], times["OpenVINO int8"][what]))
        exact = "ONNX Runtime fp32"
        yield target("7 tokens : 77", ratio(times[exact][padded], times[exact][own]))
        labels = [f"a photo of a {'very ' * (number % 12)}old dog {number}" for number in range(200)]
        for name in (exact, "OpenVINO int8"):
            seconds: dict[bool, list[float]] = {False: [], True: []}
            for pads in (False, True) * 3:
                seconds[pads].append(ways[name].ask(texts=labels, padded=pads, seconds=0)["fastest_s"])
            yield {
                "part": "200 labels of 9 to 22 tokens",
                "way": name,
                "s": round(median(seconds[False]), 2),
                "s, padded to 77": round(median(seconds[True]), 2),
                "padded : own": ratio(seconds[True], seconds[False]),
            }


def sweep(made: Made, rounds: int) -> Iterator[Row]:
    names = ("PyTorch fp32", "ONNX Runtime fp32", "OpenVINO fp32", "OpenVINO int8")
    with ExitStack() as stack:
        ways = {name: stack.enter_context(one) for name, one in made.ways("image").items() if name in names}
        for batch in SWEEP:
            turns: dict[str, list[Row]] = {name: [] for name in ways}
            for one in ways.values():
                one.ask(batch=batch, seconds=0)  # a new shape is planned
            for _ in range(min(rounds, 3)):
                for name, one in ways.items():
                    turns[name].append(one.ask(batch=batch, seconds=TURN_S / 3))
            for name in ways:
                seconds = min(turn["fastest_s"] for turn in turns[name])
                yield {
                    "part": "sweep",
                    "batch": batch,
                    "way": name,
                    "images_per_s": round(batch / seconds, 1),
                    "ms_per_batch": round(seconds * 1000, 1),
                    "peak_mb": max(turn["peak_mb"] for turn in turns[name]),
                }


def models(made: Made, rounds: int) -> Iterator[Row]:
    facts = json.loads((made.folder / "facts.json").read_text())
    arithmetics = ("f32", "bf16") if offers_bf16() else ("f32",)
    for model in MODELS:
        rates, ms, peak = {}, {}, 0
        for arithmetic in arithmetics:
            with made.way(model, "image", f"models/{model}", "fp32", "openvino", arithmetic) as image:
                answers = [image.ask(batch=8, seconds=seconds) for seconds in (0, TURN_S, TURN_S)]
            rates[arithmetic] = 8 / min(one["fastest_s"] for one in answers[1:])
            peak = max(peak, *(one["peak_mb"] for one in answers[1:]))
            with made.way(model, "text", f"models/{model}", "fp32", "openvino", arithmetic) as text:
                ms[arithmetic] = min(text.ask(texts=[SHORT], seconds=TURN_S)["fastest_s"] for _ in range(2)) * 1000
        files = sum(path.stat().st_size for path in (made.folder / "models" / model).glob("*.onnx")) / 1e6
        yield {
            "part": "models",
            "model": model,
            **facts[model],
            "file_mb": round(files),
            "image_peak_mb": peak,
            **{f"images_per_s_{one}": round(rates[one], 1) for one in arithmetics},
            **{f"ms_a_text_{one}": round(ms[one], 1) for one in arithmetics},
        }


def choice(made: Made, rounds: int) -> Iterator[Row]:
    """Ten first uses, and what is fastest: what comes within 3 % of it is the fastest too, for nobody can tell."""
    ways = {name: one for name, one in made.ways("image").items() if "fp32" in name or "bf16" in name}
    del ways["PyTorch fp32"]
    named = {
        ("onnxruntime", "f32"): "ONNX Runtime fp32",
        ("openvino", "f32"): "OpenVINO fp32",
        ("openvino", "bf16"): "OpenVINO bf16",
    }
    runs = []
    for _ in range(CHOICES):
        found, times = made.measured(f"models/{MODEL}", 1)
        best = chosen(found, "ingest")
        runs.append((named.get((best.way.runtime, best.way.arithmetic)) if best else None, times[0]))
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with ExitStack() as stack:
        for one in ways.values():
            stack.enter_context(one).ask(batch=16, seconds=0)
        for _ in range(rounds):
            for name, one in ways.items():
                rates[name].append(16 / one.ask(batch=16, seconds=TURN_S)["fastest_s"])
    fastest = max(rates, key=lambda name: median(rates[name]))
    right = [name for name in rates if median(rates[name]) >= 0.97 * median(rates[fastest])]
    yield {
        "part": "choice",
        "fastest": fastest,
        "chosen": [name for name, _ in runs],
        "images_per_s": {name: round(median(rate), 1) for name, rate in rates.items()},
        "right": sum(name in right for name, _ in runs),
        "target": 9,
        "slowest_first_use_s": round(max(seconds for _, seconds in runs), 1),
    }


PARTS = {"images": images, "texts": texts, "sweep": sweep, "models": models, "choice": choice}


def ratio(some: Sequence[float], others: Sequence[float]) -> float:
    return round(median(one / other for one, other in zip(some, others, strict=True)), 2)


def target(name: str, value: float) -> Row:
    return {"part": "targets", "what": name, "ratio": value, "target": TARGETS[name], "met": value >= TARGETS[name]}


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    left, right = np.array(one), np.array(other)
    return float(left @ right / (np.linalg.norm(left) * np.linalg.norm(right)))


def offers_bf16() -> bool:
    flags = Path("/proc/cpuinfo").read_text()
    return "avx512_bf16" in flags or "amx_bf16" in flags


# -- saying it ------------------------------------------------------------------------------------


def tables(rows: Iterator[Row]) -> None:
    """A table each time the part, or what its rows say, is another one; a row as soon as it is known."""
    head: list[str] = []
    for row in rows:
        keys = [key for key in row if key != "part"]
        if [row["part"], *keys] != head:
            head = [row["part"], *keys]
            print(f"\n{row['part']}\n\n| " + " | ".join(keys) + " |\n|" + " --- |" * len(keys))
        print("| " + " | ".join(said(row[key]) for key in keys) + " |", flush=True)


def said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else "" if value is None else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("made", type=Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="a JSON line for each row")
    asked = parser.parse_args()
    made = Made(asked.made.absolute(), asked.threads)
    rows = (row for part in asked.only for row in PARTS[part](made, asked.rounds))
    if asked.json:
        for row in rows:
            print(json.dumps(row), flush=True)
    else:
        tables(rows)


if __name__ == "__main__":
    main()

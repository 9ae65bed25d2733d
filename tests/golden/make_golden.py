"""Makes the golden data in this folder by running upstream code, never a re-implementation of it.

Upstream means: `open_clip/tokenizer.py` and `open_clip/transform.py` of OpenCLIP and the pure-Python
`transforms` package of torchvision (its PIL path). Both are unpacked from their wheels. Neither package
is imported as a whole: open_clip would need all of torchvision, and torchvision its compiled library,
so the two `__init__` files are replaced by empty packages; every line that computes something is theirs.

    pip install torch==2.13.0 ftfy==6.3.1 regex numpy pillow==13.0.0 tokenizers==0.23.3
    pip download --no-deps --only-binary :all: --dest WHEELS torchvision==0.29.2 open-clip-torch==3.3.0
    python make_golden.py --wheels WHEELS [--photos FOLDER]

`--photos` is the folder with the CC0 photographs named in PICTURES; without it the pictures already in
`crops/` are used. See README.md for what each file means.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import sys
import tempfile
import types
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

HERE = Path(__file__).resolve().parent


# ---------------------------------------------------------------- upstream


class Upstream(NamedTuple):
    """The reference code, imported from the unpacked wheels."""

    tokenizer: Any  # module open_clip.tokenizer
    transform: Any  # module open_clip.transform


def load_upstream(wheels: Path, unpack_to: Path) -> Upstream:
    """Unpack the two wheels and import the reference modules without running either `__init__`."""
    for pattern in ("torchvision-*.whl", "open_clip_torch-*.whl"):
        found = sorted(wheels.glob(pattern))
        if len(found) != 1:
            raise SystemExit(f"{wheels}: need exactly one {pattern}, found {len(found)}")
        with zipfile.ZipFile(found[0]) as wheel:
            members = [n for n in wheel.namelist() if n.endswith((".py", ".txt.gz"))]
            wheel.extractall(unpack_to, members)
    for name in ("torchvision", "open_clip"):
        package = types.ModuleType(name)
        package.__path__ = [str(unpack_to / name)]
        sys.modules[name] = package
    # open_clip.utils imports one class from the compiled half of torchvision; no transform uses it.
    misc = types.ModuleType("torchvision.ops.misc")
    misc.FrozenBatchNorm2d = type("FrozenBatchNorm2d", (), {})  # type: ignore[attr-defined]
    sys.modules["torchvision.ops"] = types.ModuleType("torchvision.ops")
    sys.modules["torchvision.ops.misc"] = misc
    return Upstream(importlib.import_module("open_clip.tokenizer"), importlib.import_module("open_clip.transform"))


# ---------------------------------------------------------------- CLIP tokens

# Written with escapes wherever an editor could normalise, merge or hide a character. No literal special
# tokens here: the reference turns a typed one into its id, and clipsearch deliberately does not.
CLIP_TEXTS: dict[str, str] = {
    "empty": "",
    "only spaces": "   \t \n ",
    "plain": "a photo of a cat",
    "upper case": "A Photo Of The EIFFEL TOWER",
    "contraction s": "it's raining",
    "contractions": "they'll say I'm sure we've said you'd go and they're late",
    "contraction upper": "DON'T YOU'RE WE'LL",
    "apostrophe not a contraction": "rock 'n' roll 'tis the dogs' toys 'street",
    "curly apostrophe": "it\u2019s the dog\u2019s ball, don\u2019t",
    "curly quotes": "\u201ca sign\u201d saying \u2018stop\u2019 \u201elow\u201c \u00abguillemets\u00bb",
    "accents composed": "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \u00fcber S\u00e3o Paulo \u0141\u00f3d",
    "accents combining": "cafe\u0301 nai\u0308ve A\u030angstro\u0308m",
    "combining without composed form": "x\u0301 q\u0303\u0323",
    "german sharp s": "stra\u00dfe STRASSE \u1e9e",
    "turkish i": "\u0130stanbul \u0131\u015f\u0131k DIYARBAKIR",
    "chinese": "\u4e00\u53ea\u732b\u5750\u5728\u6c99\u53d1\u4e0a",
    "japanese": "\u6771\u4eac\u30bf\u30ef\u30fc\u306e\u5199\u771f\u3002",
    "hangul": "\ud55c\uad6d\uc5b4 \uc0ac\uc9c4",
    "hangul jamo": "\u1112\u1161\u11ab\u1100\u116e\u11a8",
    "thai": "\u0e41\u0e21\u0e27\u0e19\u0e31\u0e48\u0e07\u0e1a\u0e19\u0e17\u0e35\u0e48\u0e19\u0e2d\u0e19",
    "devanagari": "\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902",
    "arabic": "\u0642\u0637\u0629 \u0639\u0644\u0649 \u0627\u0644\u0623\u0631\u064a\u0643\u0629",
    "hebrew with points": "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
    "cyrillic": "\u041a\u043e\u0442 \u043d\u0430 \u043a\u0440\u044b\u0448\u0435",
    "greek final sigma": "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 \u039f\u0394\u039f\u03a3 \u03a3",
    "emoji": "sunset \U0001f305 and \u2764\ufe0f",
    "emoji zwj": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family",
    "emoji zwj with skin tone": "\U0001f469\U0001f3fd\u200d\U0001f680",
    "emoji flags": "\U0001f1e9\U0001f1ea\U0001f1ef\U0001f1f5",
    "emoji flag of tags": "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "keycap": "press 1\ufe0f\u20e3 now",
    "digits": "iso 6400 f/2.8 1/250s 2024-06-01 12:34",
    "digits other scripts": "\u0661\u0662\u0663 \u0967\u0968 \u00bd \u2167 \u00b2",
    "letters and digits": "covid19 b2b mp3player 4x4",
    "punctuation runs": "wow!!! really?!... (yes) --- $$$ #tag @me :-) ;;",
    "underscore": "IMG_1234_final.jpg snake_case __init__",
    "entity amp": "salt &amp; pepper",
    "entity lt gt": "&lt;b&gt;bold&lt;/b&gt; &quot;x&quot; &#39;y&#39;",
    "entity doubled": "fish &amp;amp; chips &amp;lt; 3",
    "entity beside real tag": "<b>fish &amp; chips</b> &eacute;&nbsp;end",
    "entity broken": "AT&T R&D &notanentity; &#xZZ; 5 &lt 6",
    "mojibake": "caf\u00c3\u00a9 na\u00c3\u00afve it\u00e2\u20ac\u2122s",
    "full width": "\uff34\uff4f\uff4b\uff59\uff4f\u3000\uff11\uff12\uff13\uff01",
    "half width katakana": "\uff76\uff92\uff97",
    "ligatures": "\ufb01sh \ufb02ower o\ufb03ce \u0133sland",
    "digraph letters": "\u01c4 \u01c5 \u01c6 \u0132",
    "nbsp": "two\u00a0words\u202fand\u2009thin",
    "zero width": "zero\u200bwidth\u200cjoin\u200der \ufeffbom soft\u00adhyphen",
    "direction marks": "\u200eleft\u200f \u202bright\u202c",
    "tabs and newlines": "\ttabs\tand\r\nnew\nlines\u2028sep\u0085nel \x0b\x0c ",
    "control characters": "bell\x07 null\x00 esc\x1b[31mred\x1b[0m del\x7f",
    "math and symbols": "\U0001d4d0\U0001d4d1 \u2211 \u221e \u20ac5 \u00a3 \u2122 \u00b0C \u03bcm",
    "private use and unassigned": "\ue000 \U000e0fff \ufffd",
    "long word": "pneumonoultramicroscopicsilicovolcanoconiosis",
    "very long word": "donaudampfschifffahrtsgesellschaft" * 8,
    "exactly 75 tokens": " ".join(["cat"] * 75),
    "76 tokens": " ".join(["cat"] * 76),
    "over 77 tokens": "a photo of a dog and a cat on the beach at sunset, " * 12,
    "over 77 tokens, cut inside a letter": "\u6f22\u5b57\U0001f98a" * 30,
}


def make_clip_tokens(upstream: Upstream) -> None:
    """`clip_tokens.json`: ids up to and including end-of-text, from SimpleTokenizer at context 77."""
    tokenizer = upstream.tokenizer.SimpleTokenizer()
    context = tokenizer.context_length
    lines: list[str] = []
    for name, text in CLIP_TEXTS.items():
        row = [int(i) for i in tokenizer([text])[0]]
        end = row.index(tokenizer.eot_token_id)
        assert row[0] == tokenizer.sot_token_id and not any(row[end + 1 :])
        truncated = len(tokenizer.encode(text)) + 2 > context
        case = {"name": name, "text": text, "ids": row[: end + 1], "truncated": truncated}
        lines.append(json.dumps(case))  # ASCII only: nothing in the file can be normalised by a tool
    head = f'{{"tokenizer": "open-clip-torch 3.3.0 SimpleTokenizer", "context": {context}, "cases": [\n'
    (HERE / "clip_tokens.json").write_text(head + ",\n".join(lines) + "\n]}\n", encoding="ascii")


# ---------------------------------------------------------------- crops


class Picture(NamedTuple):
    """A small source picture: the photograph, the box cut from it (fractions), the final size."""

    photo: str
    box: tuple[float, float, float, float]
    size: tuple[int, int]
    crops: tuple[int, ...]


# Sizes are chosen for their gaps: (long side after resize) - crop. A gap of 4k+3 gives another offset
# with round() than with floor division, 4k+1 the same one. Smooth motifs keep the files small.
PICTURES: dict[str, Picture] = {
    "landscape_225x150": Picture("saturnian-profile.jpg", (0.2, 0, 0.8, 1), (225, 150), (64,)),
    "landscape_231x160": Picture("extreme-desert-hike.jpg", (0, 0, 1, 1), (231, 160), (64, 224)),
    "landscape_640x427": Picture("piazza-gae-aulenti.jpg", (0, 0, 1, 1), (640, 427), (64, 224)),
    "tall_120x337": Picture("canyon-wren.jpg", (0.35, 0, 0.55, 1), (120, 337), (64,)),
    "wide_301x97": Picture("lake-sherburne.jpg", (0, 0.2, 1, 0.77), (301, 97), (64,)),
    "small_97x61": Picture("oakland-zoo-otters.jpg", (0.1, 0, 0.95, 0.95), (97, 61), (64,)),
    "exact_95x64": Picture("roman-colosseum.jpg", (0, 0, 0.83, 1), (95, 64), (64,)),
}

# The arguments open_clip.transform.image_transform gets for each family (its own preprocess_cfg names).
FAMILIES: dict[str, dict[str, str]] = {
    "clip": {"interpolation": "bicubic", "resize_mode": "shortest"},
    "siglip": {"interpolation": "bicubic", "resize_mode": "squash"},
    "mobileclip": {"interpolation": "bilinear", "resize_mode": "shortest"},
}


def make_pictures(photos: Path) -> None:
    """The lossless source pictures in `crops/`, cut and shrunk from the photographs."""
    for stem, picture in PICTURES.items():
        with Image.open(photos / picture.photo) as photo:
            left, top, right, bottom = picture.box
            width, height = photo.size
            box = (left * width, top * height, right * width, bottom * height)
            small = photo.convert("RGB").resize(picture.size, Image.Resampling.LANCZOS, box=box)
        small.save(HERE / "crops" / f"{stem}.png", optimize=True)


def reference_crop(upstream: Upstream, image: Image.Image, family: str, size: int) -> np.ndarray:
    """The uint8 HWC picture just before ToTensor and Normalize of OpenCLIP's evaluation transform."""
    pipeline = upstream.transform.image_transform(size, is_train=False, **FAMILIES[family])
    *geometry, to_tensor, normalise = pipeline.transforms
    assert (type(to_tensor).__name__, type(normalise).__name__) == ("MaybeToTensor", "Normalize")
    for step in geometry:
        image = step(image)
    pixels = np.asarray(image)
    assert pixels.shape == (size, size, 3) and pixels.dtype == np.uint8
    return pixels


def make_crops(upstream: Upstream) -> None:
    """`crops.npz`: one array per family, size and picture, keyed `{family}_{size}_{picture stem}`."""
    arrays: dict[str, np.ndarray] = {}
    for stem, picture in PICTURES.items():
        with Image.open(HERE / "crops" / f"{stem}.png") as opened:
            image = opened.convert("RGB")
        assert image.size == picture.size
        for size in picture.crops:
            for family in FAMILIES:
                arrays[f"{family}_{size}_{stem}"] = reference_crop(upstream, image, family, size)
    np.savez_compressed(HERE / "crops.npz", allow_pickle=False, **arrays)


# ---------------------------------------------------------------- tiny tokenizers

CONTEXT = 64  # of SigLIP and SigLIP2

HOST_TEXTS: tuple[str, ...] = (
    "",
    "a dog on the beach",
    "A Photo of a RED bicycle!",
    "snow_covered mountains, at sunset...",
    "it's two cats' garden",
    "caf\u00e9 \U0001f98a \u732b",
    "  spaces \t and\nlines  ",
    "a child reading a book under an old tree " * 20,
)


# The words of the made-up captions.
THINGS = """
    dog cat bird horse child woman man boat train bicycle car bridge house church tower tree flower garden
    mountain river lake beach forest street market kitchen table book cake cup lamp window mirror clock
    violin guitar umbrella elephant giraffe penguin butterfly aeroplane lighthouse waterfall skyscraper
    restaurant library motorcycle rainbow strawberry sandwich breakfast computer telephone photograph
    newspaper fireplace staircase playground snowman
"""
LOOKS = """
    red blue green yellow old new small large wooden golden empty crowded quiet bright dark wet snowy
    beautiful broken ancient modern colourful transparent reflecting painted sleepy hungry
"""
DEEDS = "standing sitting sleeping running waiting playing shining resting hiding floating reading looking"
PLACES = "on under near behind beside above inside outside against towards"
TIMES = ("at sunset", "at night", "in winter", "in summer", "in the rain", "in the morning", "after a storm")
STARTS = ("a photo of a", "two people and a", "my", "the", "there is a", "a close view of the")


def english_lines() -> list[str]:
    """A few hundred made-up captions, the same on every run."""
    rng = random.Random(20240601)
    things, looks, deeds, places = (words.split() for words in (THINGS, LOOKS, DEEDS, PLACES))
    choices = (STARTS, looks, things, deeds, places, ("the",), looks, things, TIMES)
    return [" ".join(rng.choice(options) for options in choices) for _ in range(600)]


def siglip_like(lines: Iterable[str]) -> Tokenizer:
    """A unigram model built as SigLIP's: `<pad>` 0, `</s>` 1, `<unk>` 2, metaspace, `</s>` appended."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="\u2581", prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    # The trainer's sums differ in the last bits from run to run; rounded scores make the file reproducible.
    state = json.loads(tokenizer.to_str())
    state["model"]["vocab"] = [(piece, round(score, 4)) for piece, score in state["model"]["vocab"]]
    return Tokenizer.from_str(json.dumps(state))


def gemma_like(lines: Iterable[str]) -> Tokenizer:
    """A BPE model built as Gemma's: `<pad>` 0, `<eos>` 1, `<bos>` 2, `<unk>` 3, 256 byte tokens, merges."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>"]
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.normalizer = normalizers.Replace(" ", "\u2581")
    trained.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    trained.train_from_iterator(
        lines, trainers.BpeTrainer(vocab_size=400, special_tokens=specials, show_progress=False)
    )
    # The trainer knows no byte fallback: put the byte tokens between the specials and the learnt pieces.
    model = json.loads(trained.to_str())["model"]
    learnt = sorted(model["vocab"], key=model["vocab"].__getitem__)[len(specials) :]
    pieces = specials + [f"<0x{byte:02X}>" for byte in range(256)] + learnt
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate(pieces)},
            merges=[(left, right) for left, right in model["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return tokenizer


class Tiny(NamedTuple):
    """One tiny tokenizer: how it is trained and which token the model pads with."""

    train: Callable[[Iterable[str]], Tokenizer]
    pad_token: str
    end_token: str


TINY: dict[str, Tiny] = {
    "siglip": Tiny(siglip_like, "</s>", "</s>"),  # SigLIP pads with its end token, id 1, not with <pad>
    "siglip2": Tiny(gemma_like, "<pad>", "<eos>"),
}


def make_tiny_tokenizers(upstream: Upstream) -> None:
    """`tiny_tokenizers/`: tokenizer files as on the hub, and the ids of HOST_TEXTS at context 64.

    The text is cleaned by OpenCLIP's own `canonicalize` function, as for the SigLIP families; the rest of
    its HFTokenizer is truncation and padding to the context, done here by `tokenizers` itself.
    """
    clean = upstream.tokenizer.get_clean_fn("canonicalize")
    expected: dict[str, list[dict[str, Any]]] = {}
    for name, tiny in TINY.items():
        folder = HERE / "tiny_tokenizers" / name
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer = tiny.train(english_lines())
        tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        config = {
            "eos_token": tiny.end_token,
            "model_max_length": CONTEXT,
            "pad_token": tiny.pad_token,
            "unk_token": "<unk>",
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="ascii")
        pad_id = tokenizer.token_to_id(tiny.pad_token)
        tokenizer.enable_truncation(CONTEXT)
        tokenizer.enable_padding(direction="right", length=CONTEXT, pad_id=pad_id, pad_token=tiny.pad_token)
        expected[name] = []
        for text in HOST_TEXTS:
            ids = tokenizer.encode(clean(text)).ids
            assert len(ids) == CONTEXT
            expected[name].append({"text": text, "cleaned": clean(text), "ids": ids})
    rows = (
        f'"{name}": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]" for name, cases in expected.items()
    )
    text = "{" + ",\n".join(rows) + "}\n"
    (HERE / "tiny_tokenizers" / "expected.json").write_text(text, encoding="ascii")


def main() -> None:
    """Read the arguments and make everything."""
    parser = argparse.ArgumentParser(description="Make the golden test data from upstream code.")
    parser.add_argument("--wheels", type=Path, required=True, help="folder with the two downloaded wheels")
    parser.add_argument("--photos", type=Path, help="folder with the CC0 photographs; default: keep crops/*.png")
    args = parser.parse_args()
    (HERE / "crops").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as unpack_to:
        upstream = load_upstream(args.wheels, Path(unpack_to))
        make_clip_tokens(upstream)
        if args.photos:
            make_pictures(args.photos)
        make_crops(upstream)
        make_tiny_tokenizers(upstream)


if __name__ == "__main__":
    main()

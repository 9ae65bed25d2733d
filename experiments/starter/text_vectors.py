"""The words and class sentences whose vectors in the space of CLIP ViT-B/16 are public.

Reads them from the repositories of text_sources.toml, each in its own layout, and gives them one form: `Row` for a
vector of a name, `ClassMean` for the mean of the vectors of a class's sentences. Must not know how they are taught.
"""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pinned import Pinned

EMBEDDINGS = "configs/_base_/datasets/text_embedding/"
# (set, source, file, list of names in semivl's text_embeddings.py); of vectors that are equal the first is kept.
SEGMENTATION = (
    ("cocostuff_multi", "zegclip", "coco_multi", "COCO_stuff_classes"),
    ("cocostuff_single", "zegclip", "coco_single", "COCO_stuff_classes"),
    ("ade", "semivl", "ade_single", "ADE_classes"),
    ("coco", "semivl", "coco_single", "COCO_classes"),
    ("voc", "semivl", "voc12_wbg_single", "VOC12_wbg_classes"),
    ("cityscapes", "semivl", "cityscapes_single", "Cityscapes_classes"),
    ("voc_concepts", "semivl", "voc12_wbg_concept4_single", "VOC12_wbg_classes_w_concepts4"),
    ("cityscapes_concepts", "semivl", "cityscapes_concept3_single", "Cityscapes_classes_w_concepts3"),
)
NO_WORDS = ("-other", "-stuff")  # endings of COCO-Stuff names that nobody would search for
SAME = 0.999  # cosine from which on two vectors are one

# (data set, its sentences, the data set's name in the lists of CoOp's order or "" where the sentences are in order)
SENTENCES = (
    ("Caltech101", "caltech", ""),
    ("DescribableTextures", "dtd", "dtd"),
    ("EuroSAT", "eurosat", "eurosat"),
    ("FGVCAircraft", "fgvc", "fgvc_aircraft"),
    ("Food101", "food101", ""),
    ("OxfordFlowers", "oxford_flowers", "oxford_flowers"),
    ("OxfordPets", "oxford_pets", "oxford_pets"),
    ("StanfordCars", "stanford_cars", "stanford_cars"),
    ("SUN397", "sun397", "sun397"),
    ("UCF101", "ucf101", "ucf101"),
)
VIDVRD = "datasets/vidvrd_dataset/"

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """One text and the vector that it is to have."""

    text: str
    vector: Vectors
    name: str
    set: str


@dataclass(frozen=True)
class ClassMean:
    """A class, and the mean of the vectors of `sentences`."""

    name: str
    set: str
    sentences: tuple[str, ...]
    vector: Vectors


def segmentation_rows(sources: Mapping[str, Pinned]) -> list[Row]:
    """Names of things and stuff from two repositories of segmentation, no vector twice."""
    lists = _name_lists(sources["semivl"].read("model/text_embeddings.py").decode())
    rows: list[Row] = []
    seen = np.zeros((0, 512), np.float32)
    for kind, source, file, names in SEGMENTATION:
        vectors = _unit(np.load(io.BytesIO(sources[source].read(f"{EMBEDDINGS}{file}.npy")), allow_pickle=False))
        for name, vector in zip(lists[names], vectors, strict=True):
            if name.endswith(NO_WORDS) or (seen @ vector > SAME).any():
                continue
            seen = np.vstack([seen, vector])
            rows.append(Row(f"a photo of a {_plain(name)}", vector, _plain(name), kind))
            if kind == "cocostuff_multi":  # a mean of many prompts stands for the bare word as well
                rows.append(Row(_plain(name), vector, _plain(name), kind))
    return rows


def relation_rows(source: Pinned) -> list[Row]:
    """Relations ("walk past") and things of VidVRD, as bare words."""
    relations = json.loads(source.read(VIDVRD + "VidVRD_pred_class_split_info_v2.json"))["id2cls"]
    things = json.loads(source.read(VIDVRD + "VidVRD_class_split_info.json"))["cls2id"]
    words = _after_background([relations[key] for key in sorted(relations, key=int)])
    rows = _bare(words, _tensor(source.read("predicate_embeddings.pt")))
    words = _after_background(sorted(things, key=lambda word: int(things[word])))
    return rows + _bare(words, _tensor(source.read("object_embeddings.pt")))[1:]  # "background" is there already


def imagenet_rows(vectors: Pinned, names: Pinned) -> list[Row]:
    """OpenAI's names of the ImageNet classes with the means of sentences that are not at hand."""
    cells = json.loads(names.read("notebooks/Prompt_Engineering_for_ImageNet.ipynb"))["cells"]
    codes = ["".join(cell["source"]) for cell in cells]
    lists = _name_lists(next(code for code in codes if code.startswith("imagenet_classes")))
    means = _tensor(vectors.read("cache/ImageNet_clip_weights_random.pt"))
    return [
        Row(f"a photo of a {_plain(name)}", vector, _plain(name), "imagenet")
        for name, vector in zip(lists["imagenet_classes"], means, strict=True)
    ]


def class_means(sources: Mapping[str, Pinned]) -> list[ClassMean]:
    """The classes of ten data sets with all their sentences."""
    classes = []
    for dataset, file, order in SENTENCES:
        sentences = json.loads(sources["sentences"].read(f"gpt_file/{file}_prompt.json"))
        names = _class_order(sources["class_order"], order) if order else list(sentences)
        source = "hicropl_caltech" if dataset == "Caltech101" else "hicropl"
        means = _tensor(sources[source].read(f"cache/{dataset}_clip_weights_random.pt"))
        classes += [
            ClassMean(_plain(name), dataset, tuple(sentences[name]), vector)
            for name, vector in zip(names, means, strict=True)
        ]
    return classes


def class_row(mean: ClassMean) -> Row:
    """The name of a class, taught the mean of its sentences."""
    return Row(f"a photo of a {mean.name}", mean.vector, mean.name, mean.set)


def _class_order(source: Pinned, dataset: str) -> list[str]:
    """Names by CoOp's class number; one photo of each class is listed."""
    names: dict[int, str] = {}

    def visit(part: Any) -> None:
        if isinstance(part, dict) and "classname" in part:
            names[part["label"]] = part["classname"].replace("_", " ")
        elif isinstance(part, dict | list):
            for inner in part.values() if isinstance(part, dict) else part:
                visit(inner)

    visit(json.loads(source.read(f"indices/{dataset}/shot_1-seed_1.json")))
    return [names[label] for label in sorted(names)]


def _name_lists(code: str) -> dict[str, list[str]]:
    """The lists of names that a Python source assigns, lists of lists flattened; nothing of it is run."""
    lists = {}
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.List):
            target = statement.targets[0]
            assert isinstance(target, ast.Name)
            entries = ast.literal_eval(statement.value)
            lists[target.id] = [name for entry in entries for name in (entry if isinstance(entry, list) else [entry])]
    return lists


def _after_background(words: list[str]) -> list[str]:
    return ["background", *(word for word in words if word != "__background__")]


def _bare(words: list[str], vectors: Vectors) -> list[Row]:
    return [
        Row(word.replace("_", " "), vector, _plain(word), "vidvrd") for word, vector in zip(words, vectors, strict=True)
    ]


def _tensor(content: bytes) -> Vectors:
    import torch  # its files hold these vectors

    return _unit(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True).float().numpy())


def _unit(vectors: NDArray[Any]) -> Vectors:
    wide = vectors.astype(np.float32)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), np.float32)


def _plain(name: str) -> str:
    return name.replace("_", " ").strip().lower()

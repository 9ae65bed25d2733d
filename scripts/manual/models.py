"""docs/models.md: the catalogue as a page, and what a model's folder is."""

from __future__ import annotations

from collections.abc import Sequence

from clipsearch.cli.model.words import gflop_text, percent_text
from clipsearch.engine.pulling.catalogue import Entry, catalogue
from manual.markdown import MADE, fenced, table

_HEAD = ("model", "finds", "GFLOP", "ImageNet", "36 languages", "dimensions", "px", "size", "languages", "licence")


def page() -> str:
    ready = [entry for entry in catalogue() if entry.repository]
    others = [entry for entry in catalogue() if not entry.repository]
    return "\n".join(
        [
            f"# Models\n\n{MADE}",
            "A model turns photos and words into vectors; which one decides what is found and what indexing costs. The "
            "starter comes with clipsearch and needs no network. Nothing else is downloaded unasked.\n",
            fenced(
                "clipsearch model list                          # what is here, what there is, finds, costs\n"
                "clipsearch model info siglip2-b-32-256         # all that is known of one\n"
                "clipsearch model pull siglip2-b-32-256         # fetch it: size and licence are shown first\n"
                "clipsearch model verify siglip2-b-32-256       # digests of its files, the towers of each variant\n"
                "clipsearch model use siglip2-b-32-256          # encode all photos with it, then search with it\n"
                "clipsearch model remove siglip2-b-32-256",
                "sh",
            ),
            "While `model use` encodes, searches answer with the model before; they change over at once when the last "
            "photo is encoded. Interrupted, it goes on with the same command.\n",
            "## What there is\n",
            "*finds*: text-to-image R@1 on COCO, percent. *GFLOP*: one photo and one text, `~` computed from "
            "parameters, `–` unknown. *ImageNet*: zero-shot top-1, percent. *36 languages*: text-to-image R@1 on "
            "Crossmodal-3600, percent. *size*: fp32 towers, MB. All numbers are published ones, by the sources named "
            "below; `–` means that none is known here. Sorted by what is found per GFLOP; what costs nobody knows how "
            "much follows.\n",
            table(_HEAD, map(_row, ready)),
            "Every model can be named as its publishers do: `ViT-B-32__laion2b-s34b-b79k` and "
            "`Xenova/clip-vit-base-patch32` are understood, in any case.\n",
            "## To be exported first\n",
            "Nobody is known to publish these as ONNX towers in a layout that clipsearch reads. `clipsearch model pull "
            "FOLDER` takes an export of them.\n",
            table((*_HEAD, "weights"), [(*_row(entry), f"`{entry.weights}`") for entry in others]),
            "## Sources\n",
            "".join(f"- {source}\n" for source in sorted({one.source for one in catalogue() if one.source})),
            "## Licences\n",
            "A model has a licence of its own. *research only* is Apple's Machine Learning Research Model licence: "
            "`model pull` asks before it fetches such a model, and wants `--yes` where nobody can be asked. The "
            "licence of the commit that is fetched counts; its text is kept in the model's folder where the repository "
            "holds it.\n",
            "## Where models come from\n",
            table(
                ("layout", "is recognised by", "examples"),
                [
                    ("clipsearch", "`card.toml`", "any folder with a card"),
                    ("immich", "`visual/model.onnx`, `textual/model.onnx`", "`immich-app/…`"),
                    ("transformers.js", "`onnx/vision_model.onnx`, `onnx/text_model.onnx`", "`Xenova/…`"),
                    ("graphs alone", "the catalogue names them", "`yurijmikhalevich/rclip-models`"),
                ],
            ),
            "A repository of a hub in one of these layouts is pulled by its name, `owner/repository`, a folder of "
            "this machine by its path; `@REVISION` may follow a name. All files are taken from one commit, checked "
            "against the digests that the hub states, and the commit is kept in the card. What has come stays when "
            "the line breaks, and the same command goes on. Both towers are run once before the model counts as "
            "installed: there is never half of one.\n",
            "Preprocessing and tokenizer are read from the settings beside the graphs and compared with what is known "
            "of the model. What a card cannot express, or contradicts the catalogue, is refused with the reason: a "
            "crop that is not the resize, a vocabulary of another size, another padding, GELU where the weights were "
            "trained with QuickGELU.\n",
            "`HF_ENDPOINT` names another hub, `HF_TOKEN` opens private models, `HF_HUB_OFFLINE=1` forbids every "
            "request. The hub is told that clipsearch asks, and nothing of this machine.\n",
        ]
    )


def _row(entry: Entry) -> Sequence[str]:
    return (
        f"`{entry.name}`",
        percent_text(entry.coco),
        gflop_text(entry),
        percent_text(entry.imagenet),
        percent_text(entry.crossmodal),
        f"{entry.dim}{'?' if 'dim' in entry.unconfirmed else ''}",
        str(entry.size),
        f"{entry.megabytes:,.0f}",
        entry.family.languages,
        "research only" if entry.restricted else entry.licence,
    )

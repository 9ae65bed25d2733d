"""Models by their size and shape: what stands in their graphs, beside what was published of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clipsearch.engine.cards import ModelCard, Variant
from clipsearch.engine.census import FLOP_A_MAC, Census, Tower
from clipsearch.engine.pulling.catalogue import Entry, entry_for
from clipsearch.errors import ModelError
from clipsearch.evaluation.published import published_models
from clipsearch.lab.findings import Bars, Cell, Column, Finding, Table

SHORT = 7  # tokens: "a photo of a dog" between the two that mark begin and end


@dataclass(frozen=True, slots=True)
class Files:
    """What a variant takes on the disk; None where a file is not there."""

    variant: str
    image_bytes: int | None
    text_bytes: int | None


@dataclass(frozen=True, slots=True)
class ModelSize:
    model: str
    size: int  # px a side
    context: int  # tokens
    dim: int
    counted: str | None  # the variant whose graphs were counted; None where that could not be done
    image: Census | None  # of one picture
    text: Census | None  # of one text of `context` tokens
    short: Census | None  # of one of SHORT tokens; None for a model that pads every text to its context
    files: tuple[Files, ...]
    published_parameters: float | None  # millions, both towers
    published_gflop: float | None  # one picture and one text of `context` tokens
    obstacles: tuple[str, ...]  # why graphs could not be counted


@dataclass(frozen=True, slots=True)
class ModelSizes:
    models: tuple[ModelSize, ...]


def model_sizes(cards: Sequence[ModelCard]) -> ModelSizes:
    """A model whose graphs cannot be counted is among them, with the reason."""
    return ModelSizes(tuple(map(_model_size, cards)))


def _model_size(card: ModelCard) -> ModelSize:
    variant, towers, obstacles = _counted(card)
    image, text, short = towers
    entry = entry_for(card.folder.name) or entry_for(card.name)
    return ModelSize(
        model=card.name,
        size=card.image.size,
        context=card.text.context,
        dim=card.dim,
        counted=variant,
        image=image,
        text=text,
        short=short,
        files=tuple(_files(card, one) for one in card.variants),
        published_parameters=_published_parameters(entry) if entry else None,
        published_gflop=entry.gflop if entry and not entry.gflop_computed else None,
        obstacles=obstacles,
    )


def _published_parameters(entry: Entry) -> float:
    """Of both towers together, where that is published: the sum of two rounded numbers may be one off."""
    whole = next((one.params for one in published_models() if one.name == entry.name), None)
    return whole if whole is not None else sum(entry.params)


_Towers = tuple[Census | None, Census | None, Census | None]


def _counted(card: ModelCard) -> tuple[str | None, _Towers, tuple[str, ...]]:
    """The first variant whose graphs can be read: all have the products of the reference."""
    obstacles = []
    for variant in card.variants:
        try:
            image = Tower(card.folder / variant.image.file).counted_picture(card.image.size)
            tower = Tower(card.folder / variant.text.file)
            text = tower.counted_text(card.text.context)
        except ModelError as error:
            obstacles.append(error.message)
            continue
        return variant.name, (image, text, _short(tower, card)), ()
    return None, (None, None, None), tuple(obstacles)


def _short(tower: Tower, card: ModelCard) -> Census | None:
    if card.text.padding == "context" or not tower.takes_texts_of(SHORT):
        return None
    return tower.counted_text(SHORT)


def _files(card: ModelCard, variant: Variant) -> Files:
    sizes = []
    for tower in (variant.image, variant.text):
        paths = [card.folder / name for name, _ in tower.files]
        sizes.append(sum(path.stat().st_size for path in paths) if all(path.is_file() for path in paths) else None)
    return Files(variant.name, *sizes)


# -- what it tells --------------------------------------------------------------------------------


def finding(found: ModelSizes) -> Finding:
    sizes = found.models
    notes = [
        "Counted in the graphs: matrix products, convolutions and attention, two operations for a multiplication with "
        "its addition, as the published figures count.",
        "Published: open_clip's docs/openclip_results.csv and others, as clipsearch model info has them, for models "
        "of that name; GFLOP of one photo and one text of full length.",
    ]
    notes += [f"{one.model} could not be counted: {' '.join(one.obstacles)}" for one in sizes if one.obstacles]
    return Finding(
        title="Models",
        says=_says([one for one in sizes if one.image]),
        tables=(
            _parameter_table(sizes),
            _work_table(sizes),
            _image_table(sizes),
            _text_table(sizes),
            _file_table(sizes),
        ),
        plots=(_work(sizes),),
        notes=tuple(notes),
    )


def _says(counted: Sequence[ModelSize]) -> str:
    if not counted:
        return "None of the models could be counted."
    works = sorted((one.image.gflop, one.model) for one in counted if one.image)
    (least, small), (most, large) = works[0], works[-1]
    if len(works) == 1:
        towers = (counted[0].image, counted[0].text)
        return f"{small} takes {least:,.3g} GFLOP a photo and has {_millions(*towers) or 0:,.1f} million parameters."
    ratio = most / least
    return f"A photo takes {least:,.3g} GFLOP with {small} and {most:,.3g} with {large}: {ratio:,.1f} times as many."


def _parameter_table(sizes: Sequence[ModelSize]) -> Table:
    columns = (
        Column("model"),
        *(Column(title, "computed", form=",.1f") for title in ("image", "text", "both")),
        Column("both", "published", form=",.0f"),
    )
    rows = tuple(
        (one.model, _millions(one.image), _millions(one.text), _millions(one.image, one.text), one.published_parameters)
        for one in sizes
    )
    return Table("Parameters, millions", columns, rows)


def _work_table(sizes: Sequence[ModelSize]) -> Table:
    titles = ("photo", "whole text", f"{SHORT} tokens", "both")
    columns = (
        Column("model"),
        *(Column(title, "computed", form=",.2f") for title in titles),
        Column("both", "published", form=",.0f"),
    )
    rows = tuple(
        (
            one.model,
            *(_gflop(work) for work in ((one.image,), (one.text,), (one.short,), (one.image, one.text))),
            one.published_gflop,
        )
        for one in sizes
    )
    return Table("Work, GFLOP", columns, rows)


def _image_table(sizes: Sequence[ModelSize]) -> Table:
    titles = ("px", "patch", "tokens", "width", "attentions", "heads", "vector")
    rows = [
        (
            one.model,
            one.size,
            *(_told(one.image, name) for name in ("patch", "tokens", "width", "attentions", "heads")),
            one.dim,
        )
        for one in sizes
    ]
    return Table("Image towers", (Column("model"), *(Column(title, "computed") for title in titles)), tuple(rows))


def _text_table(sizes: Sequence[ModelSize]) -> Table:
    titles = ("tokens", "vocabulary", "width", "attentions", "heads")
    rows = [
        (one.model, one.context, *(_told(one.text, name) for name in ("vocabulary", "width", "attentions", "heads")))
        for one in sizes
    ]
    return Table("Text towers", (Column("model"), *(Column(title, "computed") for title in titles)), tuple(rows))


def _file_table(sizes: Sequence[ModelSize]) -> Table:
    columns = (
        Column("model"),
        Column("variant"),
        *(Column(title, "measured", "MB", ",.1f") for title in ("image", "text", "both")),
    )
    rows: list[tuple[Cell, ...]] = []
    for one in sizes:
        for files in one.files:
            parts = [None if size is None else size / 1e6 for size in (files.image_bytes, files.text_bytes)]
            image, text = parts
            rows.append(
                (one.model, files.variant, image, text, None if image is None or text is None else image + text)
            )
    return Table("Files", columns, tuple(rows))


def _work(sizes: Sequence[ModelSize]) -> Bars:
    bars = [
        (f"{one.model}, {what}", census.gflop)
        for one in sizes
        for what, census in (
            ("photo", one.image),
            (f"text of {one.context}", one.text),
            (f"text of {SHORT}", one.short),
        )
        if census
    ]
    return Bars(
        "What a photo and a text cost",
        tuple(name for name, _ in bars),
        tuple(value for _, value in bars),
        f"GFLOP ({FLOP_A_MAC} a multiplication)",
    )


def _millions(*parts: Census | None) -> float | None:
    """Parameters of these towers together; None where one is not known."""
    known = [one.parameters / 1e6 for one in parts if one]
    return sum(known) if len(known) == len(parts) else None


def _gflop(parts: Sequence[Census | None]) -> float | None:
    known = [one.gflop for one in parts if one]
    return sum(known) if len(known) == len(parts) else None


def _told(census: Census | None, name: str) -> int | None:
    value: int | None = getattr(census, name) if census else None
    return value or None  # a tower of another kind: not one with 0 attentions

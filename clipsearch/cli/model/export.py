"""`clipsearch model export`: a checkpoint of PyTorch becomes a model here, proven against PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import filled
from clipsearch.cli.options import chosen_paths
from clipsearch.cli.sections import Verb
from clipsearch.cli.signals import noticed_interrupts
from clipsearch.cli.voice import is_quiet
from clipsearch.errors import Exit

if TYPE_CHECKING:  # torch comes with it
    from clipsearch.engine.export.exported import Exported

EPILOG = """\b
SOURCE is a model of OpenCLIP with the name of its weights, the folder of a
checkpoint (OpenCLIP's or transformers'), an OpenAI .pt, a .safetensors, or a
GGUF file of clip.cpp. It needs: pip install 'clipsearch[export]', and for
OpenCLIP's models 'clipsearch[openclip]'.

\b
Examples:
  clipsearch model export ~/Downloads/clip-vit-base-patch32
  clipsearch model export ViT-B-32/laion2b_s34b_b79k --name mine
  clipsearch model export ViT-B-32.pt --out ./vit-b-32 --combined
"""


@click.command("export", cls=Verb, epilog=EPILOG)
@click.argument("source", callback=filled)
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="The folder to make, instead of one in the models'."
)
@click.option("--name", metavar="NAME", help="What the model is called; otherwise as SOURCE is.")
@click.option("--combined", is_flag=True, help="Also one graph of both towers that gives logits, for other programs.")
@click.option(
    "--format", "format_", type=click.Choice(["onnx", "openvino", "torch"]), default="onnx", show_default=True,
    help="ONNX, OpenVINO's IR, or programs of torch.export.",
)  # fmt: skip
@click.option("--opset", type=click.IntRange(18, 23), default=18, show_default=True, help="Of ONNX.")
@click.option(
    "--activation", type=click.Choice(["quickgelu", "gelu"]),
    help="What the weights were trained with, where SOURCE does not say it.",
)  # fmt: skip
@click.pass_context
def export(
    context: click.Context,
    source: str,
    out: Path | None,
    name: str | None,
    combined: bool,
    format_: str,
    opset: int,
    activation: str | None,
) -> int:
    """Make a model of the checkpoint SOURCE: towers, card, tokenizer. Fails unless they compute what PyTorch does."""
    from clipsearch.engine.export import check_installed

    check_installed()
    from clipsearch.engine.export.exported import Exported, Wish, exported

    models = chosen_paths(context, None).models
    wish = Wish(source, out.absolute() if out else None, name, combined, opset, format_, activation)  # type: ignore[arg-type]  # click has checked the format
    try:
        with noticed_interrupts() as received, _reporter() as report:
            for step in exported(wish, models):
                if received:  # while PyTorch was in one of its own callbacks
                    raise KeyboardInterrupt
                if isinstance(step, Exported):
                    done = step
                else:
                    report(step.what)
    except KeyboardInterrupt:
        output.tell("\nStopped. Nothing was exported.")
        return Exit.INTERRUPTED
    _tell(done, out)
    return Exit.DONE


def _tell(done: Exported, out: Path | None) -> None:
    for graph, size in zip(done.graphs, done.sizes, strict=True):
        agreed = [one for one in done.agreements if one.role == graph.role]
        runtimes = ", ".join(one.runtime for one in agreed)
        output.narrate(
            f"{graph.path.name}: {output.size_text(size)}, {graph.nodes:,} nodes, {graph.layer_norms} layer norms; "
            f"cosine with PyTorch {min(one.cosine for one in agreed):.7f} or more, difference "
            f"{max(one.gap for one in agreed):.0e} or less ({runtimes})"
        )
    memory = ""
    if done.peak is not None:
        ratio = done.peak / done.weights
        memory = f", {output.size_text(done.peak)} of memory ({ratio:.1f} times the weights)"
    output.narrate(f"{done.seconds:.0f} s{memory}.")
    where = output.printable(str(out)) if out else done.name
    follow = f"Install it: clipsearch model pull {where}" if out else f"Search with it: clipsearch model use {where}"
    output.narrate(f"{where} is here. {follow}")


@contextmanager
def _reporter() -> Iterator[Callable[[str], None]]:
    if is_quiet():
        yield lambda what: None
    elif sys.stderr.isatty():
        with _live() as report:
            yield report
    else:
        yield lambda what: output.narrate(f"{output.printable(what)} …")


@contextmanager
def _live() -> Iterator[Callable[[str], None]]:
    """One line with the seconds since the beginning: steps take from one to a hundred of them."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, color_system="auto" if output.colored(sys.stderr) else None)
    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.fields[what]}", style="dim", markup=False))
    with Progress(*columns, console=console, transient=True, refresh_per_second=4, redirect_stderr=False) as progress:
        task = progress.add_task("export", total=None, what="starting PyTorch")
        yield lambda what: progress.update(task, what=output.printable(what)[: max(0, console.width - 14)])

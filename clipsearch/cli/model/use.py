"""`clipsearch model use`: `clipsearch index --model NAME` of all that is known, with words about the switch."""

from __future__ import annotations

import click

from clipsearch.cli import index, output
from clipsearch.cli.arguments import filled
from clipsearch.cli.options import answering, backend_option, chosen_paths, library_option
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import model_names
from clipsearch.engine.store import find_model, model_handle
from clipsearch.errors import UsageError


@click.command("use", cls=Verb, epilog="\b\nExamples:\n  clipsearch model use vit-b-32-256-datacomp")
@click.argument("name", callback=filled, shell_complete=model_names)
@backend_option
@library_option
@click.pass_context
def use(context: click.Context, name: str, backend: str, library: str | None) -> int:
    """Search with the model NAME: encodes all photos again, and changes over when all are encoded."""
    from clipsearch.engine.choosing.candidates import default_candidate  # numpy comes with these
    from clipsearch.opened import catalog_path

    paths = chosen_paths(context, library)
    card = find_model(name, paths.models)
    default_candidate(card, backend)  # a model that nothing here can run is refused before a word of it
    handle = model_handle(card, paths.models)
    shown = output.printable(handle)
    if not catalog_path(paths).exists():
        raise UsageError("The library has no photos yet.", f"clipsearch index ~/Photos --model {handle}")
    with answering(context, library) as asked_library:
        before = asked_library.status()
    if before.model == handle:
        output.narrate(f"The library searches with {shown} already; what is new in its folders is read now.")
    else:
        output.narrate(
            f"{before.photos:,} photos are encoded with {shown}; searches answer with "
            f"{output.printable(before.model)} until the last one is."
        )
    code: int = context.invoke(
        index.command, folders=(), listed=None, exclude=(), model=handle, workers=None, progress="auto", strict=False,
        backend=backend, library=library,
    )  # fmt: skip
    if before.model != handle:
        _tell_outcome(context, library, handle, before.model)
    return code


def _tell_outcome(context: click.Context, library: str | None, handle: str, before: str) -> None:
    with answering(context, library) as asked_library:
        now = asked_library.status().model
    if now == handle:
        output.narrate(f"Searches answer with {output.printable(handle)} now.")
    else:
        output.tell(
            f"Searches still answer with {output.printable(before)}: not all photos are encoded yet. "
            "Run the same command to go on."
        )

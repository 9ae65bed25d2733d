"""`clipsearch model verify`: whether a model here is whole and works."""

from __future__ import annotations

import click

from clipsearch.cli import output
from clipsearch.cli.model import layers as pages
from clipsearch.cli.options import backend_option, chosen_paths, threads_of
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import model_names
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.store import find_model, model_handle
from clipsearch.errors import Exit, ModelError, UsageError

EPILOG = """\b
With --layers each result inside of the graphs is compared with the model's
first variant on ONNX Runtime's CPU, optimisations off. It needs the package
onnx. Ends with 4 where a node differs.

\b
Examples:
  clipsearch model verify starter
  clipsearch model verify starter --layers --backend openvino
"""


@click.command("verify", cls=Verb, epilog=EPILOG)
@click.argument("name", default="starter", shell_complete=model_names)
@backend_option
@click.option("--layers", is_flag=True, help="Find the first node that computes something else than it should.")
@click.option("--variant", metavar="NAME", help="With --layers: the variant to compare, as the model's card calls it.")
@click.option("--json", "as_json", is_flag=True, help="With --layers: one JSON array, a row for each tower.")
@click.pass_context
def verify(context: click.Context, name: str, backend: str, layers: bool, variant: str | None, as_json: bool) -> int:
    """Check the model NAME: the digests of its files, both towers, its golden vectors. Ends with 4 where it fails."""
    from clipsearch.cli.notices import noticed
    from clipsearch.engine.verify import checked_files, checked_towers

    context.with_resource(noticed())
    if not layers and (variant or as_json):
        raise UsageError("--variant and --json go with --layers.", f"clipsearch model verify {name} --layers")
    models = chosen_paths(context, None).models
    card = find_model(name, models)
    files = list(checked_files(card))
    if layers:
        return _layers(card, backend, threads_of(context), variant, as_json)
    for what in checked_towers(card, backend, threads_of(context)):
        output.narrate(f"checking: {what}")
    shown = output.printable(model_handle(card, models))
    output.narrate(f"{shown} is whole and works: {len(files)} files, both towers.")
    return Exit.DONE


def _layers(card: ModelCard, backend: str, threads: int, variant: str | None, as_json: bool) -> int:
    from clipsearch.engine.backends import default_way
    from clipsearch.engine.choosing.candidates import Candidate, default_candidate
    from clipsearch.engine.layers import TOWERS, compared_layers

    known = [one.name for one in card.variants]
    if variant is not None and variant not in known:
        raise UsageError(f'{card.name} has no variant "{variant}".', f"Choose one of: {', '.join(known)}")
    if variant is None:
        candidate = default_candidate(card, backend, threads)
    else:
        candidate = Candidate(default_way(backend, threads), variant)
    what = f"{candidate.variant} on {candidate.way.name}"
    reports = []
    for tower in TOWERS:
        output.narrate(f"comparing: {tower} tower")
        reports.append(compared_layers(card, tower, candidate))
        if not as_json:
            pages.show(reports[-1], what)
    if as_json:
        output.write_json(
            [{"variant": candidate.variant, "way": candidate.way.name, **pages.fields(one)} for one in reports]
        )
    for report in reports:
        if report.first is not None:
            raise ModelError(
                f"{card.name}: the {report.tower} tower, {what}, goes astray at the node {report.first.node}.",
                "Take another backend or variant for this model, and report this one.",
            )
        if report.is_fused_wrong:
            raise ModelError(
                f"{card.name}: the {report.tower} tower, {what}, differs (cosine {report.whole:.4f}), though none of "
                "its nodes does when its result is shown: the runtime fuses some of them wrongly.",
                "Take another backend for this model, and report this one.",
            )
    return Exit.DONE

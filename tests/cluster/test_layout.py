"""How many actors fit where: arithmetic, which a wrong sign turns into a cluster that waits for ever."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.cluster.layout import Layout, Machine, layout
from clipsearch.errors import UsageError

MACHINES = st.lists(st.builds(Machine, st.integers(0, 64).map(float), st.integers(0, 8).map(float)), max_size=6)


@pytest.mark.parametrize(
    ("machines", "actors", "gpus", "expected"),
    [
        ([Machine(8, 0)], None, 0, Layout(1, 8, 0)),
        ([Machine(8, 0)], 2, 0, Layout(2, 4, 0)),
        ([Machine(0, 0), Machine(4, 0), Machine(4, 0)], None, 0, Layout(2, 4, 0)),  # the head has no cores
        ([Machine(4, 0), Machine(4, 0)], 3, 0, Layout(3, 2, 0)),
        ([Machine(32, 4)], None, 1, Layout(4, 8, 1)),
        ([Machine(32, 4), Machine(64, 0)], None, 0.5, Layout(8, 4, 0.5)),  # a machine without GPUs is of no use
        ([Machine(16, 1), Machine(4, 0)], 1, 1, Layout(1, 16, 1)),
    ],
)
def test_actors_share_the_cores_evenly(
    machines: list[Machine], actors: int | None, gpus: float, expected: Layout
) -> None:
    assert layout(machines, actors, gpus) == expected


@pytest.mark.parametrize(
    ("machines", "actors", "gpus"), [([], None, 0), ([Machine(2, 0)], 3, 0), ([Machine(2, 0)], None, 1)]
)
def test_what_does_not_fit_is_refused(machines: list[Machine], actors: int | None, gpus: float) -> None:
    """Ray would wait for machines that nobody adds."""
    with pytest.raises(UsageError, match=r"do(es)? not fit"):
        layout(machines, actors, gpus)


@given(MACHINES, st.none() | st.integers(1, 40), st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]))
def test_whatever_is_planned_has_room(machines: list[Machine], actors: int | None, gpus: float) -> None:
    """An actor that no machine can take is never started."""
    try:
        plan = layout(machines, actors, gpus)
    except UsageError:
        return
    room = 0
    for machine in machines:
        most = int(machine.cores // plan.cores)
        room += min(most, math.floor(machine.gpus / gpus)) if gpus else most
    assert 1 <= plan.actors <= room
    assert actors is None or plan.actors == actors

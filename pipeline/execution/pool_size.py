"""How many workers a pool should have: pure arithmetic, no clock and no cluster."""

from __future__ import annotations

from dataclasses import dataclass

START_S = 3.0
"""What a worker's start is taken to cost (s) until one has been seen."""

NODE_S = 60.0
"""Work that must be left for a pool (s) before it asks for machines that are not there."""

LOOK_S = 2.0
"""Time without a finished key (s) after which keys are taken to be long."""

IDLE_S = 10.0
"""A worker with nothing to do for so long makes place for a pool that waits for one."""

STARVED_S = 3.0
"""A pool whose worker waits for a place for so long (s) is given way."""

RELEASE_S = 60.0
"""A worker with nothing to do for so long goes, where more than `min_workers` are there."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a pool has to do, and who is there to do it."""

    ready: bool
    """Whether a key can be handed out now, and nobody is idle."""
    left: int
    """Keys that are not finished in this pool."""
    seconds_per_key: float | None
    waited_s: float
    """Since a worker was first handed something (s)."""
    start_s: float
    """What the start of a worker takes."""
    placed: int
    pending: int
    """Workers that wait for a place."""


def additional(load: Load, first: int, most: int, more: int) -> int:
    """How many workers to start now. `first` is what a pool begins with; `most` and `more` are its room (`crew.Room`).

    A pool doubles: it starts as many as it has, when those it started last have found their places. So a cluster's autoscaler is asked
    for what can be used, within few rounds, and nothing has to be taken back from it.

    >>> busy = Load(ready=True, left=1000, seconds_per_key=10.0, waited_s=60.0, start_s=3.0, placed=4, pending=0)
    >>> additional(busy, 1, 100, 0), additional(busy, 1, 6, 0), additional(busy, 1, 4, 4), additional(busy, 1, 4, 0)
    (4, 2, 4, 0)
    """
    there = load.placed + load.pending
    if there == 0:
        return min(first, max(1, most), load.left)
    if not load.ready or load.pending or load.left <= there:
        return 0
    if load.seconds_per_key is None:
        if load.waited_s < LOOK_S:
            return 0
        time_left = float("inf")
    else:
        time_left = load.left * load.seconds_per_key / there
    if time_left < load.start_s:
        return 0
    room = max(0, most - there) or (more if time_left > NODE_S else 0)
    return min(max(1, load.placed), room, load.left - there)

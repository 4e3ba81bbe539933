"""How long machines take for the work of a plan, and what holds them up.

The line has three phases, one after the other: everything is fetched and decoded, then goes through the models, then is packed. In each
phase the stages run beside each other, so it takes as long as its busiest resource: the hosts that are asked, the cores, the GPUs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from voxmill.pipeline.planning.bootstrap import Array
from voxmill.pipeline.planning.machines import MachineGroup, Speed

Phase = Literal["fetch", "models", "pack"]
Resource = Literal["hosts", "cores", "GPUs"]
PHASES: tuple[Phase, ...] = ("fetch", "models", "pack")


@dataclass(frozen=True, slots=True)
class StageWork:
    """The work of one stage for the whole, once for the estimate and once for every resample."""

    name: str
    phase: Phase
    core_s: Array
    """Seconds for which it holds a core, with the time that it waits."""
    cpu_s: Array
    """CPU seconds."""
    audio_s: Array
    """Seconds of audio that enter it."""
    speeds: Mapping[str, Speed] | None = None
    """By machine: how fast it is on their GPUs. None: it uses no GPU."""


@dataclass(frozen=True, slots=True)
class FleetTime:
    """Hours that stated machines take."""

    busy: Mapping[tuple[Phase, Resource], Array]
    """Hours for which each resource is needed in each phase; the longest of a phase is how long the phase takes."""
    wall: Array | None
    """Hours in all; None: the speed of some stage is not known."""
    gpu_hours: Array | None
    """GPU hours of work; 0 without GPUs."""
    start_hours: float
    """Hours in which no stage works: workers start, models are loaded, tables are written."""
    unknown: tuple[tuple[str, str], ...]
    """Stage and machine of every speed that would be needed and is not known."""

    @property
    def bottleneck(self) -> tuple[Phase, Resource]:
        """The resource that the longest phase waits for."""
        return max(self.busy, key=lambda key: float(self.busy[key][0]))


def fleet_time(
    stages: Sequence[StageWork],
    machines: Sequence[MachineGroup],
    *,
    worker_gb: float,
    hosts_s: float = 0.0,
    start_s: float = 0.0,
    num_units: Array | None = None,
) -> FleetTime:
    """The time that these machines take. A stage with `speeds` runs on GPUs if there are any, else on cores, as it was measured.

    `hosts_s`: seconds for which the slowest host is asked. `start_s`: seconds of a run in which no stage works. `num_units`: pieces in
    which the models' work comes; the last ones are worked on while other cores have nothing left, half a unit long on average.
    """
    workers = sum(machine.workers(worker_gb) for machine in machines)
    with_gpus = [machine for machine in machines if machine.gpus]
    rows = len(stages[0].core_s) if stages else 1
    busy: dict[tuple[Phase, Resource], Array] = {("fetch", "hosts"): np.full(rows, hosts_s / 3600)}
    gpu_stages = [stage for stage in stages if stage.speeds is not None and with_gpus]
    on_cores = [stage for stage in stages if stage.speeds is None or not with_gpus]
    for phase in PHASES:
        mine = [stage.core_s for stage in on_cores if stage.phase == phase]
        busy[phase, "cores"] = np.asarray(sum(mine, np.zeros(rows)) / workers / 3600)
        if phase == "models" and num_units is not None:
            one = busy[phase, "cores"] * workers / np.maximum(num_units, 1.0)
            busy[phase, "cores"] = np.maximum(busy[phase, "cores"] + one / 2 * (1 - 1 / workers), one)
    unknown = tuple(
        (stage.name, machine.name)
        for stage in gpu_stages
        for machine in with_gpus
        if (stage.speeds or {})[machine.name].times is None
    )
    gpu_hours: Array | None = np.zeros(rows)
    if unknown:
        gpu_hours = None
    elif gpu_stages:
        busy["models", "GPUs"], gpu_hours = _on_gpus(gpu_stages, with_gpus)
    wall = None if unknown else np.asarray(_phases(busy) + start_s / 3600)
    return FleetTime(busy, wall, gpu_hours, start_s / 3600, unknown)


def _on_gpus(stages: Sequence[StageWork], machines: Sequence[MachineGroup]) -> tuple[Array, Array]:
    """Hours that all GPUs are busy, and the hours of work. Every GPU takes audio through all of the stages, at its own pace."""
    needed = {  # hours of one GPU of the kind for everything
        machine.name: np.asarray(sum(stage.audio_s / _times(stage, machine) for stage in stages) / 3600) for machine in machines
    }
    pace = sum(machine.count * machine.gpus / np.maximum(needed[machine.name], 1e-12) for machine in machines)
    hours = np.asarray(1 / pace)
    return hours, hours * sum(machine.count * machine.gpus for machine in machines)


def _times(stage: StageWork, machine: MachineGroup) -> float:
    times = (stage.speeds or {})[machine.name].times
    assert times is not None
    return times


def _phases(busy: Mapping[tuple[Phase, Resource], Array]) -> Array:
    total: Array = np.zeros(1)
    for phase in PHASES:
        total = total + np.max([hours for (of, _), hours in busy.items() if of == phase], axis=0)
    return total

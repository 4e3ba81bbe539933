"""What holds a plan's machines up, and what would help, in one line each."""

from __future__ import annotations

from collections.abc import Sequence

from voxmill.pipeline.planning.fleet_time import FleetTime, Phase, Resource
from voxmill.pipeline.planning.machines import MachineGroup
from voxmill.pipeline.planning.politeness import SlowestHost

DOING: dict[Phase, str] = {"fetch": "fetching and decoding", "models": "segmenting, hearing and judging", "pack": "packing"}


def advise(time: FleetTime, machines: Sequence[MachineGroup], host: SlowestHost | None) -> tuple[str, str]:
    """The bottleneck, and what to add."""
    phase, resource = time.bottleneck
    hours = float(time.busy[phase, resource][0])
    if time.unknown:
        return "not known, because a speed is not known", "state the speeds below"
    if hours <= 0:
        return "nothing: there is no work", "add sources"
    if time.start_hours > hours:
        start = "starting workers, loading models and writing tables"
        return f"{start}: {duration(time.start_hours)}", "nothing: it is no more for a larger run on as many machines"
    share = hours / float(time.wall[0]) if time.wall is not None and time.wall[0] > 0 else 1.0
    said = f"the {resource}, while {DOING[phase]}: {duration(hours)}, {share * 100:.0f} % of the time"
    others = {of: float(time.busy[phase, of][0]) for p, of in time.busy if p == phase and of != resource}
    idle = ", ".join(f"the {of} are busy {other / hours * 100:.0f} % of it" for of, other in others.items() if other)
    return f"{said}; {idle}" if idle else said, _add(phase, resource, others, hours, machines, host)


def missing_speeds(time: FleetTime) -> list[str]:
    """One line for each speed that is not known."""
    return [
        f"{stage} on {machine}: no published speed of this engine and model is known; give --speed {stage}@{machine}=X, times real time"
        for stage, machine in time.unknown
    ]


def duration(hours: float) -> str:
    """Hours as people say them.

    >>> duration(0.5), duration(30.0), duration(2400.0), duration(0.001)
    ('30 minutes', '30 hours', '100 days', '4 seconds')
    """
    if hours >= 72:
        return f"{hours / 24:.3g} days"
    if hours >= 1.5:
        return f"{hours:.3g} hours"
    return f"{hours * 60:.2g} minutes" if hours * 60 >= 1 else f"{hours * 3600:.1g} seconds"


def _add(
    phase: Phase,
    resource: Resource,
    others: dict[Resource, float],
    hours: float,
    machines: Sequence[MachineGroup],
    host: SlowestHost | None,
) -> str:
    if resource == "hosts" and host is not None:
        return (
            f"no machine helps: {host.host} gets {host.requests:,} requests, {host.interval_s:g} s apart, so {duration(host.least_s / 3600)} "
            "at least; other hosts would be asked meanwhile, and its owner may agree to a higher crawl.requests_per_second"
        )
    next_best = max(others.values(), default=0.0)
    until = f" until {max(others, key=lambda of: others[of])} hold it up" if next_best else ""
    useful = max(1, round(hours / next_best)) if next_best else 0
    much = f"; up to {useful} times as many help{until}" if useful > 1 else ""
    if resource == "GPUs":
        names = ", ".join(machine.name for machine in machines if machine.gpus)
        return f"more GPUs ({names}){much}"
    cores = sum(machine.count * machine.cores for machine in machines)
    help_ = (
        "more cores, on machines with or without GPUs"
        if any(m.gpus for m in machines)
        else "more cores, or GPUs for the recognisers"
    )
    return f"{help_ if phase == 'models' else 'more cores'}: {cores:,} now{much}"

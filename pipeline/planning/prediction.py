"""What `voxmill plan` says: figures with intervals and where each is from, stages, losses, and what holds the machines up."""

from __future__ import annotations

from dataclasses import dataclass

from voxmill.pipeline.planning.bootstrap import IntervalEstimate
from voxmill.pipeline.planning.fleet_time import Phase, Resource


@dataclass(frozen=True, slots=True)
class Figure:
    """One predicted quantity."""

    name: str
    unit: str
    estimate: IntervalEstimate | None
    """None: not known."""
    basis: str
    """Where it is from: `listed`, `measured`, `published`, `given`, or what of these it was computed from."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What one stage will take."""

    name: str
    core_hours: IntervalEstimate
    """CPU hours as it was measured; a stage that runs on GPUs has them on no core."""
    unit_s: float
    """CPU seconds for every unit, however short."""
    times_real_time: float | None
    """Audio seconds a core second."""
    on: str
    """Where it runs, and how fast: `cores`, or `h100: 120x (given)`."""


@dataclass(frozen=True, slots=True)
class LostHours:
    """Audio that will not be kept, for one reason."""

    reason: str
    hours: IntervalEstimate
    items: IntervalEstimate
    """Items that are not fetched or not decoded for this reason; their hours are not known."""


@dataclass(frozen=True, slots=True)
class BusyHours:
    """How long one resource is needed in one phase of the run."""

    phase: Phase
    resource: Resource
    hours: IntervalEstimate


@dataclass(frozen=True)
class Prediction:
    """A whole plan."""

    listed: int
    tried: int
    tried_hours: float
    clusters: int
    """Independent draws of the sample: recordings that share a unit are one."""
    source: str
    """`sample` or `run`: what was measured."""
    figures: list[Figure]
    stages: list[StagePlan]
    lost: list[LostHours]
    busy: list[BusyHours]
    bottleneck: str
    """One line: what is used up first."""
    advice: str
    """One line: what to add, or why nothing helps."""
    unknown: list[str]
    """One line for each speed that is not known, with how to state it."""
    notes: list[str]

    def figure(self, name: str) -> Figure:
        """The figure of that name. Raises KeyError."""
        for one in self.figures:
            if one.name == name:
                return one
        raise KeyError(name)

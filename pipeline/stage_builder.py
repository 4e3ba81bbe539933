"""Puts the stages of one run together, one after the other: what each reads, what it costs, and its fingerprint."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from voxmill.manifests.config_base import Settings
from voxmill.manifests.ids import digest
from voxmill.operators.contract.unit_input import Operator
from voxmill.operators.crawl.policy.host_limit import HostGate
from voxmill.operators.weights.registry import identity
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.stage import Resources, Stage, StageKind
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import exists, read_bytes

RECORDED_ONLY = {"name", "device", "threads", "batch_size", "gpus", "memory_gb"}
"""Config keys that say how fast a stage runs, not what it makes: recorded in run.json, not part of a fingerprint."""

LIGHT = Resources(cpus=0.1)
HEAVY = Resources(cpus=0.4)
"""Defaults for stages without and with a model of their own."""

WHOLE_CORE = Resources(cpus=0.9)
"""Default for stages that compute all the time. Not quite one: a lighter stage must find its place beside it on a machine with one core."""


class StageBuilder:
    """What the entries of `stages.py` are given, in their order: the config, and the stages that come before."""

    def __init__(self, config: RunConfig, run: Run, gate: HostGate) -> None:
        self.config, self.run, self.gate = config, run, gate
        self.stages: dict[str, Stage] = {}

    def named(self, *kinds: str) -> tuple[str, ...]:
        """Names of the stages so far that are of these kinds."""
        return tuple(name for name, stage in self.stages.items() if stage.kind in kinds)

    def put(self, stage: Stage) -> None:
        """Adds a stage that is complete already."""
        self.stages[stage.name] = stage

    def add(
        self,
        kind: StageKind,
        make: Callable[[], Operator],
        settings: Settings,
        *,
        reads: Sequence[str] = (),
        also: Sequence[str] = (),
        beside: Sequence[str] = ("recordings",),
        name: str | None = None,
        cost: Resources = LIGHT,
    ) -> None:
        """Adds a stage that workers run.

        `reads` names the stages on whose results it depends: they are part of its fingerprint. `beside` names fragments that it needs and
        that never change under one name (`units`, `recordings`). `also` is what else its results depend on.
        """
        name = name or kind.name
        fingerprint = self.fingerprint(kind, name, settings, reads, also)
        self.put(Stage(name, make, kind, tuple(dict.fromkeys((*beside, *reads))), fingerprint, self.cost(name, cost)))

    def fingerprint(
        self, kind: StageKind, name: str, settings: Settings, reads: Sequence[str], also: Sequence[str] = ()
    ) -> str:
        """A stage's config, its model's hash, its operator's version, what else it depends on, and the fingerprints of stages that it reads."""
        recorded = RECORDED_ONLY | getattr(settings, "speed_only", frozenset())
        chosen: dict[str, Any] = {k: v for k, v in settings.model_dump(mode="json").items() if k not in recorded}
        if chosen.get("when", "") is None:
            del chosen["when"]  # a key that came later: an engine that is always asked is what it was
        model = chosen.get("model")
        parts = [
            name,
            kind.version,
            json.dumps(chosen, sort_keys=True),
            identity(model) if model else "",
            _contents(chosen.get("calibration")),
            *also,
            *(f"{key}={self.stages[key].fingerprint}" for key in reads),
        ]
        return digest(parts)[:16]

    def cost(self, name: str, default: Resources) -> Resources:
        """What the config states of a stage's workers; what it leaves out is as by default, an engine's share of a GPU for one."""
        return stated_cost(self.config, name, default)


def stated_cost(config: RunConfig, name: str, default: Resources) -> Resources:
    """`default` with what `executor.resources` states of the stage `name`."""
    stated = config.executor.resources.get(name)
    return default.model_copy(update=stated.model_dump(exclude_unset=True)) if stated else default


def _contents(path: str | None) -> str:
    """A calibration that is made again under the same name is another one."""
    return digest([read_bytes(path).decode()]) if path and exists(path) else ""

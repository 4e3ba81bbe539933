"""The work of every stage for the whole, and where it would run: fitted to what it cost in the sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.planning.bootstrap import Array
from voxmill.pipeline.planning.extrapolation import Extrapolation
from voxmill.pipeline.planning.fleet_time import Phase, StageWork
from voxmill.pipeline.planning.machines import HERE, MachineGroup, Prices, Speed, gpu_here, speed_on
from voxmill.pipeline.planning.observe import BY_SPEECH
from voxmill.pipeline.planning.prediction import StagePlan
from voxmill.pipeline.planning.stage_costs import fit_cost
from voxmill.pipeline.stages import names_of

Speeds = Mapping[tuple[str, str | None], float]


@dataclass(frozen=True)
class Fleet:
    """What a plan is made for."""

    machines: tuple[MachineGroup, ...]
    prices: Prices
    speeds: Speeds


def stage_names(config: RunConfig) -> list[str]:
    """Stages whose speed can be stated."""
    return sorted(names_of(config) - {"list"})


def stage_works(whole: Extrapolation, fleet: Fleet) -> tuple[list[StageWork], list[StagePlan]]:
    """What every stage that cost something in the sample will take on these machines."""
    observed, works, plans = whole.observed, list[StageWork](), list[StagePlan]()
    heard = {True: whole.items("hours") * 3600, False: whole.items("speech_hours") * 3600}
    for stage in dict.fromkeys(one.stage for one in observed.units):
        mine = [one for one in observed.units if one.stage == stage]
        weights = whole.audio_weights.values[:, [whole.index[one.cluster] for one in mine]]
        seconds, audio_s = [one.seconds for one in mine], heard[stage in BY_SPEECH]
        held = fit_cost(weights, seconds, [one.core_s(observed.contended) for one in mine]).of(whole.num_units, audio_s)
        line = fit_cost(weights, seconds, [one.cpu_s for one in mine])
        works.append(_on(StageWork(stage, "models", held, line.of(whole.num_units, audio_s), audio_s), whole, fleet))
        plans.append(_plan(whole, works[-1], float(line.unit_s[0])))
    for one in observed.wholes:
        scale = _scale(whole, one.stage)
        phase: Phase = "fetch" if one.stage in ("crawl", "decode") else "pack"
        audio_s = whole.items("kept_hours") * 3600 if phase == "pack" else heard[True]
        work = StageWork(one.stage, phase, scale * one.core_s(observed.contended), scale * one.cpu_s, audio_s)
        works.append(_on(work, whole, fleet))
        plans.append(_plan(whole, works[-1], 0.0))
    return works, plans


def _scale(whole: Extrapolation, stage: str) -> Array:
    """How much more of a stage there will be than the sample had: of items, of hours, or of hours kept."""
    if stage == "crawl":
        return whole.counted([1] * len(whole.observed.items)) / max(1, len(whole.observed.items))
    field = "kept_hours" if stage == "pack" else "hours"
    had = sum(getattr(one, field) for one in whole.observed.items)
    return whole.items(field) / had if had else np.zeros(whole.rows)


def _on(work: StageWork, whole: Extrapolation, fleet: Fleet) -> StageWork:
    """The work with its speeds: on GPUs, where the stage can use one, or as they were given for cores."""
    with_gpus = [machine for machine in fleet.machines if machine.gpus]
    found = _gpu_settings(whole.config).get(work.name)
    if found is not None and with_gpus:
        speeds = {m.name: speed_on(m, work.name, found.kind, found.model, fleet.speeds) for m in with_gpus}
        if HERE in speeds and speeds[HERE].times is None and gpu_here() and found.device == "cuda":
            speeds[HERE] = Speed(float(work.audio_s[0] / (work.core_s[0] * (found.gpu_share or 1.0))), "measured")
        return replace(work, speeds=speeds)
    only = fleet.machines[0].name if len(fleet.machines) == 1 else None
    times = fleet.speeds.get((work.name, only), fleet.speeds.get((work.name, None)))
    return work if times is None else replace(work, core_s=work.audio_s / times, cpu_s=work.audio_s / times)


def _gpu_settings(config: RunConfig) -> dict[str, Any]:
    """Settings of the stages that can use a GPU, whether or not the config has them use one: their `device` may be `cuda`."""
    named = [(f"transcribe:{one.name}", one) for one in config.transcribe] + [
        (f"label:{one.name}", one) for one in config.label
    ]
    fields = {name: type(one).model_fields.get("device") for name, one in named}
    return {name: one for name, one in named if (field := fields[name]) and "cuda" in str(field.annotation)}


def _plan(whole: Extrapolation, work: StageWork, unit_s: float) -> StagePlan:
    cpu_s = work.cpu_s
    speed = float(work.audio_s[0] / cpu_s[0]) if cpu_s[0] > 0 and work.audio_s[0] > 0 else None
    on = "cores"
    if work.speeds is not None:
        on = ", ".join(
            f"{name}: {speed.times:g}x ({speed.basis})" if speed.times else f"{name}: not known"
            for name, speed in work.speeds.items()
        )
    return StagePlan(work.name, whole.estimate(np.asarray(cpu_s / 3600)), unit_s, speed, on)

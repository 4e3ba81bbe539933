"""From what a sample cost to what the whole will take: every figure is a weighted sum over the sample, with an interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voxmill.pipeline.planning.advise import advise, missing_speeds
from voxmill.pipeline.planning.bootstrap import Array, IntervalEstimate
from voxmill.pipeline.planning.extrapolation import Extrapolation
from voxmill.pipeline.planning.fleet_time import FleetTime, StageWork, fleet_time
from voxmill.pipeline.planning.politeness import slowest_host
from voxmill.pipeline.planning.prediction import BusyHours, Figure, LostHours, Prediction
from voxmill.pipeline.planning.stage_work import Fleet, stage_works


def predict(whole: Extrapolation, fleet: Fleet, source: str, notes: Sequence[str] = ()) -> Prediction:
    """The plan for these machines."""
    observed, population = whole.observed, whole.population
    works, plans = stage_works(whole, fleet)
    web = sum(1 for one in observed.items if one.host)
    crawled = next((one.wall_s for one in observed.wholes if one.stage == "crawl"), 0.0)
    host = slowest_host(
        population.hosts, whole.config.crawl, per_item=observed.requests, delays=observed.delays,
        transfer_s=crawled / web if web else 0.0,
    )  # fmt: skip
    time = fleet_time(
        works,
        fleet.machines,
        worker_gb=observed.worker_gb,
        hosts_s=host.likely_s if host else 0.0,
        start_s=observed.start_s,
        num_units=whole.num_units,
    )
    bottleneck, advice = advise(time, fleet.machines, host)
    return Prediction(
        population.total,
        len(observed.items),
        observed.hours,
        len(whole.index),
        source,
        [*_audio(whole, source), *_store(whole, source), *_work(whole, fleet, time, works, source)],
        plans,
        _lost(whole),
        [BusyHours(phase, resource, whole.estimate(hours)) for (phase, resource), hours in time.busy.items()],
        bottleneck,
        advice,
        missing_speeds(time),
        [*_waits(works, source), *notes],
    )


def _waits(works: Sequence[StageWork], source: str) -> list[str]:
    """A note where workers held cores for much longer than they computed."""
    cpu_s = sum(float(work.cpu_s[0]) for work in works if work.speeds is None)
    core_s = sum(float(work.core_s[0]) for work in works if work.speeds is None)
    if core_s < 1.25 * cpu_s:
        return []
    return [
        (
            f"in the {source} workers computed for {cpu_s / core_s * 100:.0f} % of their time and waited for the rest: for the store, or "
            "because other programs ran; the wall clock here takes it that they wait as much"
        )
    ]


def _audio(whole: Extrapolation, source: str) -> list[Figure]:
    total = float(whole.population.total)
    measured = f"measured in the {source}"
    sized = _sized(whole, measured)
    return [
        Figure("items listed", "", IntervalEstimate(total, total, total), "listed"),
        Figure("audio in", "hours", whole.estimate(whole.items("hours")), sized),
        Figure("audio kept", "hours", whole.estimate(whole.items("kept_hours")), sized),
        Figure("segments kept", "", whole.estimate(whole.items("kept_segments")), sized),
        Figure("units", "", whole.estimate(whole.num_units), measured),
    ]


def _sized(whole: Extrapolation, measured: str) -> str:
    return f"{measured}, and the sizes of files" if whole.population.num_bytes else measured


def _stored(whole: Extrapolation) -> dict[str, Array | None]:
    """Gigabytes in the store, by what they are; None where nobody looked."""
    observed, use = whole.observed, whole.observed.store
    own = whole.audio([one.num_bytes * one.stored for one in observed.items]) / 1e9
    if use is None:
        return {"originals in the store": own, "shards": None, "state and tables": None, "store in all": None}
    kept = sum(one.kept_hours for one in observed.items)
    shards = whole.items("kept_hours") * (use.shards / kept if kept else 0.0) / 1e9
    state = whole.items("hours") * ((use.state + use.frames) / observed.hours if observed.hours else 0.0) / 1e9
    return {"originals in the store": own, "shards": shards, "state and tables": state, "store in all": own + shards + state}


def _store(whole: Extrapolation, source: str) -> list[Figure]:
    observed, measured = whole.observed, f"measured in the {source}"
    figures = [Figure("originals", "GB", whole.estimate(whole.items("num_bytes") / 1e9), _sized(whole, measured))]
    for name, values in _stored(whole).items():
        known = None if values is None else whole.estimate(values)
        figures.append(Figure(name, "GB", known, measured if known else "not looked at: the run is not on this machine"))
    if observed.writes is not None and observed.num_units:
        writes = whole.num_units * observed.writes / observed.num_units
        figures.append(Figure("files written", "", whole.estimate(writes), f"{measured}; each is a request to an object store"))
    return figures


def _work(whole: Extrapolation, fleet: Fleet, time: FleetTime, works: Sequence[StageWork], source: str) -> list[Figure]:
    on_cores = [work.cpu_s for work in works if work.speeds is None]
    core_hours = np.asarray(sum(on_cores, np.zeros(whole.rows)) / 3600)
    basis = _speed_basis(works, source, fleet)
    figures = [Figure("core-hours", "hours", whole.estimate(core_hours), f"CPU time measured in the {source}")]
    if any(machine.gpus for machine in fleet.machines):
        gpu = None if time.gpu_hours is None else whole.estimate(time.gpu_hours)
        figures.append(Figure("GPU-hours", "hours", gpu, basis if gpu else "not known"))
    wall = None if time.wall is None else whole.estimate(time.wall)
    figures.append(Figure("wall clock", "hours", wall, basis if wall else "not known"))
    figures += _costs(whole, fleet, time)
    return figures


def _costs(whole: Extrapolation, fleet: Fleet, time: FleetTime) -> list[Figure]:
    prices, found = fleet.prices, []
    if prices.per_hour:
        priced = all(machine.name in prices.per_hour for machine in fleet.machines)
        per_hour = sum(machine.count * prices.per_hour.get(machine.name, 0.0) for machine in fleet.machines)
        known = priced and time.wall is not None
        why = "given prices, for the whole wall clock" if known else "not known: not every machine has a price and a speed"
        cost = whole.estimate(np.asarray(time.wall * per_hour)) if known and time.wall is not None else None
        found.append(Figure("machines", prices.currency or "as priced", cost, why))
    if prices.store_gb_month is not None and (stored := _stored(whole)["store in all"]) is not None:
        cost = whole.estimate(stored * prices.store_gb_month)
        found.append(Figure("store", f"{prices.currency or 'as priced'} a month".strip(), cost, "given price"))
    return found


def _speed_basis(works: Sequence[StageWork], source: str, fleet: Fleet) -> str:
    on_gpus = {speed.basis for work in works for speed in (work.speeds or {}).values()}
    bases = sorted(on_gpus | ({"given"} if fleet.speeds else set()))
    stated = f"speeds {' and '.join(bases)}; the rest " if bases else ""
    return f"{stated}measured in the {source}, a core there taken as one here"


def _lost(whole: Extrapolation) -> list[LostHours]:
    items = whole.observed.items
    reasons = {why for one in items for why, _ in one.lost} | {one.refused for one in items if one.refused}
    rows = [
        LostHours(
            reason,
            whole.estimate(whole.audio([dict(one.lost).get(reason, 0.0) for one in items])),
            whole.estimate(whole.counted([one.refused == reason for one in items])),
        )
        for reason in sorted(reasons)
    ]
    return sorted(rows, key=lambda row: (-row.hours.value, -row.items.value, row.reason))

"""A plan from a run that was made already: its own recordings and costs take the place of a sample."""

from __future__ import annotations

from dataclasses import replace

from voxmill.manifests.ids import digest
from voxmill.pipeline.build import as_written
from voxmill.pipeline.planning.extrapolation import Extrapolation
from voxmill.pipeline.planning.observe import observe
from voxmill.pipeline.planning.population import OTHERS, Population
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError

MOST_CLUSTERS = 5000
"""More clusters are put together by a hash: totals stay, intervals hardly change, and memory does not grow with the run (80 MB a figure)."""


def _group(cluster: str) -> str:
    return str(int(digest([cluster])[:8], 16) % MOST_CLUSTERS)


def extrapolate_run(run: Run, *, seed: int = 0) -> tuple[Extrapolation, list[str]]:
    """What the run says of everything that it lists, with notes on what that rests on.

    Raises RunError where nothing of the run is finished, CatalogError where it has no tables.
    """
    config, _ = as_written(run)
    found = observe(run)
    done = [one for one in found.items if "unfinished" not in dict(one.lost)]
    if not any(one.hours for one in done):
        raise RunError(f"{run.root} has no recording that went through all stages: continue the run, or plan from its sources")
    listed = sum(found.listed.values())
    notes = []
    if len(done) < listed:
        notes.append(
            f"{len(done)} of {listed} listed items are done: the first ones, no random sample; what comes later may differ"
        )
    if not any(one.stage == "pack" for one in found.wholes):
        notes.append("a run's tables do not say what packing cost: it is left out, one or two core-hours for 100 hours kept")
    clusters = {one.cluster for one in done}
    units = [one for one in found.units if one.cluster in clusters]
    if len(clusters) > MOST_CLUSTERS:
        done = [replace(one, cluster=_group(one.cluster)) for one in done]
        units = [replace(one, cluster=_group(one.cluster)) for one in units]
    observed = replace(found, items=done, units=units)
    hosts = {host: count for host, count in found.listed.items() if host}
    sources = frozenset(one.source for one in done)
    population = Population({OTHERS: listed}, hosts, sources, {}, {})
    return Extrapolation(config, observed, population, one_per_unit=False, seed=seed), notes

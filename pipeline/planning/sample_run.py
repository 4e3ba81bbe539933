"""Runs a random sample of the listed items through the whole line on this machine, and observes what it cost."""

from __future__ import annotations

import os
import re
import resource
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import psutil

from voxmill.manifests.errors import UserError
from voxmill.manifests.records import Item
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.listing.lister import Lister
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.host_limit_server import open_gate
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.execution.pools import workers_for
from voxmill.pipeline.planning.count_writes import counted_writes
from voxmill.pipeline.planning.host_requests import delays_asked_for, requests_per_item, requests_so_far
from voxmill.pipeline.planning.machines import gpu_here, parse_machines
from voxmill.pipeline.planning.observe import Observed, WholeCost, observe, together
from voxmill.pipeline.planning.population import Population, draw_sample, population_of
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.stage import Done
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError
from voxmill.pipeline.terminal.progress import Progress

PILOT = 6
"""Recordings that are tried first where a sample is stated in hours: how long recordings are is not known before."""

MAX_ROUNDS = 6

OTHERS = 0.1
"""Share of the machine's cores that other processes may use before wall times are not believed."""


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How much to try: so many recordings, or recordings until there are so many hours."""

    recordings: int = 20
    hours: float | None = None


def parse_size(text: str) -> SampleSize:
    """A number of recordings, or hours or minutes of audio. Raises UserError.

    >>> parse_size("50"), parse_size("90m")
    (SampleSize(recordings=50, hours=None), SampleSize(recordings=20, hours=1.5))
    """
    found = re.fullmatch(r"(\d{1,7}(?:\.\d+)?)(h|m|)", text.strip())
    value = float(found[1]) if found else 0.0
    if not found or value <= 0 or (not found[2] and (value != int(value) or value > 1_000_000)):
        raise UserError(f"--sample {text}: a number of recordings from 1 to 1000000, or hours or minutes, as in 50, 2h or 90m")
    return SampleSize(hours=value / (60 if found[2] == "m" else 1)) if found[2] else SampleSize(int(value))


class SampleProgress(Progress):
    """The display of a sample's run. It keeps what packing cost, and does not name files that will be gone."""

    def __init__(self, hidden: str | None = None, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._hidden = hidden
        self.packing: dict[str, Done] = {}

    def say(self, text: str) -> None:
        """See `Display.say`; lines about files in a folder that will be removed are left out."""
        if not self._hidden or self._hidden not in text:
            super().say(text)

    def report(self, done: Done) -> None:
        """See `Progress.report`."""
        super().report(done)
        if done.stage == "pack":
            self.packing[done.unit] = done


@dataclass(frozen=True)
class Sampled:
    """What was listed, and what the sample of it cost."""

    population: Population
    observed: Observed


def run_sample(config: RunConfig, size: SampleSize, root: str | None, *, seed: int = 0, quiet: bool = False) -> Sampled:
    """Lists every source, draws the sample and runs it. With `root` its runs are kept there, as `plan`, `plan-2`, …

    Raises RunError where `root` holds the sample of an earlier plan, and where there is nothing to try, and what `run_line` raises.
    """
    if root and Run(Run(root).uri("plan")).exists():
        raise RunError(f"{Run(root).uri('plan')} holds the sample of an earlier plan: remove it, or give another --out")
    with tempfile.TemporaryDirectory(prefix="voxmill-plan-") as folder:
        first = Run(Run(root).uri("plan") if root else f"{folder}/plan")
        hidden = None if root else folder
        with open_gate("machine", first, config.crawl) as gate:
            lister = Lister(config.crawl, gate)
            listed = {s.name: [i for i in lister(s) if i.rejection is None] for s in config.sources}
        items = [item for found in listed.values() for item in found]
        if not items:
            raise RunError(
                "the sources list nothing that could be fetched: `voxmill run --until list`, then `voxmill stats`, says why"
            )
        population = population_of(items, size.recordings)
        parts: list[Observed] = []
        count = size.recordings if size.hours is None else PILOT
        while count and len(parts) < MAX_ROUNDS:
            taken = {one.item for part in parts for one in part.items}
            left = [item for item in items if item.id not in taken]
            ids = set(draw_sample(left, population_of(left, count), count, seed=seed + len(parts)))
            run = first if not parts else Run(f"{first.root}-{len(parts) + 1}")
            progress = SampleProgress(hidden, quiet=quiet)
            parts.append(_one_run(sample_config(config), run, first, _only(listed, ids), Path(folder), progress))
            count = _more(parts, len(items), size.hours)
    return Sampled(population, together(parts))


def sample_config(config: RunConfig) -> RunConfig:
    """The config of a sample: one recording a unit, so that what each costs is seen, one bucket of shards, and no GPU that is not here."""
    changes: dict[str, object] = {
        "units": config.units.model_copy(update={"recordings": 1}),
        "pack": config.pack.model_copy(update={"buckets": 1}),
    }
    if not gpu_here():
        for section in ("transcribe", "label"):
            changes[section] = tuple(_on_cpu(settings) for settings in getattr(config, section))
    return config.model_copy(update=changes)


def _on_cpu(settings: object) -> object:
    if getattr(settings, "device", "cpu") == "cpu":
        return settings
    changes = {"device": "cpu", "gpus": None} | ({"compute_type": "auto"} if hasattr(settings, "compute_type") else {})
    return settings.model_copy(update=changes)  # type: ignore[attr-defined]


def _only(listed: Mapping[str, Sequence[Item]], ids: Collection[str]) -> Callable[[SourceConfig], list[Item]]:
    return lambda source: [item for item in listed[source.name] if item.id in ids]


def _more(parts: Sequence[Observed], listed: int, hours: float | None) -> int:
    """How many recordings to try next."""
    tried, heard = sum(len(part.items) for part in parts), sum(part.hours for part in parts)
    if hours is None or heard >= hours or tried >= listed:
        return 0
    return min(listed - tried, ceil((hours - heard) / (heard / tried)) if heard else 2 * tried)


def _one_run(
    config: RunConfig,
    run: Run,
    asking: Run,
    expand: Callable[[SourceConfig], list[Item]],
    folder: Path,
    progress: SampleProgress,
) -> Observed:
    """One sample's run; the hosts' state is that of the run `asking`, so that no host is asked faster because there are two."""
    before_cpu, began, before_all = _cpu_s(), time.monotonic(), _machine_cpu_s()
    asked = requests_so_far(asking)
    with counted_writes(folder) as writes, open_gate("machine", asking, config.crawl) as gate:
        executor = LocalExecutor(workers=config.executor.workers, same_results=config.executor.same_results)
        run_line(config, run, executor, gate, progress, expand=expand)
    wall_s, cpu_s, all_s = time.monotonic() - began, _cpu_s() - before_cpu, _machine_cpu_s() - before_all
    found = observe(run)
    if progress.packing and not any(one.stage == "pack" for one in found.wholes):
        packs = progress.packing.values()
        found.wholes.append(WholeCost("pack", sum(one.wall_s for one in packs), sum(one.cpu_s for one in packs)))
    machine = parse_machines(())[0]
    at_once = min(config.executor.workers or workers_for(machine.cores, machine.memory_gb), max(1, found.num_units))
    working = sum(one.wall_s for one in found.units) / at_once + sum(one.wall_s for one in found.wholes)
    spent = sum(one.cpu_s for one in found.units) + sum(one.cpu_s for one in found.wholes)
    contended = all_s - cpu_s > OTHERS * wall_s * (os.cpu_count() or 1)
    start_s, start_cpu_s = max(0.0, wall_s - working), max(0.0, cpu_s - spent)
    return replace(
        found,
        writes=writes.number,
        start_s=min(start_s, start_cpu_s) if contended else start_s,
        start_cpu_s=start_cpu_s,
        requests=requests_per_item(found.items, asked, requests_so_far(asking)),
        delays=delays_asked_for(asking),
        contended=contended,
    )


def _machine_cpu_s() -> float:
    """CPU seconds of all processes of the machine since it was started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _cpu_s() -> float:
    """CPU seconds of this process and of all its children that have ended."""
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))

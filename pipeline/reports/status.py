"""How far a run is, told from its journal: while another process works on it, and when none does. Needs no weights and no lease."""

from __future__ import annotations

import time
from dataclasses import dataclass

from voxmill.pipeline.stages import KINDS
from voxmill.pipeline.state.driver_lease import holder_of
from voxmill.pipeline.state.journal import RunState
from voxmill.pipeline.state.run import Run

_OF_ITEMS = ("items", "crawl", "decode", "outcomes")
_OF_DRIVER = ("items", "outcomes", "units", "recordings")
_LINE = {kind.name: place for place, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage of the config in force."""

    stage: str
    done: int
    total: int
    """Units, or groups of listed items; those that are known so far."""
    struck: int
    """Units that a worker died of."""

    @property
    def is_complete(self) -> bool:
        """Nothing that is known is left to do."""
        return self.done >= self.total


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What the journal says of a run."""

    run: str
    driver: str | None
    """Who works on it, as far as its lease says; None: nobody."""
    entries: int
    """Entries of the journal so far."""
    idle_s: float | None
    """Time since the last one (s), by the clocks of the two machines; None where there is none."""
    sources: int
    generations: int
    to_fetch: int
    """Generations of listed items that have no units yet."""
    in_flight: tuple[str, ...]
    fragments: int
    """Committed, and not in tables yet."""
    packed: bool
    """Shards and tables have been written at least once."""
    notes: tuple[str, ...]
    stages: tuple[StageStatus, ...]


def status(run: Run) -> RunStatus:
    """Reads `run.json`, the lease and the journal: some five requests. Raises RunError where there is no run."""
    written = run.load()
    state = run.ledger.state
    idle = None if state.written_at is None else max(0.0, time.time() - state.written_at)
    stages = tuple(_stage(name, fingerprint, state, run) for name, fingerprint in _fingerprints(written).items())
    return RunStatus(
        run=run.root,
        driver=holder_of(run),
        entries=state.number + 1,
        idle_s=idle,
        sources=sum(len(generation.sources) for generation in state.generations),
        generations=len(state.generations),
        to_fetch=sum(generation.units is None for generation in state.generations),
        in_flight=tuple(dict.fromkeys(name.partition(" ")[2] for name in state.in_flight)),
        fragments=len(state.fragments),
        packed=bool(state.packed),
        notes=tuple(state.notes),
        stages=stages,
    )


def _fingerprints(written: dict[str, object]) -> dict[str, str]:
    """The stages of the config in force that workers run, in the order of the line: `run.json` has them by name."""
    found = written.get("fingerprints")
    told = found if isinstance(found, dict) else {}
    by_workers = {str(name): str(value) for name, value in told.items() if name not in _OF_DRIVER}
    return dict(sorted(by_workers.items(), key=lambda named: (_place(named[0]), named[0])))


def _place(name: str) -> int:
    return _LINE.get(name.partition(":")[0], _LINE["python"])


def _stage(name: str, fingerprint: str, state: RunState, run: Run) -> StageStatus:
    key = f"{name.replace(':', '-')}/{fingerprint}"
    total = max((g.groups[1] for g in state.generations), default=0) if name in _OF_ITEMS else run.listing.num_units
    struck = sum(one.startswith(f"{key} ") for one in state.strikes)
    return StageStatus(name, len(state.done(key)), total, struck)

"""One seed is one life of a run: drivers that overlap, freeze and come back, workers that outlive them, a revocation, a store that is late.

    python tests/crash/simulate.py SEED [--bug NAME]

replays a seed. What must hold is checked when anything arrives at the store (`oracle.py`), and at the end, when two last drivers have
gone through without disturbance: the tables are those of a run that did everything in order.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

sys.path[0] = str(Path(__file__).resolve().parents[1])

from crash.drivers import Cluster, attempt
from crash.late_store import STORE, Weather, fresh_store
from crash.oracle import Oracle
from crash.planted import BUGS
from crash.speech import RUN_JSON, TABLE_STAGES, wanted_tables
from crash.virtual_machine import small_files, virtual_machines
from crash.virtual_time import World
from voxmill.pipeline import books
from voxmill.pipeline.state.chunks import OF_LISTING

Bug = Callable[[], AbstractContextManager[object]]
"""Plants a bug into the run's code while the block runs."""


@dataclass(frozen=True)
class Life:
    """What became of a run."""

    seed: int
    problems: tuple[str, ...]
    requests: int
    commands: int
    seconds: float
    turns: int


def simulate(seed: int, bug: Bug = nullcontext) -> Life:
    """The life of a run."""
    world = World(seed)
    store = fresh_store(world)
    oracle = store.watcher = Oracle(store)
    cluster = Cluster(world, oracle, oracle.processes)
    luck = world.random
    store.weather, calm = _weather(world), Weather()
    cluster.worker_dies = luck.choice([0, 0, 0.1])
    store.blobs["run/run.json"] = RUN_JSON
    with ExitStack() as stack:
        stack.enter_context(small_files())
        stack.enter_context(patch.object(books, "FOLD_AT", luck.choice([1, 3, 100])))
        stack.enter_context(virtual_machines(world, cluster.processes))
        stack.enter_context(bug())
        units, both = luck.randint(2, 4), luck.random() < 0.15
        commands = luck.randint(2, 4)
        asked = luck.random() < 0.4
        for number in range(commands):
            what = "revoke" if asked and number == commands // 2 else "run"
            fingerprint = "cd" if both and number % 2 else "ab"
            grown = units if number < commands // 2 else units + 1
            process = cluster.machine()
            world.spawn(
                process, _command(cluster, process, what, fingerprint, grown), delay=luck.random() * luck.choice([30, 300, 900])
            )
        world.run()
        store.weather = calm
        _steal(cluster)
        for what, fingerprint in [*([("revoke", "ab")] if asked else []), ("run", "ab"), ("run", "cd"), ("run", "ab")]:
            if fingerprint == "cd" and TABLE_STAGES["cd"].key not in oracle.state.stages:
                continue
            process = cluster.machine()
            world.spawn(process, _command(cluster, process, what, fingerprint, units + 1))
            world.run()
            if process.name not in cluster.finished:
                oracle.blame(f"the undisturbed {process.name} ({what}) did not come to its end")
    prints = tuple(name for name, stage in TABLE_STAGES.items() if stage.key in oracle.state.stages)
    problems = [*oracle.problems, *map(repr, world.failures), *_tables(oracle, units + 1, asked, prints)]
    return Life(seed, tuple(problems), store.requests, commands, world.now, world.turns)


def _weather(world: World) -> Weather:
    luck = world.random
    bad = Weather(0.02, 0.02, 0.03, 0.01, 0.004)
    kept = {name: getattr(bad, name) * luck.choice([0, 1, 1, 3]) for name in bad.__slots__}
    return replace(bad, **kept)


def _command(cluster: Cluster, process: object, what: str, fingerprint: str, units: int) -> Callable[[], None]:
    return lambda: attempt(cluster, process, what, fingerprint, units)  # type: ignore[arg-type]


def _steal(cluster: Cluster) -> None:
    """Now and then somebody deletes a file of a table that can be made again."""
    oracle, luck = cluster.oracle, cluster.world.random
    stages = [one for key, one in oracle.state.stages.items() if key.partition("/")[0] not in OF_LISTING]
    files = sorted(chunk.rows for one in stages for chunk in one.chunks.values())
    there = [file for file in files if f"run/{file}" in oracle.store.blobs]
    if there and luck.random() < 0.1:
        oracle.steal(luck.choice(there))


def _tables(oracle: Oracle, units: int, revoked: bool, fingerprints: tuple[str, ...]) -> list[str]:
    """How the tables differ from what they should be."""
    with small_files():
        wanted = wanted_tables(units, revoked, fingerprints)
    live = {c.rows for one in oracle.state.stages.values() for c in one.chunks.values()}
    found = {path: STORE.blobs.get(f"run/{path}", b"") for path in live}
    named = STORE.blobs.get("run/catalog.sql", b"").decode().split("\n")
    shown = sorted(path for path in wanted if not path.startswith("manifests/segment/cd"))
    return [
        *(f"{path} is not what the units make" for path in sorted(wanted) if found.get(path) != wanted[path]),
        *(f"{path} is in the tables, and no unit makes it" for path in sorted(found.keys() - wanted.keys())),
        *(["the catalog does not name the tables"] if sorted(named) != shown else []),
    ]


def main() -> int:
    """Replays seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--to", type=int, help="all seeds from the first one to before this")
    parser.add_argument("--bug", choices=BUGS, help="plants this one first")
    given = parser.parse_args()
    seeds = range(given.seeds[0], given.to) if given.to else given.seeds
    bad = 0
    for seed in seeds:
        life = simulate(seed, BUGS.get(given.bug, nullcontext))
        bad += bool(life.problems)
        if life.problems or not given.to:
            print(
                f"seed {seed}: {life.turns} turns {life.commands} commands, {life.requests} requests, {life.seconds:.0f} s of virtual time"
            )
        for problem in life.problems:
            print(f"  {problem}", flush=True)
    print(f"{bad} of {len(seeds)} seeds with problems")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

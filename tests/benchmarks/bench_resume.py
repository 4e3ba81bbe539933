"""`make bench-resume`: kill anything at any commit, run the same command again, and get the same bytes.

One run is made undisturbed on each executor with 1 and 3 workers a stage (a pool a stage, and shared workers); then again on each executor while processes are killed
at commit events spread over the whole run: the worker that commits (between the temporary file and its name, between a shard's
tar and its sidecar), the driver, and on Ray the raylet. Last, two drivers start on one run at the same moment.
Compared are the bytes of all shards and of all tables but the costs. Real engines on real speech: silero, Moonshine and
pocketsphinx, which start in seconds.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

import psutil
import yaml

from benchmarks.report import finish, full_form, heading, table
from speech.joined import joined
from voxmill.manifests.catalog import open_catalog

VOXMILL = str(Path(sys.executable).with_name("voxmill"))
KILLS = {"reduced": 10, "full": 30}
"""Kills on each executor."""
PATIENCE_S = 300
MARK = "VOXMILL_BENCH_RUN"
"""In the environment of everything that a start brings up."""


@dataclass
class Outcome:
    name: str
    digest: str = ""
    starts: int = 0
    kills: list[str] = field(default_factory=list)
    events: int = 0
    attempts: int = 0
    units: int = 0
    seconds: float = 0.0


def config(executor: str, workers: int) -> dict[str, object]:
    """With one worker every stage has a pool of its own; with more, the stages from segment to select share their workers."""
    stages = ["crawl", "decode", "pack"]
    if workers == 1:
        stages += ["segment", "transcribe:moonshine", "transcribe:sphinx", "reconcile", "select"]
    return {
        "sources": [{"name": path.stem, "path": str(path), "language": "en", "licence": "cc-by-sa-3.0"} for path in speech()],
        "crawl": {"contact": "https://example.org/contact"},
        "units": {"seconds": 12},
        "transcribe": [
            {"kind": "moonshine", "name": "moonshine", "model": "moonshine-tiny-en"},
            {"kind": "pocketsphinx", "name": "sphinx"},
        ],
        "select": {"high": 0.6, "weak": 0.4, "unlabelled": 0.2, "languages": []},
        "pack": {"buckets": 3, "shard_mb": 1},
        "executor": {
            "kind": executor,
            "workers": workers,
            "commit_seconds": 0.01,  # after every unit: what a kill redoes is counted in units
            "resources": {s: {"workers": workers, "min_workers": workers, "cpus": 0.05} for s in stages},
        },
    }


def speech() -> list[Path]:
    """Eight recordings of some ten seconds: short enough to kill a run twenty times in a few minutes."""
    return [recording.path for recording in joined("en", 8, 7)]


def start(root: Path, settings: dict[str, object], events: Path | None) -> subprocess.Popen[bytes]:
    path = root.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(settings))
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
        MARK: str(root),
    }
    if events:
        env |= {"VOXMILL_ON_COMMIT": "killer:on_event", "VOXMILL_EVENTS": str(events)}
    with root.with_suffix(".log").open("ab") as log:
        command = [VOXMILL, "run", "-c", str(path), "-o", str(root), "--quiet"]
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    if events:
        Path(f"{events}.driver").write_text(str(process.pid))
    return process


def complete(root: Path, settings: dict[str, object], outcome: Outcome, events: Path | None, most: int) -> None:
    """The same command, again and again, until it ends with 0."""
    began = time.monotonic()
    while outcome.starts < most:
        outcome.starts += 1
        code = start(root, settings, events).wait(PATIENCE_S)
        if code == 0:
            break
        end_all(root)
    else:
        sys.exit(f"{outcome.name}: not finished after {most} starts; see {root.with_suffix('.log')}")
    outcome.seconds = time.monotonic() - began
    outcome.digest = digest(root)
    lines = events.read_text().splitlines() if events else []
    begun = Counter(line.split()[2] for line in lines if line.startswith("began "))
    times_begun: dict[
        str, int
    ] = {}  # a worker takes a unit through several stages before it commits: that is one piece of work
    for key, times in begun.items():
        unit = key.rpartition("/")[2]
        times_begun[unit] = max(times_begun.get(unit, 0), times)
    outcome.attempts, outcome.units = sum(times_begun.values()), len(times_begun)


def end_all(root: Path) -> None:
    """Whatever a killed driver has left behind, and nobody else's processes."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == str(root):
                process.kill()


def digest(root: Path) -> str:
    """Over names and bytes of shards and tables; the costs differ by nature."""
    hasher = hashlib.sha256()
    files = [p for folder in ("shards", "manifests") for p in (root / folder).rglob("*") if p.is_file()]
    for path in sorted(files):
        if not path.name.endswith(".costs.parquet"):
            hasher.update(f"{path.relative_to(root)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()


def disturbed(folder: Path, executor: str, kills: int, events_undisturbed: int) -> Outcome:
    outcome = Outcome(f"{executor}, {kills} kills")
    root, events = folder / f"killed-{executor}", folder / f"killed-{executor}.events"
    victims = ["self", "driver", "self", "raylet"] if executor == "ray" else ["self", "driver"]
    # a shard's tar without its sidecar, and the sidecar that is written but has no name yet
    Path(f"{events}.kill-000001").write_text("self committed */shards/*.tar")
    Path(f"{events}.kill-000002").write_text("self staged */shards/__metadata__/*.json")
    for i in range(kills - 2):
        # spread over the events of an undisturbed run; redone work only adds events, so all of them are reached
        number = 3 + round((i + 0.5) * (events_undisturbed - 1) / (kills - 2))
        Path(f"{events}.kill-{number:06d}").write_text(victims[i % len(victims)])
    complete(root, config(executor, 3), outcome, events, most=kills + 3)
    outcome.kills = Path(f"{events}.killed").read_text().splitlines()
    return outcome


def two_drivers(folder: Path, reference: str) -> tuple[bool, str]:
    root, settings = folder / "two-drivers", config("local", 1)
    first, second = start(root, settings, None), start(root, settings, None)
    codes = sorted([first.wait(PATIENCE_S), second.wait(PATIENCE_S)])
    same = digest(root) == reference
    return same and codes[0] == 0, f"exit codes {codes}, shards and tables {'equal' if same else 'DIFFER'}"


def main() -> None:
    full = full_form(sys.argv)
    kills = KILLS["full" if full else "reduced"]
    seconds = sum(path.stat().st_size for path in speech()) / 32000
    heading(
        "bench-resume",
        full,
        f"{len(speech())} real recordings, {seconds:.0f} s, units of 12 s",
        ["ray", "pyarrow", "onnxruntime", "pocketsphinx"],
    )
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="voxmill-resume-") as name:
        folder = Path(name)
        num_events = 0
        for executor in ("local", "ray"):
            for workers in (1, 3):
                outcome = Outcome(f"{executor}, {workers} workers a stage")
                events = folder / f"{executor}-{workers}.events"
                complete(folder / f"{executor}-{workers}", config(executor, workers), outcome, events, most=1)
                outcome.events = len(events.read_text().splitlines())
                num_events = outcome.events
                outcomes.append(outcome)
            outcomes.append(disturbed(folder, executor, kills, num_events))
        (samples,) = open_catalog(str(folder / "local-1")).execute("SELECT count(*) FROM samples").fetchone() or (0,)
        drivers_ok, drivers = two_drivers(folder, outcomes[0].digest)
    table(
        ("run", "starts", "kills", "attempts", "units", "redone", "seconds", "sha256 of shards and tables"),
        [
            (
                o.name,
                str(o.starts),
                str(len(o.kills)),
                str(o.attempts),
                str(o.units),
                str(o.attempts - o.units),
                f"{o.seconds:.0f}",
                o.digest[:16],
            )
            for o in outcomes
        ],
    )
    for outcome in outcomes:
        for kill in outcome.kills:
            number, whom, event, _, uri = kill.split(" ", 4)
            print(f"  {outcome.name}: at event {number} the {whom} was killed: {event} {'/'.join(uri.split('/')[-3:])}")
    print(f"\n  two drivers at once: {drivers}\n  samples in the shards: {samples}\n")
    killed = [o for o in outcomes if o.kills]
    total = sum(len(o.kills) for o in killed)
    digests = {o.digest for o in outcomes}
    worst = max((o.attempts - o.units) / max(len(o.kills), 1) for o in killed)
    finish(
        "bench-resume",
        {"runs": len(outcomes), "kills": total, "samples": samples, "redone_per_kill": round(worst, 3), "events": num_events},
        {
            "byte-identical": {
                "value": f"{len(digests)} different digests of {len(outcomes)} runs",
                "target": "1",
                "met": len(digests) == 1 and samples > 0,
            },
            "kills": {"value": total, "target": ">= 20", "met": total >= 20},
            "redone": {"value": round(worst, 3), "target": "at most one unit for each of 3 workers a kill", "met": worst <= 3},
            "two drivers": {"value": drivers, "target": "no harm", "met": drivers_ok},
        },
        full,
    )


if __name__ == "__main__":
    main()

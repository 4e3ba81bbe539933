"""Clocks that lie: leases from the future and the past, drivers dead and alive, machines whose clock jumps while they work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from threading import Event, Thread

import duckdb
import numpy as np
import soundfile as sf
import yaml

from benchmarks.runs import VOXMILL
from benchmarks.wild.result import Result
from voxmill.manifests.storage import commit_bytes
from website import Answer, Website

DAYS = 86_400.0
PROMISED_S = 60.0
"""What `voxmill` says a dead driver's lease may last."""
SLACK_S = 30.0
"""For a machine that does many things at once."""

JUMP = """
import os, time
_since, _now, _ahead = time.monotonic(), time.time, float(os.environ["CLOCK_JUMP"])
time.time = lambda: _now() + (_ahead if time.monotonic() - _since > 4 else 0)
"""
"""A `sitecustomize` under which the clock of every process jumps, four seconds after its start."""

DRIVER = """
import signal, sys, time
from voxmill.pipeline.state.driver_lease import Lease
from voxmill.pipeline.state.run import Run
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it runs in the background ignore it
with Lease(Run(sys.argv[1])):
    while True:
        open(sys.argv[1] + "/wrote", "a").write(".")
        time.sleep(0.1)
"""

Case = Callable[[Path], str]
"""Works in a folder of its own; returns what is wrong, or nothing."""


def run(folder: Path, full: bool) -> Result:
    """All at once: most of them wait."""
    with ThreadPoolExecutor(len(CASES)) as threads:
        begun = {name: threads.submit(_timed, case, folder / str(n)) for n, (name, case) in enumerate(CASES.items())}
        ended = {name: future.result() for name, future in begun.items()}
    rows = [(name, f"{wall:.0f} s", wrong or "as it must") for name, (wall, wrong) in ended.items()]
    wrong = tuple(f"{name}: {said}" for name, (_, said) in ended.items() if said)
    return Result("clocks", len(CASES), 0, wrong, (("case", "took", ""), *rows))


def _timed(case: Case, folder: Path) -> tuple[float, str]:
    folder.mkdir()
    began = time.monotonic()
    try:
        said = case(folder)
        return time.monotonic() - began, said
    except Exception as error:  # noqa: BLE001 - a case that breaks is wrong, the others go on
        return time.monotonic() - began, f"{type(error).__name__}: {error}"


def _lease(**changes: object) -> str:
    lease = {"token": "x", "pid": 1, "started": 1.0, "host": "elsewhere", "boot": 1, "renewed": time.time()}
    return json.dumps({**lease, **changes})


def _crawl(
    folder: Path, watching: list[float] | None = None, urls: list[str] | None = None, **environment: str
) -> tuple[int, str, float]:
    """Exit code, what was said, and the seconds that it took; when it says that it watches a lease is put into `watching`."""
    source = {"name": "s", "urls": urls} if urls else {"name": "s", "path": str(_tone(folder))}
    crawl = {"contact": "tests@example.org", "allow_private": ["127.0.0.1"], "requests_per_second": 1.5, "retries": 1}
    config = folder / "config.yaml"
    config.write_text(
        yaml.safe_dump({"sources": [source], "crawl": crawl, "transcribe": [{"kind": "pocketsphinx", "name": "p"}]})
    )
    command = [VOXMILL, "crawl", "-c", str(config), "-o", str(folder / "run"), "--executor", "local"]
    began, said = time.monotonic(), ""
    environment = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as voxmill:
        for line in voxmill.stdout or ():
            said += line
            if watching is not None and "watching" in line:
                watching.append(time.monotonic())
    return voxmill.returncode, said, time.monotonic() - began


def _tone(folder: Path) -> Path:
    path = folder / "tone.wav"
    sf.write(path, 0.1 * np.sin(np.arange(16_000) / 5), 16_000)
    return path


def _taken_over(lease: Callable[[], str], limit: float, least: float | None = None) -> Case:
    """The lease is another's from when the line says that it is watched for as long as that line promises, and no longer."""

    def case(folder: Path) -> str:
        (folder / "run").mkdir()
        path, seen = folder / "run" / "lease.json", list[float]()
        path.write_text(lease())
        before, stop = path.read_bytes(), Event()

        def watch() -> None:
            while not stop.wait(0.1):
                try:
                    same = path.read_bytes() == before
                except FileNotFoundError:
                    same = False
                if not same:
                    seen.append(time.monotonic())
                    return

        thread = Thread(target=watch)
        thread.start()
        try:
            code, said, _ = _crawl(folder, began := list[float]())
        finally:
            stop.set()
            thread.join()
        if code or "Traceback" in said:
            return f"ended with {code}: {said[-300:]}"
        if not began or not seen or path.exists():
            return f"not watched and taken over: {said[-300:]}"
        took = seen[0] - began[0]
        return "" if (least or limit) - 2 <= took <= limit + SLACK_S else f"watched for {took:.0f} s, not {limit:.0f}"

    return case


def _respected(ahead: float) -> Case:
    """A living driver elsewhere, its clock wrong, that renews its lease as ours do."""

    def case(folder: Path) -> str:
        (folder / "run").mkdir()
        path, stop = folder / "run" / "lease.json", Event()
        path.write_text(_lease(renewed=time.time() + ahead))

        def live() -> None:
            while not stop.wait(PROMISED_S / 4):
                commit_bytes(path, _lease(renewed=time.time() + ahead).encode(), replace=True)

        thread = Thread(target=live)
        thread.start()
        try:
            code, said, _ = _crawl(folder)
        finally:
            stop.set()
            thread.join()
        if not code or "in use by process 1 on elsewhere" not in " ".join(said.split()):
            return f"ended with {code}: {said[-300:]}"
        return "" if {p.name for p in (folder / "run").iterdir()} == {"lease.json"} else "it wrote into the run"

    return case


def _stopped(folder: Path) -> str:
    """A driver that is stopped (as a laptop's are by its lid) and comes back to a run that is another's."""
    root = folder / "run"
    root.mkdir()
    with subprocess.Popen([sys.executable, "-c", DRIVER, str(root)], stderr=subprocess.PIPE, text=True) as driver:
        try:
            for _ in range(600):
                if (root / "wrote").exists():
                    break
                time.sleep(0.1)
            driver.send_signal(signal.SIGSTOP)
            time.sleep(PROMISED_S / 4 + 2)
            (root / "lease.json").write_text(_lease(token="another"))
            driver.send_signal(signal.SIGCONT)
            _, said = driver.communicate(timeout=SLACK_S)
        finally:
            driver.kill()
    if "another driver's now" not in said:
        return f"ended with {driver.returncode}: {said[-300:]}"
    return "" if json.loads((root / "lease.json").read_text())["token"] == "another" else "it took the lease back"


def _outcomes(folder: Path) -> dict[str, int]:
    found = duckdb.connect().execute(
        f"SELECT coalesce(rejection.reason, 'kept'), count(*) FROM '{folder}/run/manifests/outcomes/*/*.parquet' GROUP BY 1"
    )
    return dict(found.fetchall())


def _jumps(ahead: float) -> Case:
    """The clock jumps while files are fetched: nothing is refused for it, and no cost is below zero."""

    def case(folder: Path) -> str:
        (folder / "hooks").mkdir()
        (folder / "hooks" / "sitecustomize.py").write_text(JUMP)
        with _site(folder) as site:
            path = os.pathsep.join([str(folder / "hooks"), os.environ.get("PYTHONPATH", "")])
            urls = [f"{site.url}/{n}.wav" for n in range(6)]
            code, said, _ = _crawl(folder, None, urls, PYTHONPATH=path, CLOCK_JUMP=str(ahead))
        if code or "Traceback" in said:
            return f"ended with {code}: {said[-300:]}"
        costs = duckdb.connect().execute(f"SELECT wall_s, cpu_s FROM '{folder}/run/manifests/*/*/*.costs.parquet'").fetchall()
        if not costs or min(map(min, costs)) < 0:
            return f"costs {costs}"
        found = _outcomes(folder)
        return "" if found == {"kept": 6} else f"outcomes {found}"

    return case


def _gate_from(ahead: float) -> Case:
    """What an earlier driver knew of a host, by a clock that was wrong."""

    def case(folder: Path) -> str:
        with _site(folder) as site:
            (folder / "run").mkdir()
            now = time.time() + ahead
            state = {"next_at": now + 1, "hold_until": now + 1, "num_requests": 3}
            (folder / "run" / "hosts.json").write_text(json.dumps({"hosts": {site.host: state}, "notes": {}, "saved_at": now}))
            code, said, _ = _crawl(folder, None, [f"{site.url}/0.wav"])
        found = {} if code else _outcomes(folder)
        return "" if found == {"kept": 1} else f"ended with {code}, outcomes {found}: {said[-300:]}"

    return case


def _retry_after(ahead: float) -> Case:
    """A host whose own clock is wrong asks for a pause of two seconds by a date."""

    def case(folder: Path) -> str:
        with _site(folder) as site:
            good, asked = site.routes["/0.wav"], list[float]()

            def busy(_: object) -> Answer:
                asked.append(time.monotonic())
                now = time.time() + ahead
                dates = {"Date": formatdate(now, usegmt=True), "Retry-After": formatdate(now + 2, usegmt=True)}
                return Answer(b"", 503, dates) if len(asked) == 1 else good  # type: ignore[return-value]

            site.routes["/0.wav"] = busy
            code, said, _ = _crawl(folder, None, [f"{site.url}/0.wav"])
        found = {} if code else _outcomes(folder)
        if found != {"kept": 1}:
            return f"ended with {code}, outcomes {found}: {said[-300:]}"
        return "" if asked[-1] - asked[0] > 1 else "it did not wait"

    return case


def _site(folder: Path) -> Website:
    """Six recordings, of different lengths so that none is a copy."""
    site = Website()
    for n in range(6):
        path = folder / f"{n}.wav"
        sf.write(path, 0.1 * np.sin(np.arange(16_000 + 800 * n) / (5 + n)), 16_000)
        site.routes[f"/{n}.wav"] = Answer(path.read_bytes(), headers={"Content-Type": "audio/wav"})
    return site


CASES: dict[str, Case] = {
    "a dead driver's lease, three days ahead": _taken_over(lambda: _lease(renewed=time.time() + 3 * DAYS), PROMISED_S),
    "a dead driver's lease, a moment old": _taken_over(_lease, PROMISED_S, PROMISED_S / 3),  # it may be old when we look
    "a dead driver's lease, three days old": _taken_over(lambda: _lease(renewed=time.time() - 3 * DAYS), PROMISED_S / 3),
    "a lease that nobody could have written": _taken_over(lambda: '{"renewed": "soon", "pid": []}', PROMISED_S),
    "a living driver, its clock three days ahead": _respected(3 * DAYS),
    "a living driver, its clock three days behind": _respected(-3 * DAYS),
    "a driver that was stopped and lost its lease": _stopped,
    "the clock jumps three days on": _jumps(3 * DAYS),
    "the clock jumps three days back": _jumps(-3 * DAYS),
    "what was known of a host, saved three days ahead": _gate_from(3 * DAYS),
    "Retry-After by a clock three days ahead": _retry_after(3 * DAYS),
    "Retry-After by a clock three days behind": _retry_after(-3 * DAYS),
}

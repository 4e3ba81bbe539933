"""`make bench-crawl`: files a second with one and with many requests in flight, a slow host among ten, and politeness in the servers' logs.

The servers run in a process of their own, each a host with its own port, and answer every request after a stated time. Fetched are small
files, so that what is measured is waiting. Last, three worker processes share one gate, and one of them is killed in mid-transfer.
"""

from __future__ import annotations

import json
import multiprocessing
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

import crawl_worker
from benchmarks.report import Target, finish, full_form, heading, table
from crawl_worker import listed
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.crawl.crawl import Crawl
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig
from voxmill.operators.crawl.policy.host_limit import GateMessage, GateReply, Refused
from voxmill.operators.crawl.policy.local_gate import LocalGate
from voxmill.pipeline.execution.host_limit_server import open_gate
from voxmill.pipeline.state.run import Run
from website import Answer, Website

HOSTS = 10
FILES = {"reduced": 6, "full": 40}
"""Files of each host."""
LATENCY_S, SLOW_S = 0.25, 2.0
"""Time until a host answers, and a slow one."""
RATE, AT_ONCE = 10.0, 2
"""Requests a second to one host, and at once."""
SONG = b"ID3" + bytes(20_000)


class CountedGate(LocalGate):
    """Counts the calls that workers make."""

    num_calls = 0

    def exchange(self, message: GateMessage) -> GateReply:
        self.num_calls += 1
        return super().exchange(message)

    def report(
        self, host: str, status: int, *, retry_after: float | None = None, bot_page: str | None = None
    ) -> Refused | None:
        self.num_calls += 1
        return super().report(host, status, retry_after=retry_after, bot_page=bot_page)

    def recall(self, origin: str, name: str) -> str | None:
        self.num_calls += 1
        return super().recall(origin, name)

    def remember(self, origin: str, name: str, value: str, seconds: float) -> None:
        self.num_calls += 1
        super().remember(origin, name, value, seconds)


@dataclass(frozen=True)
class Log:
    """One host's log: when each request came, and how many were answered at once at most."""

    at: list[float]
    most_at_once: int
    paths: list[str]


def serve(pauses: Sequence[float], files: int, pipe: Connection) -> None:
    """Hosts with these pauses, until a message comes; then their logs."""
    with ExitStack() as stack:
        sites = [stack.enter_context(Website()) for _ in pauses]
        for site, pause in zip(sites, pauses, strict=True):
            quick = Answer(b"", 404, pause=pause)
            site.routes |= {"/robots.txt": quick, "/.well-known/tdmrep.json": quick}
            site.routes |= {f"/{n}.mp3": Answer(f"{site.port} {n} ".encode() + SONG, pause=pause) for n in range(files)}
            site.routes |= {f"/stuck{n}.mp3": Answer(SONG, drip=0.01) for n in range(AT_ONCE)}
        pipe.send([site.url for site in sites])
        while pipe.recv() == "log":
            pipe.send([Log([a.at for a in s.asked()], s.most_at_once, [a.path for a in s.asked()]) for s in sites])


class Hosts:
    """The servers, from outside their process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.urls: list[str] = pipe.recv()

    def logs(self) -> list[Log]:
        self._pipe.send("log")
        logs: list[Log] = self._pipe.recv()
        return logs


@contextmanager
def hosts(pauses: Sequence[float], files: int) -> Iterator[Hosts]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(pauses, files, theirs), daemon=True)
    process.start()
    try:
        yield Hosts(ours)
    finally:
        ours.send("end")
        process.join()


def config(in_flight: int) -> CrawlConfig:
    return CrawlConfig(
        contact="https://example.org/contact",
        allow_private=("127.0.0.1",),
        requests_per_second=RATE,
        max_in_flight=AT_ONCE,
        in_flight=in_flight,
    )


@dataclass(frozen=True)
class Arm:
    """What one way of fetching took."""

    name: str
    num_files: int
    seconds: float
    calls: float
    """Calls to the gate, for each request."""
    logs: list[Log]

    def row(self) -> list[str]:
        return [
            self.name,
            str(self.num_files),
            f"{self.seconds:.1f}",
            f"{self.num_files / self.seconds:.2f}",
            f"{self.calls:.1f}",
        ]


def fetched(name: str, pauses: Sequence[float], files: int, in_flight: int | None) -> Arm:
    """All files of all hosts by one worker, the hosts in turn; with `in_flight` None strictly one after the other."""
    with hosts(pauses, files) as there, tempfile.TemporaryDirectory() as folder:
        settings = config(in_flight or 1)
        gate = CountedGate(settings)
        crawl = Crawl(settings, folder, gate)
        items = tuple(listed(f"{url}/{n}.mp3") for n in range(files) for url in there.urls)
        begun = time.monotonic()
        rows = [crawl.fetch(item) for item in items] if in_flight is None else crawl(UnitInput("u", items=items))
        seconds = time.monotonic() - begun
        assert all(row.rejection is None for row in rows), [row.rejection for row in rows if row.rejection]
        logs = there.logs()
    return Arm(name, len(items), seconds, gate.num_calls / sum(len(log.at) for log in logs), logs)


@dataclass(frozen=True)
class Shared:
    """What three workers on one gate did, one of them killed."""

    logs: list[Log]
    freed_after_s: float
    """From the kill to the next request at the host whose places it held."""
    kept: int
    wanted: int


def three_workers(files: int) -> Shared:
    with hosts([LATENCY_S] * 3, files) as there, tempfile.TemporaryDirectory() as folder:
        settings, home = config(16), Path(folder)
        urls = [[f"{url}/{n}.mp3" for n in range(k, files, 3) for url in there.urls] for k in range(3)]
        urls[0] = [f"{there.urls[0]}/stuck{n}.mp3" for n in range(AT_ONCE)] + urls[0]
        with open_gate("machine", Run(str(home / "run")), settings) as gate:
            workers = []
            for number, mine in enumerate(urls):
                task = home / f"task{number}"
                task.write_bytes(pickle.dumps((settings, str(home / "audio"), gate, mine)))
                command = [sys.executable, crawl_worker.__file__, str(task)]
                workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            while sum(path.startswith("/stuck") for path in there.logs()[0].paths) < AT_ONCE:
                time.sleep(0.05)
            workers[0].send_signal(signal.SIGKILL)
            killed_at = time.monotonic()
            workers[0].wait()
            rows = [json.loads(worker.communicate(timeout=300)[0]) for worker in workers[1:]]
        logs = there.logs()
    kept = sum(outcome == "kept" for found in rows for _, outcome in found)
    freed = min(at for at in logs[0].at if at > killed_at) - killed_at
    return Shared(logs, freed, kept, len(urls[1]) + len(urls[2]))


def closest(logs: Sequence[Log]) -> float:
    """The shortest time between two requests to one host, in intervals."""
    return min(b - a for log in logs for a, b in pairwise(sorted(log.at))) * RATE


def busiest(logs: Sequence[Log], intervals: int = 10) -> int:
    """Most requests to one host within so many intervals."""
    return max(sum(t <= other < t + intervals / RATE for other in log.at) for log in logs for t in log.at)


def main(full: bool) -> None:
    files = FILES["full" if full else "reduced"]
    said = f"{HOSTS} hosts of {files} files that answer after {LATENCY_S} s, a slow one after {SLOW_S} s; {RATE:g} requests/s and {AT_ONCE} at once"
    heading("bench-crawl", full, said, ["urllib3", "protego"])
    same, mixed = [LATENCY_S] * HOSTS, [SLOW_S, *[LATENCY_S] * (HOSTS - 1)]
    alone = fetched("the slow host alone, 16 in flight", [SLOW_S], files, 16)
    one = fetched("one after the other", same, files, None)
    many = fetched("16 in flight", same, files, 16)
    slow = fetched("16 in flight, one of ten slow", mixed, files, 16)
    table(["one worker", "files", "seconds", "files/s", "gate calls/request"], [arm.row() for arm in (one, many, alone, slow)])
    shared = three_workers(3 * files)
    table(
        ["requests in the logs", "hosts", "requests", "most at once", "closest (intervals)", "most in 10 intervals"],
        [
            [name, str(len(logs)), str(sum(len(log.at) for log in logs)), str(max(log.most_at_once for log in logs)),
             f"{closest(logs):.2f}", str(busiest(logs))]
            for name, logs in (("one worker, 16 in flight", many.logs), ("three workers, one killed", shared.logs))
        ],
    )  # fmt: skip
    print(f"  the killed worker's places were free after {shared.freed_after_s:.1f} s\n")
    faster, held_up = one.seconds / many.seconds, slow.seconds / alone.seconds
    at_once = max(log.most_at_once for log in many.logs + shared.logs)
    lease = config(16).lease_seconds
    most = max(busiest(many.logs), busiest(shared.logs))
    targets: dict[str, Target] = {
        "files/s, 16 in flight over one after the other": {"value": round(faster, 1), "target": "≥ 6", "met": faster >= 6},
        "time with a slow host among ten over its own": {
            "value": round(held_up, 2),
            "target": "≤ 1.25",
            "met": held_up <= 1.25,
        },
        "requests at once at one host": {"value": at_once, "target": f"≤ {AT_ONCE}", "met": at_once <= AT_ONCE},
        "requests within 10 intervals at one host": {"value": most, "target": "≤ 11", "met": most <= 11},
        "seconds until a killed worker's places are free": {
            "value": round(shared.freed_after_s, 1),
            "target": f"≤ {lease + 3:g}",
            "met": shared.freed_after_s <= lease + 3,
        },
        "files kept by the other two workers": {
            "value": shared.kept,
            "target": str(shared.wanted),
            "met": shared.kept == shared.wanted,
        },
        "calls to the gate for each request": {"value": round(many.calls, 1), "target": "≤ 4", "met": many.calls <= 4},
    }
    figures = {"files_per_s": {arm.name: round(arm.num_files / arm.seconds, 2) for arm in (one, many, alone, slow)}}
    finish("bench-crawl", figures, targets, full)


if __name__ == "__main__":
    main(full_form(sys.argv))

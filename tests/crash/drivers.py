"""The processes of a simulated run: drivers, their workers, and a revocation. They do with the run's own code what `runner.py` and `revoke.py` do."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import cast

from rich.console import Console

from crash.late_store import ROOT, STORE
from crash.oracle import Oracle
from crash.speech import REVOKED, RUN_JSON, TABLE_STAGES, recordings, segments, source, stone, unit
from crash.virtual_time import Process, Task, World
from voxmill.manifests.records import Recording
from voxmill.manifests.storage import commit_bytes, remove
from voxmill.pipeline import runner
from voxmill.pipeline.books import JournalBooks, WorkerBuffer
from voxmill.pipeline.rights.request import apply_tombstones, has_unfinished
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.driver_lease import Lease
from voxmill.pipeline.state.fragment import FragmentInfo
from voxmill.pipeline.state.listing import RECORDINGS
from voxmill.pipeline.state.positions import position_of
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunDir, RunError
from voxmill.pipeline.state.table_writer import catalog_sha256, is_published
from voxmill.pipeline.state.tombstone_store import FOLDER, name_of
from voxmill.pipeline.terminal.progress import Progress

PROGRESS = Progress(Console(file=io.StringIO()), quiet=True)


@dataclass
class Cluster:
    """Where processes are started."""

    world: World
    oracle: Oracle
    processes: dict[int, Process] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    """Names of the processes that ended as they should."""
    worker_dies: float = 0.0
    """Probability that a unit ends its worker."""

    def machine(self) -> Process:
        """A new process, perhaps on a machine that others are on as well."""
        luck, pid = self.world.random, len(self.processes) + 2
        name = f"machine-{luck.randrange(3)}"
        skew = 86_400.0 * (hash_of(name) % 3 - 1)
        self.processes[pid] = Process(self.world, f"process {pid}", name, pid, skew)
        return self.processes[pid]


def hash_of(text: str) -> int:
    """A number that is the same in every process."""
    return sum(text.encode())


@dataclass
class Crew:
    """The workers of one driver, as far as it knows."""

    cluster: Cluster
    owner: Process
    stage: Stage
    waiting: list[str]
    inbox: list[tuple[Process, list[FragmentInfo]]] = field(default_factory=list)
    hands: dict[int, list[str]] = field(default_factory=dict)
    """What each worker has and has not committed, by process id."""
    deaths: list[int] = field(default_factory=list)
    closed: bool = False
    sleeping: list[Task] = field(default_factory=list)
    """Threads that wait for something to do: workers, or the driver."""

    def rest(self, seconds: float) -> None:
        """Waits until there is something to do."""
        task = self.cluster.world.current
        assert task
        self.sleeping.append(task)
        try:
            self.cluster.world.sleep(seconds)
        finally:
            self.sleeping.remove(task)

    def call(self) -> None:
        """There is something to do."""
        for task in self.sleeping:
            self.cluster.world.wake(task)

    def start(self) -> None:
        """One more worker."""
        process = self.cluster.machine()
        process.name += f" (worker of {self.stage.key})"
        self.hands[process.pid] = []
        self.cluster.world.spawn(process, lambda: self._live(process), delay=self.cluster.world.random.random() * 5)

    def _live(self, process: Process) -> None:
        try:
            self._work(process)
        except Exception as error:  # noqa: BLE001 - it is the answer
            if not process.disturbed:
                self.cluster.oracle.blame(f"{process.name} ended with {type(error).__name__}: {error}")

    def _work(self, process: Process) -> None:
        world, luck = self.cluster.world, self.cluster.world.random.random
        run, buffer = Run(ROOT), WorkerBuffer(RunDir(ROOT))
        while not (self.closed or self.owner.dead):
            if self.waiting:
                key = self.waiting.pop(0)
                self.hands[process.pid].append(key)
                mine = _recording(run, position_of(key))
                world.sleep(1 + 20 * luck())
                if luck() < self.cluster.worker_dies:
                    self.deaths.append(process.pid)
                    process.kill()
                    return
                buffer.add(self.stage, key, segments(position_of(key), mine))
            if len(buffer) and (luck() < 0.5 or not self.waiting):
                infos = buffer.flush()
                self.inbox.append((process, infos))
                self.call()
            elif not self.waiting:
                self.rest(60)
        if luck() < 0.5:  # its driver is gone, and nobody has told it yet
            if luck() < 0.5:
                world.sleep(900 * luck())  # its machine was suspended
            buffer.flush()


def _recording(run: Run, position: int) -> Recording:
    try:
        (mine,) = run.ledger.read(RECORDINGS, position)
    except FileNotFoundError:  # as in `Worker._input`
        run.ledger.refresh()
        (mine,) = run.ledger.read(RECORDINGS, position)
    return cast(Recording, mine)


def run_stages(cluster: Cluster, run: Run, stage: Stage, units: int) -> None:
    """What the runner and its executor do for one stage."""
    missing = [n for first, end in run.ledger.done(stage).missing(0, units) for n in range(first, end)]
    if not missing:
        return
    luck = cluster.world.random
    books = JournalBooks(run, {stage.name: stage}).for_executor(PROGRESS.say)
    crew = Crew(cluster, cluster.world.process, stage, [unit(n) for n in missing])
    if luck.random() < 0.3:
        luck.shuffle(crew.waiting)
    for _ in range(luck.randint(1, 3)):
        crew.start()
    try:
        while not run.ledger.done(stage).holds(0, units):
            if not crew.inbox:
                crew.rest(15)
            news, crew.inbox = crew.inbox, []
            if news:
                books.committed([infos for _, infos in news])
                for process, infos in news:
                    done = {n for info in infos for n in info.stages[stage.key]}
                    crew.hands[process.pid] = [key for key in crew.hands[process.pid] if position_of(key) not in done]
            if luck.random() < 0.1:
                books.in_flight([key for mine in crew.hands.values() for key in mine])
            for pid in [pid for pid in crew.hands if cluster.processes[pid].dead]:
                lost = crew.hands.pop(pid)
                if pid in crew.deaths:
                    books.struck([stage.name], lost[-1:])
                crew.waiting += lost
                crew.start()
            for pid in [pid for pid in crew.hands if cluster.processes[pid].over]:  # it could not go on
                crew.waiting += crew.hands.pop(pid)
                crew.start()
            if crew.waiting:
                crew.call()
    finally:
        crew.closed = True
        crew.call()
    run.ledger.fold()


def drive(cluster: Cluster, fingerprint: str, units: int) -> None:
    """`voxmill run`."""
    run, stage = Run(ROOT), TABLE_STAGES[fingerprint]
    with Lease(run, lambda _: None):
        commit_bytes(run.uri("run.json"), RUN_JSON, replace=True)
        began = runner._recover(run, PROGRESS)
        if has_unfinished(run):
            apply_tombstones(run)
        listed = run.listing.num_units
        if listed < units:
            _list(run, listed, units)
        units = run.listing.num_units
        run_stages(cluster, run, stage, units)
        _publish(run, stage)
        if run.ledger.state.number != began:
            run.ledger.fold()
            run.ledger.sweep(_published(run))


def _list(run: Run, first: int, end: int) -> None:
    prepared = run.ledger.prepare(RECORDINGS, recordings(run, first, end))
    told = {"sources": [f"g{first}"], "facts": {}, "groups": [0, 0], "units": [first, end]}
    run.ledger.append({"chunks": prepared, "generation": told})


def _publish(run: Run, stage: Stage) -> None:
    """Stands for shards and tables: one file that says which files of the ledger they were made of."""
    files = [chunk.rows for one in (RECORDINGS, stage) for chunk in run.ledger.chunk_files(one)]
    stamp = "\n".join(files)
    if run.ledger.state.packed == stamp and is_published(run):
        return
    commit_bytes(run.uri("catalog.sql"), stamp.encode(), replace=True)
    run.ledger.append({"packed": stamp, "catalog": catalog_sha256(run)})


def _published(run: Run) -> set[str]:
    return set(STORE.send(lambda: STORE.get("run/catalog.sql")).decode().split("\n"))


def revoke(cluster: Cluster) -> None:
    """`voxmill revoke`."""
    run = Run(ROOT)
    with Lease(run, lambda _: None):
        run.ledger.begin()
        run.bury(stone())
        apply_tombstones(run)
        remove(run.uri("catalog.sql"))
        run.ledger.sweep()
        commit_bytes(run.uri(FOLDER, f"{name_of(stone())}.report.json"), json.dumps({"absent": True}).encode())
    cluster.oracle.revoked = source(REVOKED).id


def attempt(cluster: Cluster, process: Process, what: str, fingerprint: str, units: int) -> None:
    """One command from its start to its end, however it ends."""
    try:
        if what == "revoke":
            revoke(cluster)
        else:
            drive(cluster, fingerprint, units)
        cluster.finished.append(process.name)
    except (RunError, KeyboardInterrupt):
        return
    except Exception as error:  # noqa: BLE001 - it is the answer
        if not process.disturbed:
            cluster.oracle.blame(f"{process.name} ended with {type(error).__name__}: {error}")

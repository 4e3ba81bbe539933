"""Small jobs that executors run in tests: they leave a file per key, and some of them misbehave."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxmill.pipeline.execution.executor import Buffer
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.stage import Done

if TYPE_CHECKING:  # every worker of a test imports this file, and these would take most of its start
    from voxmill.operators.contract.unit_input import Operator
    from voxmill.operators.crawl.policy.host_limit import HostGate


class Touch:
    """Leaves a file per key; needs the file of the job before it, where there is one."""

    def __init__(self, folder: str, name: str, after: str | None = None) -> None:
        self.folder, self.name, self.after = Path(folder), name, after

    def __call__(self, key: str) -> Done:
        if self.after:
            assert (self.folder / f"{self.after}-{key}").exists(), f"{key} came to {self.name} before {self.after} was done"
        (self.folder / f"{self.name}-{key}").write_text(str(os.getpid()))
        return Done(self.name, key, kept=1, seconds=1.0, wall_s=0.01)


class DiesTwice(Touch):
    """Kills its own process the first two times it sees the key `bad`."""

    def __call__(self, key: str) -> Done:
        deaths = self.folder / "deaths"
        count = int(deaths.read_text()) if deaths.exists() else 0
        if key == "bad" and count < 2:
            deaths.write_text(str(count + 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(key)


class Raises(Touch):
    def __call__(self, key: str) -> Done:
        if key == "bad":
            raise ValueError("a bug, not bad data")
        return super().__call__(key)


class TellsMemory(Touch):
    """Leaves what its process has been told about memory."""

    def __call__(self, key: str) -> Done:
        done = super().__call__(key)
        (self.folder / f"{self.name}-{key}").write_text(os.environ.get("MALLOC_ARENA_MAX", ""))
        return done


class Refusal:
    """Each key is a host that told us to stop; its worker tells the gate."""

    def __init__(self, gate: HostGate) -> None:
        self.gate = gate

    def __call__(self, key: str) -> Done:
        self.gate.report(key, 429, retry_after=1000.0)
        return Done("refusal", key)


class Slow(Touch):
    def __call__(self, key: str) -> Done:
        time.sleep(0.5)
        return super().__call__(key)


class AlwaysDies(Touch):
    def __call__(self, key: str) -> Done:
        if key == "bad":
            with (self.folder / "deaths").open("a") as log:
                log.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(key)


class BrokenSetUp(Touch):
    def __call__(self, key: str) -> Done:
        raise StageError("fails on every member: no weights")


def nothing() -> Operator:
    """For stages that are only read in a test. Here, because workers must be able to import it."""
    raise AssertionError("this stage is not to run")


class Pages:
    """A buffer: lines that steps leave, written as one file at each flush."""

    def __init__(self, folder: str) -> None:
        self.folder, self.lines = Path(folder), list[str]()

    def __len__(self) -> int:
        return len(self.lines)

    def flush(self) -> tuple[str, ...]:
        lines, self.lines = tuple(self.lines), []
        (self.folder / f"page-{os.getpid()}-{time.monotonic_ns()}").write_text("\n".join(lines))
        return lines


class Writes:
    """Leaves a line in the buffer, and in what the key carries. Kills its worker, at the key `bad`, until it is told of two strikes."""

    def __init__(self, name: str, before: str | None = None) -> None:
        self.name, self.before = name, before

    def __call__(self, key: str, carried: dict[str, Any], buffer: Buffer, strikes: int) -> Done:
        assert isinstance(buffer, Pages)
        if self.before:
            assert carried[self.before] == f"{self.before} {key}"
        if key == "bad" and self.name == "b" and strikes < 2:
            os.kill(os.getpid(), signal.SIGKILL)
        carried[self.name] = f"{self.name} {key}"
        buffer.lines.append(carried[self.name])
        return Done(self.name, key)


class WritesSlowly(Writes):
    """Takes its time after the third key."""

    taken = 0

    def __call__(self, key: str, carried: dict[str, Any], buffer: Buffer, strikes: int) -> Done:
        self.taken += 1
        if self.taken > 3:
            time.sleep(2)
        return super().__call__(key, carried, buffer, strikes)


class NotesNode(Writes):
    """Takes a moment, and leaves a line with the id of the Ray node that it ran on."""

    def __call__(self, key: str, carried: dict[str, Any], buffer: Buffer, strikes: int) -> Done:
        import ray

        assert isinstance(buffer, Pages)
        assert self.before is None or self.before in carried
        time.sleep(0.3)
        carried[self.name] = ray.get_runtime_context().get_node_id()
        buffer.lines.append(f"{self.name} {key} {carried[self.name]}")
        return Done(self.name, key)

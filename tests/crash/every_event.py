"""A crash at every commit event of a small run, and what the same command makes of what is left.

Three are ended, each at each event of its own: a worker (its driver goes on), the driver with its workers, and the machine: with it goes what
was written and not synced on its disk (`unsynced.py`), and all temporary files where the run lies in a store.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from unittest.mock import patch

from crash.small_run import Events, config, die, digest, forked, line, problems, replaced, sources
from crash.unsynced import SyncedDisk
from voxmill.manifests import storage

Victim = Literal["worker", "driver", "machine"]
VICTIMS: tuple[Victim, ...] = ("worker", "driver", "machine")

NEEDED = (
    "voxmill",
    "duckdb",
    "pyarrow",
    "fsspec",
    "s3fs",
    "aiobotocore",
    "botocore",
    "aiohttp",
    "av",
    "soundfile",
    "numpy",
    "rich",
)
"""Packages of which a run loads parts when it first needs them."""


@dataclass(frozen=True)
class Place:
    """Where runs lie: a folder, or a prefix in a store. Everything local is in `folder`."""

    name: str
    folder: Path
    prefix: str = ""

    def root(self, name: str) -> str:
        """The run of this name."""
        return f"{self.prefix}/{name}" if self.prefix else str(self.folder / name / "run")

    def fresh(self, name: str) -> str:
        """The same, with the folder around it."""
        if not self.prefix:
            (self.folder / name).mkdir(parents=True)
        return self.root(name)


@dataclass(frozen=True)
class Reference:
    """A run that nobody disturbed."""

    digest: str
    events: tuple[str, ...]
    """Of the driver where all is one process."""
    worker_events: int


class Trials:
    """All crashes of one place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        place.folder.mkdir(parents=True, exist_ok=True)
        self.settings = config(sources(place.folder), workers=1)
        self.reference = Reference("", (), 0)
        self.reference = self._undisturbed()

    def count(self, victim: Victim) -> int:
        """Events at which it can be ended."""
        return self.reference.worker_events if victim == "worker" else len(self.reference.events)

    def trial(self, victim: Victim, number: int) -> str:
        """What was wrong after a crash at an event; empty: nothing."""
        name = f"{victim}-{number}"
        root = self.place.fresh(name)
        crash = {"worker": self._worker, "driver": self._driver, "machine": self._machine}[victim]
        wrong = crash(root, number) or self._ends_well(root)
        if self.place.prefix:
            forked(lambda: _remove_tree(root))
        else:
            shutil.rmtree(self.place.folder / name)
        return wrong

    def _undisturbed(self) -> Reference:
        events = Events()

        def whole() -> str:
            root = self.place.fresh("undisturbed")
            storage.events.append(events)
            line(root, self.settings)
            storage.events.clear()
            if found := problems(root, self.settings):
                raise AssertionError(found)
            return json.dumps([digest(root), events.seen, [name for name in sys.modules if name.startswith(NEEDED)]])

        status, said = forked(whole)
        if status:
            raise SystemExit(f"the undisturbed run failed:\n{said}")
        made, seen, modules = json.loads(said)
        for module in modules:  # else every fork would import them for itself
            with suppress(ImportError):
                importlib.import_module(module)
        status, said = forked(lambda: self._with_workers(self.place.fresh("counted"), -1))
        if status:
            raise SystemExit(f"the undisturbed run with workers failed:\n{said}")
        return Reference(made, tuple(seen), int(said))

    def _ends_well(self, root: str) -> str:
        def again() -> str:
            line(root, self.settings)
            found = problems(root, self.settings)
            same = digest(root) == self.reference.digest
            return "" if same and not found else f"{'equal' if same else 'OTHER'} bytes; verify: {found}"

        status, said = forked(again)
        return f"the next run ended with {status}: {said[-600:]}" if status else said

    def _driver(self, root: str, number: int) -> str:
        def crash() -> None:
            storage.events.append(Events(number, die))
            line(root, self.settings)

        status, said = forked(crash)
        return "" if status == -9 else f"it was not killed: {status} {said[-600:]}"

    def _machine(self, root: str, number: int) -> str:
        if self.place.prefix:
            wrong = self._driver(root, number)
            shutil.rmtree(os.environ["TMPDIR"])
            Path(os.environ["TMPDIR"]).mkdir()
            return wrong
        folder = Path(root).parent
        hoard, lost = Path(f"{folder}.hoard"), Path(f"{folder}.lost")

        def crash() -> None:
            disk, events = SyncedDisk(folder, hoard), Events(number)

            def cut() -> None:
                lost.write_text("\n".join(_lost(disk, events.seen)))
                disk.image(Path(f"{folder}.image"))
                die()

            events.then = cut
            storage.events.append(events)
            with disk.watching():
                line(root, self.settings)

        status, said = forked(crash)
        shutil.rmtree(hoard)
        if status != -9:
            return f"it was not cut off: {status} {said[-600:]}"
        replaced(folder, Path(f"{folder}.image"))
        gone = lost.read_text()
        lost.unlink()
        return f"committed, and not synced: {gone}" if gone else ""

    def _worker(self, root: str, number: int) -> str:
        status, said = forked(lambda: self._with_workers(root, number))
        if status:
            return f"the driver ended with {status}: {said[-600:]}"
        return "" if int(said) > number else f"only {said} events"

    def _with_workers(self, root: str, number: int) -> int:
        """How many events workers had; one of them was killed at the event with this number."""
        driver, count = os.getpid(), Path(os.environ["TMPDIR"]) / f"events-{os.getpid()}"
        count.touch()

        def listen(event: str, uri: str) -> None:
            if os.getpid() == driver:
                return
            with count.open("ab") as file:
                file.write(b".")
            if count.stat().st_size == number + 1:
                die()

        storage.events.append(listen)
        with _forking():
            line(root, self.settings, in_process=False)
        return count.stat().st_size


@contextmanager
def _forking() -> Iterator[None]:
    """Workers are forks: their start costs nothing, and nothing here has threads that could be in their way."""
    fork = multiprocessing.get_context("fork")
    with patch("voxmill.pipeline.execution.local_crew.multiprocessing.get_context", lambda kind: fork):
        yield


def _lost(disk: SyncedDisk, seen: list[str]) -> list[str]:
    """Files that were said to be committed, are there, and would not be found after a power cut."""
    committed = dict.fromkeys(one.split(" ", 1)[1] for one in seen if one.startswith("committed "))
    return [uri for uri in committed if Path(uri).exists() and not disk.has(Path(uri))]


def _remove_tree(root: str) -> None:
    fs, top = storage.locate(root)
    fs.rm(top, recursive=True)

"""What every worker on this machine is doing right now, for the display: loading a model, or so many seconds into a unit.

A unit may take minutes, and until it is done its worker has nothing to commit. So each worker process keeps one small file up to date in a
temporary folder that belongs to this start of the run, and the driver reads those files. Nothing depends on them; workers on other machines
do not find the folder, write nothing, and are seen when they finish a unit.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock, Thread

from voxmill.operators.contract.meter import METER

EVERY_S = 1.0
STALE_S = 20.0
"""A file that nobody has touched for so long belongs to a worker that is gone."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What one worker does."""

    stage: str
    loading: bool
    """Whether it is still loading what the stage needs."""
    since_s: float
    """How long it has been doing this."""
    seconds: float = 0.0
    """Audio heard so far in this unit (s); engines hear the same audio one after the other, each from zero."""
    total: float = 0.0
    """Audio in this unit (s); 0 where nobody knows yet."""
    megabytes: float = 0.0
    """Fetched so far."""

    def __str__(self) -> str:
        if self.loading:
            return f"{self.stage}: loading, {self.since_s:.0f} s"
        if self.megabytes:
            return f"{self.stage}: {self.megabytes:.1f} MB fetched in {self.since_s:.0f} s"
        of = f" of {self.total:.0f}" if self.total else ""
        return (
            f"{self.stage}: at {min(self.seconds, self.total or self.seconds):.0f}{of} s of audio, after {self.since_s:.0f} s"
        )


def folder_of(session: str) -> Path:
    """Where the workers of a session leave their notes on this machine."""
    return Path(tempfile.gettempdir()) / f"voxmill-{session}"


@contextmanager
def watched(session: str) -> Iterator[Path]:
    """The driver's side: the folder exists as long as somebody looks."""
    folder = folder_of(session)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def activities(folder: Path) -> list[Activity]:
    """What the workers last said of themselves, in the order of stages' names; those that are gone are left out."""
    found: list[Activity] = []
    for path in sorted(folder.glob("*.json")):
        with suppress(OSError, ValueError, TypeError):
            if time.time() - path.stat().st_mtime < STALE_S:
                found.append(Activity(**json.loads(path.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda a: a.stage)


class Reporter:
    """The worker's side. One thread for the whole process, from the first time that there is something to say."""

    def __init__(self, session: str) -> None:
        self._file = folder_of(session) / f"{os.getpid()}.json" if session else None
        self._stage = ""
        self._loading = False
        self._total = self._begun = 0.0
        self._from = (0, 0)
        self._thread: Thread | None = None
        # A note begun while the block ends must not come back after it was removed.
        self._writing = Lock()

    @contextmanager
    def doing(self, stage: str, total: float = 0.0, *, loading: bool = False) -> Iterator[None]:
        """While the block runs, this worker is at `stage`; `total` is the audio of its unit (s)."""
        if self._file is None or not self._file.parent.is_dir():
            yield
            return
        self._stage, self._total, self._loading, self._begun = stage, total, loading, time.monotonic()
        self._from = (METER.samples, METER.bytes)
        if self._thread is None:
            self._thread = Thread(target=self._keep_telling, daemon=True)
            self._thread.start()
        try:
            yield
        finally:
            with self._writing, suppress(OSError):
                self._stage = ""
                self._file.unlink(missing_ok=True)

    def _keep_telling(self) -> None:
        while True:
            time.sleep(EVERY_S)
            with self._writing, suppress(OSError):
                if self._stage:
                    self._tell(self._stage)

    def _tell(self, stage: str) -> None:
        assert self._file is not None
        seconds, megabytes = (METER.samples - self._from[0]) / 16000, (METER.bytes - self._from[1]) / 1e6
        said = Activity(stage, self._loading, time.monotonic() - self._begun, seconds, self._total, megabytes)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(asdict(said)), encoding="utf-8")
        new.replace(self._file)

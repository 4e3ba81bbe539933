"""A small run through the product's own line, in a process that can be ended at any commit event: a fork of this one, with everything imported."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console

from speech.packaged import TWO_CITIES
from voxmill.manifests import storage
from voxmill.pipeline.build import build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.reports.verify_run import verify
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress

UNCOUNTED = ("lease.json", "hosts.json")
"""Written as often as the clock says."""


def sources(folder: Path) -> list[Path]:
    """Two short readings."""
    samples, rate = soundfile.read(TWO_CITIES.path, dtype="int16")
    paths = []
    for number in range(2):
        path = folder / f"{number}.wav"
        soundfile.write(path, np.roll(samples, -number * 50_000)[: 2 * rate], rate)
        paths.append(path)
    return paths


def config(paths: list[Path], workers: int) -> RunConfig:
    """Two recordings, a unit each, committed after every one; no stage costs anything."""
    return parse_config(
        {
            "sources": [{"name": path.stem, "path": str(path), "language": "en", "licence": "cc0-1.0"} for path in paths],
            "crawl": {"contact": "https://example.org/contact"},
            "units": {"seconds": 2},
            "transcribe": [{"kind": "python", "name": "one", "call": "benchmarks.instant:Instant", "version": "1"}],
            "select": {"languages": []},
            "pack": {"buckets": 1},
            "executor": {"kind": "local", "workers": workers, "commit_seconds": 0.001},
        }
    )


@dataclass(slots=True)
class Events:
    """Counts commit events; at the one with a number something happens."""

    number: int = -1
    then: Callable[[], None] = lambda: None
    seen: list[str] = field(default_factory=list)

    def __call__(self, event: str, uri: str) -> None:
        if uri.endswith(UNCOUNTED):
            return
        self.seen.append(f"{event} {uri}")
        if len(self.seen) - 1 == self.number:
            self.then()


def die() -> None:
    """As with SIGKILL: nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def line(root: str, settings: RunConfig, *, in_process: bool = True) -> None:
    """`voxmill run`."""
    executor = LocalExecutor(in_process=in_process, workers=settings.executor.workers, commit_seconds=0.001)
    run_line(settings, Run(root), executor, no_gate(), Progress(Console(file=io.StringIO()), quiet=True))


def problems(root: str, settings: RunConfig) -> list[str]:
    """What `voxmill verify` finds."""
    run = Run(root)
    report = verify(run, build(settings, run))
    return [*report.problems, *report.pending]


def digest(root: str) -> str:
    """Over names and bytes of shards and tables. The costs differ by nature, and what a killed writer left half-written nobody reads."""
    hasher = hashlib.sha256()
    fs, top = storage.locate(root)
    for path in sorted(path for folder in ("shards", "manifests") for path in fs.find(f"{top}/{folder}")):
        if not (path.endswith(".costs.parquet") or path.rsplit("/", 1)[-1].startswith(".")):
            hasher.update(f"{path[len(top) :]}\n".encode() + hashlib.sha256(fs.cat_file(path)).digest())
    return hasher.hexdigest()


def forked(code: Callable[[], Any], seconds: int = 120) -> tuple[int, str]:
    """The exit status (below zero: the signal that ended it) of a fork that runs this, and what it returned or raised, as text."""
    with tempfile.TemporaryFile("w+") as said:
        pid = os.fork()
        if not pid:
            status = 1
            try:
                signal.alarm(seconds)
                said.write(str(code()))
                status = 0
            except BaseException:  # noqa: BLE001 - it is the answer
                traceback.print_exc(file=said)
            finally:
                said.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said.seek(0)
        return status, said.read()


def replaced(root: Path, image: Path) -> None:
    """The disk is found as it was left."""
    shutil.rmtree(root)
    image.rename(root)

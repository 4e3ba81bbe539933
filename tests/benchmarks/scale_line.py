"""Starts `voxmill` for `bench_scale.py` and says what its processes used; and makes the recordings that are run through the line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from speech.packaged import TWO_CITIES

TESTS = Path(__file__).resolve().parents[1]

MEASURED = """
import json, os, resource, sys, time
began = time.monotonic()
sys.argv = ["voxmill", *sys.argv[1:]]
from voxmill.pipeline.cli import main
if __name__ == "__main__":
    code = 0
    try:
        main()
    except SystemExit as stopped:
        code = stopped.code or 0
    own, workers = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    used = [own.ru_utime + own.ru_stime, own.ru_maxrss / 1024, workers.ru_utime + workers.ru_stime, workers.ru_maxrss / 1024]
    print(json.dumps([code, os.getpid(), time.monotonic() - began, *used]), file=sys.stderr)
    sys.stderr.flush()
    os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Used:
    """By one command: its own process, which is the driver, and those that it started."""

    pid: int
    wall_s: float
    cpu_s: float
    rss_mb: float
    workers_cpu_s: float
    worker_rss_mb: float
    """Of the largest worker."""

    @property
    def all_cpu_s(self) -> float:
        """Of all processes."""
        return self.cpu_s + self.workers_cpu_s


def voxmill(*words: str, env: Mapping[str, str] | None = None) -> Used:
    """One command, measured from inside. Ends the bench where it fails."""
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *words],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    code, *used = json.loads(done.stderr.strip().splitlines()[-1])
    if code:
        sys.exit(f"voxmill {' '.join(words)} ended with {code}:\n{(done.stdout + done.stderr)[-2000:]}")
    return Used(*used)


def run(root: str, config: Path, settings: Mapping[str, Any], *more: str, env: Mapping[str, str] | None = None) -> Used:
    config.write_text(yaml.safe_dump(dict(settings)), encoding="utf-8")
    return voxmill("run", "-c", str(config), "-o", root, "--quiet", *more, env=env)


def settings(paths: list[Path]) -> dict[str, Any]:
    """Units of one second, of which every segment is kept."""
    return {
        "sources": [{"name": path.stem, "path": str(path), "language": "en", "licence": "cc0-1.0"} for path in paths],
        "crawl": {"contact": "https://example.org/contact"},
        "units": {"seconds": 1},
        "segment": {"min_seconds": 0.1},
        "transcribe": [
            {"kind": "python", "name": name, "call": "benchmarks.instant:Instant", "version": "1"} for name in ("one", "two")
        ],
        "select": {"languages": [], "rate_fence": None, "min_chars": 0},
        "pack": {"buckets": 2},
        "executor": {"kind": "local"},
    }


def recording(folder: Path, number: int, seconds: int) -> Path:
    """A reading of so many seconds, each number another stretch of the same endless reading."""
    path = folder / f"{number:05d}-{seconds}.wav"
    if not path.exists():
        samples, rate = soundfile.read(TWO_CITIES.path, dtype="int16")
        tiled = np.resize(np.roll(samples, -(number * 7919 * 13) % len(samples)), seconds * rate)
        tiled[:16] = [number >> bit & 1 for bit in range(16)]  # no two have the same samples
        soundfile.write(path, tiled, rate)
    return path

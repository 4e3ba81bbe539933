"""`make bench-scale`: what the driver, the state and the reports cost as a run grows, through the product's own line.

The audio is one reading, tiled; a unit is one second of it, and two recognisers answer at once (`benchmarks/instant.py`), so what is measured
is everything else: journal, fragments, tables, packing, verification. Each size is a run of its own on the local executor; then the same
command again (nothing new), the same with one per cent more, and `verify`.

    python tests/benchmarks/bench_scale.py          500, 1,000 and 2,000 units
    python tests/benchmarks/bench_scale.py --full   1,000, 4,000 and 16,000 units

Files are counted on the disk. What is not here yet: requests at a store's proxy, and state of a million units without its audio.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import soundfile
import yaml

from benchmarks.report import Target, finish, full_form, heading, table
from speech.packaged import TWO_CITIES

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 250
"""Of one recording: so many units."""

MEASURED = """
import json, os, resource, sys, time
began = time.monotonic()
sys.argv = ["voxmill", *sys.argv[1:]]
from voxmill.pipeline.cli import main
code = 0
try:
    main()
except SystemExit as stopped:
    code = stopped.code or 0
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, time.monotonic() - began]), file=sys.stderr)
sys.stderr.flush()
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Used:
    """By the driver's own process."""

    cpu_s: float
    rss_mb: float
    wall_s: float


def recordings(folder: Path, count: int, first: int = 0) -> list[Path]:
    """Readings of `SECONDS` each, every one another stretch of the same endless reading."""
    samples, rate = soundfile.read(TWO_CITIES.path, dtype="int16")
    paths = []
    for number in range(first, first + count):
        path = folder / f"{number:05d}.wav"
        if not path.exists():
            start = (number * 7919 * 13) % len(samples)
            tiled = np.resize(np.roll(samples, -start), SECONDS * rate)
            tiled[:16] = [number >> bit & 1 for bit in range(16)]  # no two have the same samples
            soundfile.write(path, tiled, rate)
        paths.append(path)
    return paths


def settings(paths: list[Path]) -> dict[str, Any]:
    return {
        "sources": [{"name": path.stem, "path": str(path), "language": "en", "licence": "cc0-1.0"} for path in paths],
        "crawl": {"contact": "https://example.org/contact"},
        "units": {"seconds": 1},
        "transcribe": [
            {"kind": "python", "name": name, "call": "benchmarks.instant:Instant", "version": "1"} for name in ("one", "two")
        ],
        "select": {"languages": []},
        "pack": {"buckets": 2},
        "executor": {"kind": "local"},
    }


def voxmill(*words: str) -> Used:
    """One command, measured from inside. Ends this bench where it fails."""
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *words],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    code, cpu, rss, wall = json.loads(done.stderr.strip().splitlines()[-1])
    if code:
        sys.exit(f"voxmill {' '.join(words)} ended with {code}:\n{(done.stdout + done.stderr)[-2000:]}")
    return Used(cpu, rss, wall)


def run(root: Path, paths: list[Path]) -> Used:
    config = root.with_suffix(".yaml")
    config.write_text(yaml.safe_dump(settings(paths)), encoding="utf-8")
    return voxmill("run", "-c", str(config), "-o", str(root), "--quiet")


def files(root: Path) -> int:
    """Of the state: journal, fragments and tables."""
    return sum(path.is_file() for folder in ("ledger", "manifests") for path in (root / folder).rglob("*"))


def main() -> None:
    full = full_form(sys.argv)
    sizes = [1000, 4000, 16_000] if full else [500, 1000, 2000]
    heading("bench-scale", full, f"{', '.join(map(str, sizes))} units of 1 s, two instant recognisers", ["duckdb", "pyarrow"])
    rows: list[tuple[str, ...]] = []
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="voxmill-scale-") as name:
        folder = Path(name)
        (folder / "audio").mkdir()
        for size in sizes:
            count = size // SECONDS
            root, began = folder / f"run-{size}", time.monotonic()
            first = run(root, recordings(folder / "audio", count))
            whole = time.monotonic() - began
            again = run(root, recordings(folder / "audio", count))
            proof = voxmill("verify", str(root))
            kept = files(root)
            one = max(1, count // 100)
            more = run(root, recordings(folder / "audio", count + one))
            figures[str(size)] = found = {
                "driver_ms_a_unit": 1000 * first.cpu_s / size,
                "driver_mb": first.rss_mb,
                "nothing_new_s": again.cpu_s,
                "more_cpu_s": more.cpu_s,
                "verify_ms_a_unit": 1000 * proof.cpu_s / size,
                "verify_mb": proof.rss_mb,
                "files": kept,
                "wall_s": whole,
            }
            rows.append((str(size), *(f"{found[key]:.4g}" for key in found)))
    heads = ("units", "driver, ms/unit", "MB", "nothing new, s", "more, s", "verify, ms/unit", "MB", "files", "wall, s")
    table(heads, rows)
    low, high = figures[str(sizes[0])], figures[str(sizes[-1])]
    stages = 8
    slope = 1e6 * (high["nothing_new_s"] - low["nothing_new_s"]) / (sizes[-1] - sizes[0])
    grown = 1000 * (high["driver_ms_a_unit"] * sizes[-1] - low["driver_ms_a_unit"] * sizes[0]) / (sizes[-1] - sizes[0])
    targets: dict[str, Target] = {
        "driver, CPU a further unit": {
            "value": f"{grown:.0f} us",
            "target": "<= 10,000 us (100 units/s)",
            "met": grown <= 10_000,
        },
        "driver's memory": _ratio(high["driver_mb"], low["driver_mb"]),
        "verify's memory": _ratio(high["verify_mb"], low["verify_mb"]),
        "nothing new, CPU a further unit": {"value": f"{slope:.0f} us", "target": "<= 20 us", "met": slope <= 20},
        "files a unit and stage": {
            "value": round(high["files"] / sizes[-1] / stages, 4),
            "target": "<= 0.1",
            "met": high["files"] / sizes[-1] / stages <= 0.1,
        },
    }
    finish("bench-scale", figures, targets, full)


def _ratio(high: float, low: float) -> Target:
    return {"value": round(high / low, 2), "target": "<= 1.2 of the smallest run's", "met": high <= 1.2 * low}


if __name__ == "__main__":
    main()

"""`make bench-scale`: what driver, state, store and reports cost as a run grows, through the product's own line.

Three parts:

- **Line**: recordings of real speech in units of one second, two recognisers that answer at once (`instant.py`), every segment kept and packed.
  Each size is a run of its own on the local executor: up to `select`, then the packing; the same command again (nothing new); `verify`; one per
  cent more. Of what is done again, and of one per cent more, the cheapest of three times counts.
- **Requests** (`scale_requests.py`): the same into an object store, counted at a proxy.
- **State** (`scale_state.py`): ten and a hundred thousand units without their audio, written through the product's own writers; then folded
  and tabled, run again, grown by one per cent, verified.

    python tests/benchmarks/bench_scale.py          500, 1,000 and 2,000 units with audio; 10,000 and 100,000 without
    python tests/benchmarks/bench_scale.py --full   1,000, 4,000 and 16,000 units; 100,000 and 1,000,000 of 100 segments each

With `line`, `requests` or `state` behind it, it makes that part alone. Times are CPU seconds. The start of processes does not grow with a run, so
where costs are compared it is what a further unit adds, from the smallest size to the largest.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.scale_line import Used, recording, run, settings, voxmill
from benchmarks.scale_requests import requests
from benchmarks.scale_state import state_cost

STAGES = 8
PARTS = ("line", "requests", "state")
SECONDS = 250
"""Of one recording."""

Figures = dict[str, Any]


def files(root: Path) -> int:
    """Of the state: journal, fragments and tables."""
    return sum(path.is_file() for folder in ("ledger", "manifests") for path in (root / folder).rglob("*"))


def _further(folder: Path, seconds: int) -> Iterator[list[Path]]:
    """Three times one per cent more."""
    more = [recording(folder, 500 + number, seconds) for number in range(3)]
    return (more[: number + 1] for number in range(3))


def line(folder: Path, sizes: list[int]) -> tuple[Figures, dict[str, Target]]:
    """Runs with audio."""
    figures: Figures = {}
    for size in sizes:
        root, config = folder / f"run-{size}", folder / f"run-{size}.yaml"
        heard = [recording(folder, number, SECONDS) for number in range(size // SECONDS)]
        first = run(str(root), config, settings(heard), "--until", "select")
        packed = run(str(root), config, settings(heard))
        kept = files(root)
        again = min((run(str(root), config, settings(heard)) for _ in range(3)), key=lambda used: used.cpu_s)
        proof = voxmill("verify", str(root))
        grown = (settings([*heard, *more]) for more in _further(folder, size // 100))
        one = min((run(str(root), config, more) for more in grown), key=lambda used: used.all_cpu_s)
        figures[str(size)] = {
            "driver_cpu_s": first.cpu_s + packed.cpu_s,
            "all_cpu_s": first.all_cpu_s + packed.all_cpu_s,
            "driver_mb": max(first.rss_mb, packed.rss_mb),
            "packer_mb": packed.worker_rss_mb,
            "nothing_new_s": again.cpu_s,
            "one_more_s": one.cpu_s,
            "one_more_all_s": one.all_cpu_s,
            "verify_s": proof.cpu_s,
            "verify_mb": proof.rss_mb,
            "files": kept,
            "wall_s": first.wall_s + packed.wall_s,
        }
    print("Line: CPU seconds of the driver, of all processes, memory")
    heads = (
        "units",
        "driver",
        "all",
        "MB",
        "packer MB",
        "nothing new",
        "+1 %",
        "+1 %, all",
        "verify",
        "MB",
        "files",
        "wall, s",
    )
    table(heads, ((size, *(f"{value:.4g}" for value in one.values())) for size, one in figures.items()))
    low, high, more = figures[str(sizes[0])], figures[str(sizes[-1])], sizes[-1] - sizes[0]
    driver = 1e6 * (high["driver_cpu_s"] - low["driver_cpu_s"]) / more
    unit = (high["all_cpu_s"] - low["all_cpu_s"]) / more
    share = (high["one_more_all_s"] - low["one_more_all_s"]) / more / unit
    objects = high["files"] / sizes[-1] / STAGES
    return figures, {
        "driver, CPU a further unit": _most(driver, 10_000, "us", "(100 units/s)"),
        "driver's memory": _ratio(high["driver_mb"], low["driver_mb"]),
        "packer's memory": _ratio(high["packer_mb"], low["packer_mb"]),
        "verify's memory": _ratio(high["verify_mb"], low["verify_mb"]),
        "nothing new, CPU": _most(high["nothing_new_s"], 2 + 20e-6 * sizes[-1], "s"),
        "+1 %, all processes' CPU without their start": _most(100 * share, 3, "% of the first run"),
        "files a unit and stage": _most(objects, 0.1, ""),
    }


def asked(folder: Path, sizes: list[int]) -> tuple[Figures, dict[str, Target]]:
    """Runs in an object store."""
    found = requests(folder, sizes)
    print("Requests to the store")
    rows = ((str(r.units), str(r.driver), str(r.workers), str(r.driver_again), str(r.kinds)) for r in found)
    table(("units", "driver", "workers", "nothing new", "of the first, by method"), rows)
    low, high = found[0], found[-1]
    more = high.units - low.units
    return {str(r.units): {"driver": r.driver, "workers": r.workers, "again": r.driver_again, **r.kinds} for r in found}, {
        "driver, requests a further unit": _most((high.driver - low.driver) / more, 0.2, ""),
        "workers, requests a further unit": _most((high.workers - low.workers) / more, 3, ""),
        "nothing new, requests": _most(max(r.driver_again for r in found), 300, ""),
    }


def state(folder: Path, sizes: list[int], segments: int, unit_cpu_s: float | None) -> tuple[Figures, dict[str, Target]]:
    """Runs without audio. `unit_cpu_s`: what a unit with audio costs all processes, if that was measured."""
    costs = {size: state_cost(folder / f"state-{size}", size, segments) for size in sizes}
    print(f"State of {segments} segments a unit: CPU seconds and MB of the driver")
    steps = ("written", "compacted", "nothing_new", "one_more", "verified")
    heads = ("units", *(f"{step.replace('_', ' ')}{end}" for step in steps for end in ("", ", MB")))
    used: dict[int, dict[str, Used]] = {size: {step: getattr(cost, step) for step in steps} for size, cost in costs.items()}
    rows = (
        (str(size), *(text for one in by.values() for text in (f"{one.cpu_s:.2f}", f"{one.rss_mb:.0f}")))
        for size, by in used.items()
    )
    table(heads, rows)
    low, high = used[sizes[0]], used[sizes[-1]]
    units = sizes[-1] - sizes[0]
    old = (high["one_more"].cpu_s - low["one_more"].cpu_s) / units
    print(f"one per cent more costs the driver {1e6 * old:.0f} us for every unit that is there\n")
    share = (
        {"state: +1 %, of what the first run of the line costs": _most(100 * old / unit_cpu_s, 3, "%")} if unit_cpu_s else {}
    )
    idle = 1e6 * (high["nothing_new"].cpu_s - low["nothing_new"].cpu_s) / units
    figures = {
        str(size): {step: {"cpu_s": one.cpu_s, "rss_mb": one.rss_mb} for step, one in by.items()} for size, by in used.items()
    }
    return figures, {
        "state: nothing new, CPU": _most(high["nothing_new"].cpu_s, 2 + 20e-6 * sizes[-1], "s"),
        "state: nothing new, CPU a further unit": _most(idle, 20, "us"),
        **share,
        "state: driver's memory, whatever it does": _ratio(*(max(by[s].rss_mb for s in steps[:-1]) for by in (high, low))),
        "state: verify's memory": _ratio(high["verified"].rss_mb, low["verified"].rss_mb),
    }


def _most(value: float, most: float, unit: str, note: str = "") -> Target:
    end = f" {unit}" if unit else ""
    return {"value": f"{value:.4g}{end}", "target": f"<= {most:,.4g}{end} {note}".rstrip(), "met": value <= most}


def _ratio(high: float, low: float) -> Target:
    return {"value": round(high / low, 2), "target": "<= 1.2 of the smallest run's", "met": high <= 1.2 * low}


def main() -> None:
    full = full_form(sys.argv)
    parts = [part for part in PARTS if part in sys.argv] or list(PARTS)
    sizes, states, segments = (
        ([1000, 4000, 16_000], [100_000, 1_000_000], 100) if full else ([500, 1000, 2000], [10_000, 100_000], 4)
    )
    data = f"{', '.join(map(str, sizes))} units of 1 s with audio, {' and '.join(f'{n:,}' for n in states)} without"
    heading("bench-scale", full, data, ["duckdb", "pyarrow", "s3fs"])
    figures: Figures = {}
    targets: dict[str, Target] = {}
    unit_cpu_s: float | None = None
    with tempfile.TemporaryDirectory(prefix="voxmill-scale-") as name:
        for part in parts:
            folder = Path(name) / part
            folder.mkdir()
            if part == "line":
                figures[part], met = line(folder, sizes)
                low, high = (figures[part][str(size)]["all_cpu_s"] for size in (sizes[0], sizes[-1]))
                unit_cpu_s = (high - low) / (sizes[-1] - sizes[0])
            elif part == "requests":
                figures[part], met = asked(folder, [100, 400])
            else:
                figures[part], met = state(folder, states, segments, unit_cpu_s)
            targets |= met
    finish("bench-scale", figures, targets, full)


if __name__ == "__main__":
    main()

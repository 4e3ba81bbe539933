"""`make check-wild`: what comes in from the wild ends as a named outcome, and no second of audio vanishes unseen.

Each part is a module of `wild/` with `run(folder, full) -> Result`: inputs made on the spot with their right values, and seeded
mutations of good ones. `--part media` runs one part alone.

    python tests/benchmarks/check_wild.py [--full] [--part NAME]
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.wild.result import Result

PARTS = ("media", "choose", "feeds", "clocks")
"""Modules of `wild/`: files of audio, which of the sound is heard, what leads to it, and clocks that lie."""

CASES = 60
"""Made inputs that all parts together must have."""

MUTATIONS = {"media": 3000, "feeds": 500}
"""Mutations that a part must have."""


def main() -> None:
    full = full_form(sys.argv)
    asked = sys.argv[sys.argv.index("--part") + 1 :][:1] if "--part" in sys.argv else []
    parts = asked or [name for name in PARTS if importlib.util.find_spec(f"benchmarks.wild.{name}")]
    heading("check-wild", full, "made on the spot, from packaged speech", ["av", "urllib3", "feedparser", "duckdb"])
    figures: dict[str, Any] = {}
    targets: dict[str, Target] = {}
    results: list[Result] = []
    for name in parts:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="voxmill-wild-") as folder:
            result = importlib.import_module(f"benchmarks.wild.{name}").run(Path(folder), full)
        results.append(result)
        _show(result)
        wall = round(time.monotonic() - began, 1)
        figures[name] = {"cases": result.cases, "mutations": result.mutations, "wrong": list(result.wrong[:20]), "wall_s": wall}
        targets[f"{name}: otherwise than they must"] = {"value": len(result.wrong), "target": "0", "met": not result.wrong}
        if least := MUTATIONS.get(name):
            met = result.mutations >= least
            targets[f"{name}: mutations"] = {"value": result.mutations, "target": f">= {least}", "met": met}
    if not asked:
        cases = sum(result.cases for result in results)
        targets["made inputs"] = {"value": cases, "target": f">= {CASES}", "met": cases >= CASES}
    finish("check-wild", figures, targets, full)
    sys.exit(0 if targets and all(target["met"] for target in targets.values()) else 1)


def _show(result: Result) -> None:
    print(f"{result.name}: {result.cases} inputs, {result.mutations} mutations, {len(result.wrong)} wrong")
    if result.table:
        table(result.table[0], result.table[1:])
    for line in result.wrong:
        print(f"  WRONG: {line}")
    print()


if __name__ == "__main__":
    main()

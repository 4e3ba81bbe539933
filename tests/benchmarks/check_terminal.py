"""`make check-terminal`: what people see. Every command with right input in six surroundings, and with wrong input.

python tests/benchmarks/check_terminal.py [--full] [--part right|wrong]
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import Target, finish, full_form, heading
from benchmarks.terminal import right, wrong
from benchmarks.terminal.result import Result
from speech.chromaprint import library_path

WRONG_CASES = 150


def with_chromaprint() -> None:
    """Starts this program again where the library that `duplicates` needs is found, as its commands would on a whole installation."""
    where = library_path()
    if where and not os.environ.get("LD_LIBRARY_PATH"):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "LD_LIBRARY_PATH": where})


def main() -> None:
    with_chromaprint()
    full = full_form(sys.argv)
    asked = sys.argv[sys.argv.index("--part") + 1] if "--part" in sys.argv else None
    heading("check-terminal", full, "one packaged recording, and wrong input made on the spot", ["rich", "typer", "click"])
    results: list[Result] = []
    with (
        tempfile.TemporaryDirectory(prefix="voxmill-terminal-") as folder,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as beside,
    ):
        other = beside.submit(wrong.run, Path(folder) / "wrong") if asked in (None, "wrong") else None
        if asked in (None, "right"):
            places = right.prepare(Path(folder) / "prepared")
            results.append(right.run(Path(folder) / "right", places, full=full))
        if other:
            results.append(other.result())
    figures: dict[str, Any] = {}
    targets: dict[str, Target] = {}
    for result in results:
        print(f"{result.name}: {result.cases} trials, {len(result.wrong)} wrong")
        for line in result.wrong:
            print(f"  WRONG: {line}")
        figures[result.name] = {"cases": result.cases, "wrong": list(result.wrong[:20])}
        targets[f"{result.name} input: otherwise than it must"] = {
            "value": len(result.wrong),
            "target": "0",
            "met": not result.wrong,
        }
        least = WRONG_CASES if result.name == "wrong" else right.num_trials(full)
        targets[f"{result.name} input: trials"] = {"value": result.cases, "target": f">= {least}", "met": result.cases >= least}
    print()
    finish("check-terminal", figures, targets, full)
    sys.exit(0 if targets and all(target["met"] for target in targets.values()) else 1)


if __name__ == "__main__":
    main()

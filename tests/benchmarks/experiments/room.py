"""How an experiment is run: its command line, its time, its log, and its place in RESULTS.md.

    python tests/benchmarks/experiment_x.py [--full] [--limit-seconds 540] [--seeds N] [--dry-run] [--record]

Called again, a run goes on where its time was over; `FULL=1` is `--full`. `VOXMILL_CACHE` says where corpora and results are.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch

from benchmarks.experiments.trainings import Clock, OutOfTime
from benchmarks.report import Target, finish, full_form

RESULTS = Path(__file__).resolve().parents[1] / "RESULTS.md"
Outcome = tuple[Mapping[str, Any], Mapping[str, Target]]
"""Figures and targets, for `report.finish`."""


@dataclass(frozen=True)
class Form:
    """Of this call."""

    full: bool
    clock: Clock
    seeds: int
    dry: bool
    """Only say what would be trained, and how long it would take."""

    @property
    def fresh(self) -> range:
        """Seeds for an experiment whose settings were chosen by looking at trainings of the first few."""
        return range(10, 10 + self.seeds)


def conduct(name: str, seeds: tuple[int, int], run: Callable[[Form], Outcome | None]) -> None:
    """`run` from the command line. `seeds`: how many the reduced and the full form have. `run` gives None on a dry run.

    What a finished full run printed is appended to RESULTS.md.
    """
    options = _options(name)
    full = options.full or full_form(())
    form = Form(full, Clock(options.limit_seconds), options.seeds or seeds[full], options.dry_run)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
    log = _Tee(sys.stdout)
    with redirect_stdout(log):
        try:
            outcome = run(form)
        except OutOfTime:
            print("time is over; what was trained is kept: the same command goes on\n")
            outcome = {"finished": False}, {"finished": {"value": "no", "target": "yes", "met": False}}
            finish(name, *outcome, form.full)
            return
        if outcome is None:
            return
        finish(name, *outcome, form.full)
    if options.record or (form.full and not options.no_record):
        _append(name, log.getvalue())


def _options(name: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"experiment-{name}", description=sys.modules["__main__"].__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--full", action="store_true", help="the large form")
    parser.add_argument("--limit-seconds", type=float, help="stop, resumable, when this much time is over")
    parser.add_argument("--seeds", type=int, help="instead of the form's own number")
    parser.add_argument("--dry-run", action="store_true", help="only the trainings, and an estimate of their time")
    parser.add_argument("--record", action="store_true", help="append to RESULTS.md in the reduced form too")
    parser.add_argument("--no-record", action="store_true", help="do not in the full form")
    return parser.parse_args()


def _append(name: str, log: str) -> None:
    lines = log.rstrip().splitlines()
    kept = [line for line in lines[:-1] if not line.startswith("  … ")]
    json.loads(lines[-1])
    text = "\n".join(kept).strip()
    with RESULTS.open("a", encoding="utf8") as out:
        out.write(f"\n## experiment-{name}\n\n```\n{text}\n```\n")


class _Tee(io.StringIO):
    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out

    def write(self, text: str) -> int:
        self._out.write(text)
        return super().write(text)

    def flush(self) -> None:
        self._out.flush()

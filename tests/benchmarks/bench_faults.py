"""A hundred bad inputs in one run: each ends as the outcome that it must, the run ends, and the proof holds.

Files that are no audio or broken audio, servers that lie, stall and break, hosts that say no, addresses that lead inside, and inputs
that kill the worker that reads them. They go through `voxmill run` as a user starts it, with short time-outs and one engine.
The reduced form uses the local executor; the full form also Ray.

    python tests/benchmarks/bench_faults.py [--full]
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])


from benchmarks.faults.cases import KEPT, Case, speech
from benchmarks.faults.files import MAX_BYTES, deadly_cases, file_cases
from benchmarks.faults.server import OURS, Site, site
from benchmarks.faults.web import changing_case, web_cases
from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.runs import MOONSHINE, TESTS, Cost, config, run, verified
from voxmill.manifests.catalog import open_catalog

LEAST = 40
"""Inputs that there must be."""

CRAWL = {
    "contact": "https://example.org/contact",
    "allow_private": [OURS],
    "deny": [f"http://{OURS}:*/denied/*"],
    "timeout": 2.0,
    "retries": 1,
    "backoff": 0.1,
    "requests_per_second": 50.0,
    "max_in_flight": 1,  # of two refusals one is the first
    "max_retry_after": 5.0,
    "max_bytes": MAX_BYTES,
    "max_page_bytes": 1_000_000,
    "max_seconds": 3600.0,
}
"""Short time-outs, and one retry: what is tested is which outcome there is, not how patiently it is waited for."""


@dataclass
class Outcome:
    """What became of one input."""

    reasons: set[str] = field(default_factory=set)
    """Of its recording, else of its segments; empty: nothing was rejected."""
    seconds: float = 0.0
    details: list[str] = field(default_factory=list)
    speech: bool = False
    """Some segment of it went through all recognisers."""

    @property
    def name(self) -> str:
        failed = sorted(reason for reason in self.reasons if reason.endswith(".failed"))
        if failed or (self.reasons and not self.speech):
            return ", ".join(failed or sorted(self.reasons))
        return KEPT if self.speech else "none"


def main() -> None:
    full = full_form(sys.argv)
    heading(
        "bench-faults",
        full,
        "real prompts in bad files, behind bad servers on 127.0.0.1, and in files that kill their worker",
        ["av", "urllib3", "yt-dlp", "protego", "feedparser", "ray"],
    )
    figures: dict[str, Any] = {}
    targets: dict[str, Target] = {}
    for executor in ("local", "ray") if full else ("local",):
        with tempfile.TemporaryDirectory(prefix="voxmill-faults-") as folder, site() as served:
            figures[executor] = _measure(Path(folder), served, executor, targets)
    finish("bench-faults", figures, targets, full)


def _measure(folder: Path, served: Site, executor: str, targets: dict[str, Target]) -> dict[str, Any]:
    inputs, control = folder / "inputs", folder / "control"
    inputs.mkdir()
    control.mkdir()
    clips = speech()
    cases = [
        *web_cases(served, inputs / "web", clips),
        changing_case(served, control / "changed", clips),
        *file_cases(inputs / "files", clips),
        *deadly_cases(inputs / "deadly", control / "deadly", clips),
    ]
    before = _tree(folder)
    root = folder / "run" / "faults"
    cost = _run(root, cases, control, executor)
    found = outcomes(root) if cost.code == 0 else {}
    wrong = _print(cases, found, folder)
    escaped = sorted(_tree(folder) - before - _tree(root.parent) - {root.parent, control / "changed"})
    trespasses = served.trespasses()
    if cost.code:
        print(root.with_suffix(".log").read_text(errors="replace")[-4000:])
    for line in (*map(str, escaped), *trespasses):
        print(f"  should not be: {line}")
    holds = verified(root)
    rss = peak_mb(root)
    met: list[tuple[str, Any, str, bool]] = [
        ("inputs", len(cases), f">= {LEAST}", len(cases) >= LEAST),
        ("named as expected", f"{len(cases) - len(wrong)} of {len(cases)}", "all", not wrong),
        ("the run ends", f"exit {cost.code} after {cost.wall_s:.0f} s", "exit 0", cost.code == 0),
        ("voxmill verify", holds, "holds", holds),
        ("private or forbidden requests", len(trespasses), "0", not trespasses),
        ("files outside the run", len(escaped), "0", not escaped),
        ("peak memory of a worker", f"{rss:.0f} MB", "< 2000 MB", 0 < rss < 2000),
    ]
    for name, value, wanted, reached in met:
        targets[f"{executor}: {name}"] = {"value": value, "target": wanted, "met": reached}
    figures = {"inputs": len(cases), "wrong": wrong, "wall_s": round(cost.wall_s, 1), "cpu_s": round(cost.cpu_s, 1)}
    return {**figures, "peak_mb": round(rss)}


def _run(root: Path, cases: Iterable[Case], control: Path, executor: str) -> Cost:
    sources = [{"name": case.what, "licence": "cc-by-sa-3.0", "language": "en", **case.source} for case in cases]
    resources = {
        "crawl": {"workers": 4, "min_workers": 4, "cpus": 0.1},
        "transcribe:moonshine": {
            "workers": 1
        },  # a worker that detects speech too would have the audio, and not open the file that kills
    }
    settings = config(
        sources,
        [MOONSHINE],
        crawl=CRAWL,
        units={"seconds": 60.0},
        pack={"buckets": 2},
        # what a worker holds when it is killed is fetched again, and a host that refuses twice is blocked: nothing is held
        executor={"kind": executor, "resources": resources, "commit_seconds": 0.01},
    )
    hooks = [str(TESTS / "benchmarks/faults/hooks"), str(TESTS)]
    env = {"PYTHONPATH": os.pathsep.join(hooks), "VOXMILL_FAULTS": str(control)}
    return run(root, settings, env=env)


def outcomes(root: Path) -> dict[str, Outcome]:
    """What became of every source, from the run's tables."""
    found: dict[str, Outcome] = defaultdict(Outcome)
    by_recording: dict[str, Outcome] = {}
    for row in _rows(root, "recordings"):
        outcome = found[row["provenance"]["source"]]
        outcome.seconds += row["num_samples"] / 16_000
        if row["rejection"]:
            _note(outcome, row["rejection"])
        else:
            by_recording[row["id"]] = outcome
    segments = {row["id"]: row for row in _rows(root, "segments")}
    for segment in segments.values():
        if segment["rejection"]:
            _note(by_recording[segment["recording_id"]], segment["rejection"])
    for row in _rows(root, "hypotheses"):
        outcome = by_recording[segments[row["segment_id"]]["recording_id"]]
        outcome.speech |= row["rejection"] is None
        if row["rejection"]:
            _note(outcome, row["rejection"])
    return found


def _note(outcome: Outcome, rejection: dict[str, str]) -> None:
    outcome.reasons.add(rejection["reason"])
    outcome.details.append(rejection["detail"])


def _rows(root: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = open_catalog(str(root)).sql(f"FROM {name}").to_arrow_table().to_pylist()
    return rows


def _print(cases: Iterable[Case], found: dict[str, Outcome], folder: Path) -> list[str]:
    """The table of all inputs, without the name of this run's `folder`; returns those that ended otherwise than they must."""
    wrong, lines, cases = [], [], list(cases)
    for case in cases:
        outcome = found.get(case.what, Outcome())
        others = [one for one in cases if one is case or (case.among and one.among == case.among)]
        got = sorted(found.get(one.what, Outcome()).name for one in others)
        right = got == sorted(one.expected for one in others)
        if right and case.seconds is not None and abs(outcome.seconds - case.seconds) > 0.1:
            right = False
            outcome.details.insert(0, f"{outcome.seconds:.2f} s of {case.seconds:.2f} s")
        if not right:
            wrong.append(f"{case.what}: {outcome.name}, not {case.expected}")
        detail = next((d for d in outcome.details if d), "") or (f"{outcome.seconds:.1f} s" if outcome.seconds else "")
        detail = detail.replace(f"{folder}/", "")
        mark = "" if right else "  <-- WRONG"
        lines.append((case.what[:52], case.expected, outcome.name, " ".join(detail.split())[:70] + mark))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    for line in [("input", "expected", "got", "detail"), *lines]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, [*widths, 0], strict=True)).rstrip())
    print()
    table(("outcome", "inputs"), sorted((name, str(count)) for name, count in _count(found).items()))
    return wrong


def _count(found: dict[str, Outcome]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for outcome in found.values():
        counts[outcome.name] += 1
    return counts


def peak_mb(root: Path) -> float:
    """Largest resident memory of any worker."""
    return max((row["max_rss_bytes"] / 1e6 for row in _rows(root, "costs")), default=0.0)


def _tree(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


if __name__ == "__main__":
    main()

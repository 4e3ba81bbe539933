"""`make check-machines`: what runs on one type of CPU runs on others, and on a busy machine; and `executor.same_results` keeps its word.

1. Every test of a recogniser, detector or labeller that hears real speech (`-m slow` in `tests/operators`) passes with CTranslate2's
   `CT2_FORCE_CPU_ISA` at GENERIC and AVX2, and at the machine's best with four busy processes beside it. The full form runs the whole
   suite, and the best also alone. Where AVX2 is the machine's best, it is not tried twice.
2. A run with `executor.same_results: true` writes the same bytes under all three; without it, it is said whether they differ. What it costs is the
   CPU time of the stage that hears, beside that of the machine's best.

    python tests/benchmarks/check_machines.py [--full]
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import yaml

from benchmarks.report import Target, finish, full_form, heading, table
from speech.packaged import TWO_CITIES
from voxmill.pipeline.execution.cpu_type import cpu, instruction_set
from voxmill.pipeline.load_config import dump_config, load_config

ROOT = Path(__file__).resolve().parents[2]
BEST = "best"
SETS = tuple(isa for isa in ("GENERIC", "AVX2", BEST) if isa.lower() != instruction_set())
BUSY = 4


@dataclass(frozen=True, slots=True)
class Passed:
    """One run of the tests."""

    tests: int
    failed: tuple[str, ...]
    seconds: float


def surroundings(isa: str) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if k != "CT2_FORCE_CPU_ISA"}
    return env if isa == BEST else env | {"CT2_FORCE_CPU_ISA": isa}


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many other programs that never rest."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def run_tests(isa: str, beside: int, folder: Path, full: bool) -> Passed:
    report, chosen = folder / f"{isa}-{beside}.xml", [] if full else ["tests/operators", "-m", "slow and not ray"]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", f"--junitxml={report}", *chosen]
    began = time.monotonic()
    with busy(beside):
        done = subprocess.run(command, cwd=ROOT, env=surroundings(isa), capture_output=True, text=True, check=False)
    if not report.exists():
        return Passed(0, (done.stdout[-500:] + done.stderr[-500:],), time.monotonic() - began)
    suite = next(ET.parse(report).getroot().iter("testsuite"))
    failed = [f"{case.get('classname')}::{case.get('name')}" for case in suite.iter("testcase") if _bad(case)]
    return Passed(int(suite.get("tests", 0)) - int(suite.get("skipped", 0)), tuple(failed), time.monotonic() - began)


def _bad(case: ET.Element) -> bool:
    return case.find("failure") is not None or case.find("error") is not None


def run_line(isa: str, same: bool, folder: Path) -> tuple[str, float]:
    """A digest of every byte that a run of two engines wrote, but for what is measured; and CPU seconds of Whisper."""
    settings = yaml.safe_load(dump_config(load_config("light")))
    source = {"name": "two-cities", "path": str(TWO_CITIES.path), "language": "en", "licence": "cc0-1.0"}
    settings |= {"sources": [source], "executor": {"kind": "local", "workers": 1, "same_results": same}}
    settings["crawl"]["contact"] = "tests@example.org"
    config, run = folder / f"{isa}-{same}.yaml", folder / f"{isa}-{same}"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    voxmill = [sys.executable, "-m", "voxmill.pipeline.console_script"]
    command = [*voxmill, "run", "-c", str(config), "-o", str(run), "--quiet"]
    subprocess.run(command, env=surroundings(isa), check=True, stdout=subprocess.DEVNULL)
    sql = "SELECT sum(cpu_s) AS seconds FROM costs WHERE engine = 'whisper'"
    said = subprocess.run([*voxmill, "stats", str(run), "--json", "--sql", sql], check=True, capture_output=True, text=True)
    measured = (".costs.", "hosts", "journal", "run.json", "lease", "config.yaml", "evidence")
    files = [p for p in run.rglob("*") if p.is_file() and not any(part in str(p.relative_to(run)) for part in measured)]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(run)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16], float(json.loads(said.stdout)[0]["seconds"])


def main() -> None:
    full = full_form(sys.argv)
    packages = ["ctranslate2", "onnxruntime", "numpy", "av", "pytest"]
    heading("check-machines", full, f"tests that hear; 44 s of speech on {cpu()} with {instruction_set()}", packages)
    figures: dict[str, Any] = {"cpu": cpu(), "instruction_set": instruction_set()}
    targets: dict[str, Target] = {}
    trials = [*((isa, 0) for isa in SETS if full or isa != BEST), (BEST, BUSY)]
    with tempfile.TemporaryDirectory(prefix="voxmill-machines-") as temporary:
        folder = Path(temporary)
        rows = []
        for isa, beside in trials:
            passed = run_tests(isa, beside, folder, full)
            rows.append((isa, str(beside), str(passed.tests), str(len(passed.failed)), f"{passed.seconds:.0f}"))
            for name in passed.failed:
                print(f"  FAILED with {isa}: {name}")
            met = passed.tests > 0 and not passed.failed
            targets[f"tests failed, {isa}, {beside} busy beside"] = {"value": len(passed.failed), "target": "0", "met": met}
        table(("instruction set", "busy beside", "tests", "failed", "s"), rows)
        digests, seconds, runs = dict[bool, dict[str, str]](), dict[bool, dict[str, float]](), []
        for same in (True, False):
            made = {isa: run_line(isa, same, folder) for isa in SETS}
            digests[same], seconds[same] = {k: d for k, (d, _) in made.items()}, {k: s for k, (_, s) in made.items()}
            runs += [("yes" if same else "no", isa, digest, f"{spent:.1f}") for isa, (digest, spent) in made.items()]
        table(("same_results", "CT2_FORCE_CPU_ISA", "digest of the run", "CPU s of Whisper"), runs)
    cost = seconds[True][BEST] / seconds[False][BEST]
    figures |= {"digests": {str(k): v for k, v in digests.items()}, "cost_of_same_results": round(cost, 2)}
    print(f"same_results: {cost:.2f} times the CPU time of Whisper on this machine")
    print(f"without it the runs are {'equal' if len(set(digests[False].values())) == 1 else 'not equal'}\n")
    equal = len(set(digests[True].values()))
    targets["different runs with same_results"] = {"value": equal, "target": "1", "met": equal == 1}
    finish("check-machines", figures, targets, full)
    sys.exit(0 if all(target["met"] for target in targets.values()) else 1)


if __name__ == "__main__":
    main()

"""`make bench-startup`: what a process spends before its first work: each engine loaded alone, and the command.

Each row is a fresh process. Engines that used to import the whole of their package are loaded both ways ("whole": that package is
imported first), and must hear the same words with the same times and confidences either way. Recognisers of FunASR, whose trained
weights no package carries, are tiny models here: what they import is real. CPU-seconds and memory are of the whole process, Python and
NumPy included; `weights` is the size of the files on disk.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import tiny_funasr
from benchmarks import runs
from benchmarks.report import Target, finish, full_form, heading, table
from speech.joined import joined
from voxmill.operators.weights.registry import resolve

CHILD = Path(__file__).with_name("arms") / "engine_load.py"

CPU_S, RSS_MB, COMMAND_S = 3.0, 600.0, 0.5
"""Most that whisperX may cost a worker, weights included, and most CPU seconds of an import or a help text."""

BOTH_WAYS = {
    "whisperx": "whisperx.asr", "whisperx, greedy": "whisperx.asr", "whisperx, one window a span": "whisperx.asr",
    "paraformer": "funasr", "paraformer-seaco": "funasr", "sensevoice": "funasr", "fsmn-vad": "funasr",
}  # fmt: skip
"""Engine -> the module that it used to import whole."""

ALONE = ("nothing", "faster-whisper", "moonshine", "pocketsphinx", "silero", "pyannote", "speaker_turns", "text_language")

WEIGHTS = {
    "whisperx": "whisper-base", "faster-whisper": "whisper-base", "moonshine": "moonshine-tiny-en",
    "pocketsphinx": "pocketsphinx-en-us", "silero": "silero-vad", "pyannote": "pyannote-segmentation",
    "speaker_turns": "pyannote-segmentation",
}  # fmt: skip

ENGINES = ("torch", "ray", "onnxruntime", "ctranslate2", "transformers", "whisperx", "funasr")
"""Packages of which a command that has nothing to do needs none."""


@dataclass(frozen=True, slots=True)
class Load:
    """One engine in one way, over all rounds."""

    name: str
    whole: bool
    rounds: Sequence[dict[str, Any]]

    def of(self, field: str) -> float:
        return float(statistics.median(one[field] for one in self.rounds))

    @property
    def heard(self) -> set[str]:
        return {str(one["heard"]) for one in self.rounds}

    def row(self) -> tuple[str, ...]:
        weights = f"{_megabytes(resolve(WEIGHTS[self.name])):.0f}" if self.name in WEIGHTS else ""
        cpu = [one["cpu_s"] for one in self.rounds]
        figures = (
            f"{self.of('cpu_s'):.2f} [{min(cpu):.2f}, {max(cpu):.2f}]",
            *(f"{self.of(f):.0f}" for f in ("rss_mb", "peak_mb")),
        )
        return (
            self.name,
            "whole" if self.whole else "",
            *figures,
            weights,
            f"{self.of('modules'):.0f}",
            " ".join(self.rounds[0]["heavy"]),
        )


def main() -> None:
    full = full_form(sys.argv)
    logging.disable(logging.WARNING)  # FunASR tells of each tiny model that is written
    rounds = 5 if full else 2
    heading(
        "bench-startup",
        full,
        f"{rounds} fresh processes a row; a reading of 44 s",
        ["whisperx", "faster-whisper", "ctranslate2", "funasr", "pyannote.audio", "torch", "typer"],
    )
    with tempfile.TemporaryDirectory(prefix="voxmill-startup-") as folder:
        tiny_funasr.write_all(Path(folder))
        loads = [_load(name, [], folder, rounds) for name in (*ALONE, *BOTH_WAYS)]
        whole = [_load(name, [module], folder, 1) for name, module in BOTH_WAYS.items()]
        pairs = sorted(
            loads + whole, key=lambda one: (one.name in BOTH_WAYS, [*BOTH_WAYS, one.name].index(one.name), not one.whole)
        )
        header = ("engine", "package", "CPU, s", "RSS, MB", "peak, MB", "weights, MB", "modules", "among them")
        table(header, [one.row() for one in pairs])
        again = _again(Path(folder), full)
    commands = {
        "import voxmill": ["-c", "import voxmill"],
        "voxmill --help": ["-m", "voxmill.pipeline.console_script", "--help"],
        "voxmill run --help": ["-m", "voxmill.pipeline.console_script", "run", "--help"],
    }
    spent = {name: sorted(_cpu(words) for _ in range(5 * rounds)) for name, words in commands.items()}
    rows = [(name, f"{found[0]:.2f}", f"{statistics.median(found):.2f}", f"{found[-1]:.2f}") for name, found in spent.items()]
    table(("command", "least CPU, s", "median", "most"), rows)
    print(
        f"  a run that is finished, once more: {again['cpu_s']:.1f} CPU s; it loads {', '.join(again['loaded']) or 'no such package'}\n"
    )
    by_name = {one.name: one for one in loads}
    same = {one.name: by_name[one.name].heard == one.heard and len(one.heard) == 1 for one in whole}
    whisper = by_name["whisperx"]
    targets: dict[str, Target] = {
        "whisperX, CPU s": {"value": whisper.of("cpu_s"), "target": f"<= {CPU_S:g}", "met": whisper.of("cpu_s") <= CPU_S},
        "whisperX, MB with weights": {"value": whisper.of("rss_mb"), "target": f"<= {RSS_MB:g}", "met": whisper.of("rss_mb") <= RSS_MB},
        "same words in both ways": {"value": sum(same.values()), "target": f"all {len(same)}", "met": all(same.values())},
        "nothing to do: packages": {
            "value": " ".join(again["loaded"]) or "none", "target": "no engine, no ray", "met": not again["loaded"],
        },
    }  # fmt: skip
    for name in ("import voxmill", "voxmill --help"):
        middle = round(statistics.median(spent[name]), 3)
        targets[f"{name}, CPU s"] = {"value": middle, "target": f"< {COMMAND_S:g}", "met": middle < COMMAND_S}
    figures: dict[str, Any] = {
        one.name + (", whole" if one.whole else ""): {f: one.of(f) for f in ("cpu_s", "rss_mb", "peak_mb", "modules")}
        for one in pairs
    }
    finish("bench-startup", {**figures, "commands": spent, "again": again}, targets, full)


def _load(name: str, first: Sequence[str], folder: str, rounds: int) -> Load:
    command = [sys.executable, str(CHILD), name, folder, *first]
    found = [subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(rounds)]
    for one in found:
        if one.returncode:
            sys.exit(f"loading {name} failed:\n{one.stderr[-3000:]}")
    return Load(name, bool(first), [json.loads(one.stdout.splitlines()[-1]) for one in found])


def _cpu(words: Sequence[str]) -> float:
    """CPU seconds (user and system) of a fresh Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _again(folder: Path, full: bool) -> dict[str, Any]:
    """A run of one recording, finished; then what the same command costs once more, and which heavy packages it loads."""
    (spoken,) = joined("en", 1, 20.0, seed=5)
    root = folder / "run"
    settings = runs.config(runs.files([spoken.path], language="en"), [runs.MOONSHINE], executor={"kind": "local", "workers": 1})
    runs.run_or_exit(root, settings)
    code = (
        "import atexit, os, sys, json\n"
        f"heavy = {ENGINES!r}\n"
        "from voxmill.pipeline.cli import main\n"
        f"sys.argv = ['voxmill', 'run', '-c', {str(root.with_suffix('.yaml'))!r}, '-o', {str(root)!r}, '--quiet']\n"
        "try:\n    main()\n"
        "finally:\n"
        "    spent = os.times()\n"
        "    found = [name for name in heavy if name in sys.modules]\n"
        "    print(json.dumps({'cpu_s': spent.user + spent.system + spent.children_user + spent.children_system, 'loaded': found}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=dict(os.environ))
    if done.returncode:
        sys.exit(f"the second run failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    main()

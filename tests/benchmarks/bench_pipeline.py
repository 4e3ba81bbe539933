"""What the pipeline costs beside the models that it feeds.

Interleaved rounds on the same real audio, threads x workers = cores in every arm, models loaded and warm in all:

    (a) bare      the limit: decode, VAD and both engines on the same windows, one loop per core, nothing else
    (a') kept     the same loop in processes that keep their memory, as our workers do (`execution/memory.py`) and nobody's loop does:
                  beside it one sees what the pipeline costs without what it gains there; in every fourth round, not judged
    (b) script    what a user would write today: whisperX's own pipeline file after file, then the second engine on its segments
    (c) ray       the whole of `voxmill run` on Ray, sources to shards and tables
    (d) local     the same on the local executor

CPU-seconds are those of the arm's whole process tree: in (c) with Ray's own daemons and agents. The clock of (c) and (d) stands still while
workers start and stop (`arms/line.py` says how); that time is a column of its own. Also: what packed windows gain over single segments.

    python tests/benchmarks/bench_pipeline.py [--full]
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")])  # what workers of Ray import

from benchmarks import runs
from benchmarks.arms import line
from benchmarks.arms.bare import Bare, Packing, Texts
from benchmarks.arms.clock import Clock, Tree
from benchmarks.arms.material import Material, material
from benchmarks.arms.script import Script
from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.words import Edits, edits, english
from voxmill.pipeline.execution.executor import Executor
from voxmill.pipeline.execution.local_executor import LocalExecutor


@dataclass(frozen=True, slots=True)
class Form:
    recordings: int
    seconds: float
    unit_seconds: float
    rounds: int


REDUCED = Form(recordings=4, seconds=22.0, unit_seconds=60.0, rounds=int(os.environ.get("ROUNDS", "5")))
FULL = Form(recordings=40, seconds=60.0, unit_seconds=120.0, rounds=7)

ARMS = {
    "bare": "(a) bare loop",
    "kept": "(a') bare, memory kept",
    "script": "(b) script",
    "ray": "(c) voxmill, ray",
    "local": "(d) voxmill, local",
}

KEPT_EVERY = 4
"""Rounds from one turn of (a') to the next: ten minutes are short."""


@dataclass(frozen=True, slots=True)
class Round:
    wall_s: float
    cpu_s: float
    start_s: float = 0.0
    """Starting and stopping workers: not in `wall_s`."""


def main() -> None:
    full = full_form(sys.argv)
    form = FULL if full else REDUCED
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="voxmill-pipeline-") as folder:
        heard = material(Path(folder) / "audio", form.recordings, form.seconds, form.unit_seconds)
        heading(
            "bench-pipeline",
            full,
            f"{heard.seconds:.0f} s of real prompts in {len(heard.paths)} MP3 files, {len(heard.units)} units; {form.rounds} rounds",
            ["ray", "whisperx", "faster-whisper", "ctranslate2", "onnxruntime", "pyannote.audio", "av"],
        )
        measured, same, packing, texts = _measure(Path(folder), heard, form, cores)
    figures, targets = _report(measured, same, heard)
    figures |= _packing(packing, heard)
    figures["wer_script"] = round(_wer(heard, [a for a, _ in texts]), 4)
    finish("bench-pipeline", figures, targets, full)


def _measure(
    folder: Path, heard: Material, form: Form, cores: int
) -> tuple[dict[str, list[Round]], bool, list[Packing], list[tuple[str, str]]]:
    from voxmill.pipeline.execution.ray_executor import RayExecutor

    measured: dict[str, list[Round]] = {arm: [] for arm in ARMS}
    same, script_texts = True, list[tuple[str, str]]()
    with (
        Bare(cores, heard.warm_up) as bare,
        Bare(cores, heard.warm_up, keeping=True) as kept,
        Script(cores, heard.paths[0]) as script,
    ):
        alone = set(psutil_children())
        ray: Executor = RayExecutor(workers=cores)
        daemons = set(psutil_children()) - alone
        others = [*bare.pids, *kept.pids, *script.pids]
        expected: Texts = {}
        for number in range(form.rounds):
            order = list(ARMS)[number % len(ARMS) :] + list(ARMS)[: number % len(ARMS)]
            for arm in order:
                if arm == "bare":
                    clock, expected = bare.run(heard.units)
                    measured[arm].append(Round(clock.wall_s, clock.cpu_s))
                elif arm == "kept":
                    if number % KEPT_EVERY:
                        continue
                    clock, _ = kept.run(heard.units)
                    measured[arm].append(Round(clock.wall_s, clock.cpu_s))
                elif arm == "script":
                    clock, script_texts = script.run(heard.paths)
                    measured[arm].append(Round(clock.wall_s, clock.cpu_s))
                else:
                    root = folder / f"{arm}-{number}"
                    without = [*others, *(daemons if arm == "local" else ())]
                    clock = Clock(Tree([os.getpid()], without))
                    executor = ray if arm == "ray" else LocalExecutor(workers=cores)
                    idle = line.run(root, _settings(heard, arm, form, cores), arm, executor, clock, heard.warm_up)
                    measured[arm].append(Round(clock.wall_s, clock.cpu_s, idle))
                    same &= not expected or line.texts_of(root) == expected
                    shutil.rmtree(root)
                _say(number, arm, measured[arm][-1])
        packing = bare.packing(heard.units)
    return measured, same, packing, script_texts


def psutil_children() -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process().children()]


def _say(number: int, arm: str, round_: Round) -> None:
    line_ = f"  round {number + 1}  {ARMS[arm]:22} {round_.wall_s:7.2f} s wall  {round_.cpu_s:7.2f} s CPU"
    print(line_ + (f"  + {round_.start_s:.1f} s start" if round_.start_s else ""), flush=True)


def _settings(heard: Material, kind: str, form: Form, cores: int) -> dict[str, Any]:
    """One worker of one thread per core, each taking a unit through all stages: what `voxmill run` does where no stage has a GPU."""
    return runs.config(
        runs.files(list(heard.paths), language="en"),
        [runs.WHISPERX, runs.MOONSHINE],
        units={"seconds": form.unit_seconds},
        pack={"buckets": 2},
        executor={"kind": kind, "workers": cores},
    )


def _report(measured: dict[str, list[Round]], same: bool, heard: Material) -> tuple[dict[str, Any], dict[str, Target]]:
    rows, figures = [], dict[str, Any]()
    for arm, name in ARMS.items():
        rounds = measured[arm]
        wall, cpu, start = ([getattr(r, field) for r in rounds] for field in ("wall_s", "cpu_s", "start_s"))
        speed = heard.seconds / statistics.median(wall)
        rows.append((name, _spread(wall), _spread(cpu), f"{speed:.1f} x", f"{statistics.median(start):.1f}"))
        figures[arm] = {"wall_s": _median(wall), "cpu_s": _median(cpu), "start_s": _median(start)}
    print()
    table(("arm", "wall, s", "CPU, s", "real time", "start, s"), rows)
    ratios = {
        "CPU-seconds, bare / ray": _ratio(measured, "cpu_s", "bare", "ray"),
        "wall, bare / ray": _ratio(measured, "wall_s", "bare", "ray"),
        "wall, script / ray": _ratio(measured, "wall_s", "script", "ray"),
        "CPU-seconds, bare / local": _ratio(measured, "cpu_s", "bare", "local"),
        "wall, bare / local": _ratio(measured, "wall_s", "bare", "local"),
        **{
            f"CPU-seconds, memory kept / {arm}": _ratio(
                {"kept": measured["kept"], arm: measured[arm][::KEPT_EVERY]}, "cpu_s", "kept", arm
            )
            for arm in ("bare", "ray", "local")
        },
    }
    table(("ratio within a round", "median [least, most]"), [(name, _spread(values)) for name, values in ratios.items()])
    cpu_ratio, wall_ratio, faster = (_median(ratios[name]) for name in list(ratios)[:3])
    figures |= {"ratios": {name: [round(v, 3) for v in values] for name, values in ratios.items()}}
    return figures, {
        "CPU-seconds, bare / ray": {"value": cpu_ratio, "target": ">= 0.95", "met": cpu_ratio >= 0.95},
        "wall, bare / ray": {"value": wall_ratio, "target": ">= 0.90", "met": wall_ratio >= 0.90},
        "wall, script / ray": {"value": faster, "target": "> 1", "met": faster > 1},
        "same words in (a), (c), (d)": {"value": same, "target": "yes", "met": same},
    }


def _packing(packing: Sequence[Packing], heard: Material) -> dict[str, Any]:
    """Prints what sharing windows gains, and what it does to the words."""
    order = list(dict.fromkeys(part.recording_id for unit in heard.units for part in unit.parts))

    def texts(of: Callable[[Packing], dict[str, str]]) -> list[str]:
        return [" ".join(of(one)[key] for one in packing if key in of(one)) for key in order]

    packed, single = sum(one.packed_s for one in packing), sum(one.single_s for one in packing)
    wers = _wer(heard, texts(lambda one: one.packed)), _wer(heard, texts(lambda one: one.single))
    rows = [
        (name, f"{spent:.1f}", f"{spent / heard.seconds:.4f}", f"{wer:.1%}")
        for name, spent, wer in zip(("packed windows", "single segments"), (packed, single), wers, strict=True)
    ]
    table(("whisperX on the same segments", "CPU, s", "CPU s per s", "WER"), rows)
    gain = single / packed
    print(f"  packed windows cost {1 / gain:.2f} of single segments: {gain:.2f} times as fast\n")
    return {"packed_gain": round(gain, 3), "wer_packed": round(wers[0], 4), "wer_single": round(wers[1], 4)}


def _wer(heard: Material, texts: Sequence[str]) -> float:
    total = Edits()
    for said, text in zip(heard.texts, texts, strict=True):
        total += edits(english(said), english(text))
    return total.rate


def _ratio(measured: dict[str, list[Round]], field: str, above: str, below: str) -> list[float]:
    pairs = zip(measured[above], measured[below], strict=True)
    return [getattr(a, field) / getattr(b, field) for a, b in pairs]


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 3)


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


if __name__ == "__main__":
    main()

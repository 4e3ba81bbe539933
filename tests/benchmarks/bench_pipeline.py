"""What the pipeline costs beside the models that it feeds.

Interleaved rounds on the same real audio, threads x workers = cores in every arm, models loaded and warm in all:

    (a) bare      decode, VAD and both engines on the same windows, one loop per core, nothing else
    (a') kept     the same loop in processes that keep their memory, as our workers do (`execution/malloc.py`): the honest limit
    (b) script    what a user would write today: whisperX's own pipeline file after file, then the second engine on its segments
    (c) ray       the whole of `voxmill run` on Ray, sources to shards and tables
    (d) local     the same on the local executor

A machine that is shared changes its speed while this runs, by more than what is measured. So before and after each pass the loops of (a') hear
the same small piece, the gauge, and passes are compared by what they take of the gauges beside them.

CPU-seconds are those of the arm's whole process tree: in (c) with Ray's own daemons and agents. The clock of (c) and (d) stands still while
workers start and stop (`arms/line.py` says how); that time is a column of its own. What (c) and (d) cost beyond (a') is taken apart twice: by
three shapes of the work into a cost of the run, of a unit and of a second of audio, and by what the run has noted of its stages.
(b), and what packed windows gain over single segments, are measured once, on the small shape.

    python tests/benchmarks/bench_pipeline.py [--full]

The reduced form takes as many rounds as begin within LIMIT_S, two at least, and (a) in the first of them. ROUNDS=n asks for n.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")])  # what workers of Ray import

import psutil

from benchmarks import runs
from benchmarks.arms import line
from benchmarks.arms.bare import Bare, Packing, Texts
from benchmarks.arms.clock import OURS, Clock, Tree
from benchmarks.arms.material import Material, material
from benchmarks.arms.script import Script
from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.words import Edits, edits, english
from voxmill.pipeline.execution.executor import Executor
from voxmill.pipeline.execution.local_executor import LocalExecutor


@dataclass(frozen=True, slots=True)
class Shape:
    """How much work, in pieces of which size."""

    recordings: int
    unit_seconds: float


@dataclass(frozen=True, slots=True)
class Form:
    seconds: float
    """Of a recording, at least."""
    large: Shape
    small: Shape
    fine: Shape
    """As much audio as `small`, in smaller units."""
    gauge: Shape
    rounds: int


LIMIT_S = 270.0
REDUCED = Form(56.0, Shape(10, 64.0), Shape(2, 64.0), Shape(2, 16.0), Shape(2, 36.0), rounds=5)
FULL = Form(60.0, Shape(40, 120.0), Shape(8, 120.0), Shape(8, 30.0), Shape(8, 60.0), rounds=7)

ARMS = {
    "bare": "(a) bare loop",
    "kept": "(a') bare, memory kept",
    "script": "(b) script",
    "ray": "(c) voxmill, ray",
    "local": "(d) voxmill, local",
}
EVERY_ROUND = ("bare", "kept", "ray", "local")
WANTED = {"local": 0.92, "ray": 0.88}
"""Of the honest limit."""
TIMES = {"CPU-seconds": "cpu_s", "wall": "wall_s"}
OF_BARE = {"CPU-seconds": 0.95, "wall": 0.90}
"""What (c) must reach of (a)."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One arm, once over one shape."""

    wall_s: float
    cpu_s: float
    start_s: float = 0.0
    """Starting and stopping workers: not in `wall_s`."""
    parts: dict[str, float] = field(default_factory=dict)
    """CPU-seconds by part of the work."""
    laps: dict[str, float] = field(default_factory=dict)
    """Wall seconds by lap: each chain of stages, and what the driver does between them."""
    gauge_wall_s: float = 0.0
    """Of the gauges before and after, at the mean; 0 where none was heard."""
    gauge_cpu_s: float = 0.0

    def of_gauge(self, name: str) -> float:
        """`wall_s` or `cpu_s` in gauges."""
        taken: float = getattr(self, name) / getattr(self, f"gauge_{name}")
        return taken


def main() -> None:
    full = full_form(sys.argv)
    form = FULL if full else REDUCED
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="voxmill-pipeline-") as folder:
        large = material(Path(folder) / "audio", form.large.recordings, form.seconds, form.large.unit_seconds)
        small, fine, gauge = (large.cut(one.recordings, one.unit_seconds) for one in (form.small, form.fine, form.gauge))
        heading(
            "bench-pipeline",
            full,
            f"{large.seconds:.0f} s of real prompts in {len(large.paths)} MP3 files, {len(large.units)} units; "
            f"also {small.seconds:.0f} s in {len(small.units)}, and {fine.seconds:.0f} s in {len(fine.units)}",
            ["ray", "whisperx", "faster-whisper", "ctranslate2", "onnxruntime", "pyannote.audio", "av"],
        )
        with arms(Path(folder), cores, large) as bench:
            measured = _rounds(bench, large, gauge, form, full)
            shapes = {name: _once(bench, name, heard) for name, heard in (("small", small), ("fine", fine))}
            packing = bench.bare.packing(small.units)
        with Script(cores, small.paths[0]) as script:
            clock, texts = script.run(small.paths)
        _say("small", "script", Pass(clock.wall_s, clock.cpu_s))
    figures, targets = _report(measured, bench.same, large)
    figures["beyond"] = _beyond(measured, shapes, (large, small, fine))
    _profile(measured)
    ratio = shapes["small"]["ray"].wall_s and clock.wall_s / shapes["small"]["ray"].wall_s
    targets["wall, script / ray, small shape"] = {"value": round(ratio, 2), "target": "> 1", "met": ratio > 1}
    figures |= _packing(packing, small) | {"wer_script": round(_wer(small, [one for one, _ in texts]), 4)}
    finish("bench-pipeline", figures, targets, full)


@dataclass
class Arms:
    """The arms with their models loaded. `same` turns False where one of them hears other words."""

    folder: Path
    cores: int
    warm: Material
    bare: Bare
    kept: Bare
    ray: Executor
    daemons: frozenset[int]
    same: bool = True
    runs: int = 0
    expected: dict[tuple[str, ...], Texts] = field(default_factory=dict)
    """By ids of units."""

    def run(self, arm: str, heard: Material) -> Pass:
        """Raises what the arm raises."""
        if arm in ("bare", "kept"):
            clock, texts, parts = (self.bare if arm == "bare" else self.kept).run(heard.units)
            self._compare(heard, texts)
            return Pass(clock.wall_s, clock.cpu_s, parts=parts)
        self.runs += 1
        root = self.folder / f"{arm}-{self.runs}"
        clock = Clock(Tree([os.getpid()], [*self.bare.pids, *self.kept.pids, *(self.daemons if arm == "local" else ())]))
        executor = self.ray if arm == "ray" else LocalExecutor(workers=self.cores)
        idle = line.run(root, _settings(heard, arm, self.cores), arm, executor, clock, self.warm.warm_up)
        self._compare(heard, line.texts_of(root))
        stages = line.spent_in(root)
        daemons = {kind: spent for kind, spent in clock.kinds.items() if kind != OURS}
        rest = {"driver, and workers between stages": clock.cpu_s - sum(stages.values()) - sum(daemons.values())}
        shutil.rmtree(root)
        laps = {name: lap.wall_s for name, lap in clock.laps.items()}
        return Pass(clock.wall_s, clock.cpu_s, idle, stages | rest | daemons, laps)

    def _compare(self, heard: Material, texts: Texts) -> None:
        self.same &= self.expected.setdefault(tuple(unit.unit for unit in heard.units), texts) == texts


@contextmanager
def arms(folder: Path, cores: int, warm: Material) -> Iterator[Arms]:
    """Loads bare loops and Ray's daemons; the workers of (c) and (d) are started in each run."""
    from voxmill.pipeline.execution.ray_executor import RayExecutor, start_ray

    with Bare(cores, warm.warm_up) as bare, Bare(cores, warm.warm_up, keeping=True) as kept:
        alone = {child.pid for child in psutil.Process().children()}
        start_ray(None)
        daemons = frozenset(child.pid for child in psutil.Process().children()) - alone
        yield Arms(folder, cores, warm, bare, kept, RayExecutor(workers=cores), daemons)


def _rounds(bench: Arms, large: Material, gauge: Material, form: Form, full: bool) -> dict[str, list[Pass]]:
    measured, began = defaultdict[str, list[Pass]](list), time.monotonic()
    stated = int(os.environ.get("ROUNDS", "0"))
    before = bench.run("kept", gauge)
    for number in range(stated or form.rounds):
        if not (full or stated) and number > 1 and time.monotonic() - began > LIMIT_S:
            break
        turn = number % len(EVERY_ROUND)
        for arm in EVERY_ROUND[turn:] + EVERY_ROUND[:turn]:
            if arm == "bare" and number and not (full or stated):
                continue
            done, after = bench.run(arm, large), bench.run("kept", gauge)
            beside = {
                f"gauge_{name}": statistics.mean((getattr(before, name), getattr(after, name))) for name in TIMES.values()
            }
            measured[arm].append(replace(done, **beside))
            _say(f"round {number + 1}", arm, measured[arm][-1])
            before = after
    return measured


def _once(bench: Arms, name: str, heard: Material) -> dict[str, Pass]:
    passes = {}
    for arm in ("kept", *WANTED):
        passes[arm] = bench.run(arm, heard)
        _say(name, arm, passes[arm])
    return passes


def _say(when: str, arm: str, done: Pass) -> None:
    said = f"  {when:8} {ARMS[arm]:22} {done.wall_s:7.2f} s wall  {done.cpu_s:7.2f} s CPU"
    said += f"  + {done.start_s:4.1f} s start" if done.start_s else " " * 16
    print(said + (f"  gauge {done.gauge_wall_s:.2f}, {done.gauge_cpu_s:.2f}" if done.gauge_wall_s else ""), flush=True)


def _settings(heard: Material, kind: str, cores: int) -> dict[str, Any]:
    """One worker of one thread per core, each taking a unit through all stages: what `voxmill run` does where no stage has a GPU."""
    return runs.config(
        runs.files(list(heard.paths), language="en"),
        [runs.WHISPERX, runs.MOONSHINE],
        units={"seconds": heard.unit_seconds},
        pack={"buckets": 2},
        executor={"kind": kind, "workers": cores},
    )


def _report(measured: dict[str, list[Pass]], same: bool, large: Material) -> tuple[dict[str, Any], dict[str, Target]]:
    rows, figures = [], dict[str, Any]()
    for arm, passes in measured.items():
        wall, cpu, start = ([getattr(one, name) for one in passes] for name in ("wall_s", "cpu_s", "start_s"))
        speed = large.seconds / statistics.median(wall)
        rows.append((ARMS[arm], _spread(wall), _spread(cpu), f"{speed:.1f} x", f"{statistics.median(start):.1f}"))
        figures[arm] = {"wall_s": _median(wall), "cpu_s": _median(cpu), "start_s": _median(start)}
    print()
    table(("arm", "wall, s", "CPU, s", "real time", "start, s"), rows)
    ratios = {
        f"{name}, {above} / {below}": _ratio(measured, TIMES[name], above, below)
        for below in WANTED
        for above in ("kept", "bare")
        for name in TIMES
    }
    table(("ratio, in gauges", "median [least, most]"), [(name, _spread(values)) for name, values in ratios.items()])
    figures |= {"ratios": {name: [round(v, 3) for v in values] for name, values in ratios.items()}}
    targets: dict[str, Target] = {}
    wanted = {f"{name}, kept / {below}": least for below, least in WANTED.items() for name in TIMES}
    wanted |= {f"{name}, bare / ray": least for name, least in OF_BARE.items()}
    for name, least in wanted.items():
        value = _median(ratios[name])
        targets[name] = {"value": value, "target": f">= {least}", "met": value >= least}
    targets["same words in (a), (c), (d)"] = {"value": same, "target": "yes", "met": same}
    return figures, targets


def _beyond(
    measured: dict[str, list[Pass]], shapes: dict[str, dict[str, Pass]], of: tuple[Material, Material, Material]
) -> dict[str, Any]:
    """CPU-seconds beyond (a') of a whole run, of a unit and of a second of audio: three shapes, three unknowns."""
    large, small, fine = of
    rows, figures = [], {}
    for arm in WANTED:
        taken, of_limit = (statistics.median(one.of_gauge("cpu_s") for one in measured[name]) for name in (arm, "kept"))
        at_large = (taken - of_limit) * statistics.median(one.gauge_cpu_s for one in measured["kept"])
        at_small, at_fine = (shapes[name][arm].cpu_s - shapes[name]["kept"].cpu_s for name in ("small", "fine"))
        unit = (at_fine - at_small) / (len(fine.units) - len(small.units))
        second = (at_large - at_small - unit * (len(large.units) - len(small.units))) / (large.seconds - small.seconds)
        fixed = at_small - unit * len(small.units) - second * small.seconds
        limit = statistics.median(k.cpu_s for k in measured["kept"]) / large.seconds
        rows.append((ARMS[arm], f"{fixed:.2f}", f"{1000 * unit:.0f}", f"{1000 * second:.1f}", f"{1000 * limit:.1f}"))
        figures[arm] = {"run_s": round(fixed, 2), "unit_ms": round(1000 * unit, 1), "second_ms": round(1000 * second, 2)}
    table(("CPU beyond (a')", "a run, s", "a unit, ms", "a second of audio, ms", "(a') itself, ms"), rows)
    return figures


def _profile(measured: dict[str, list[Pass]]) -> None:
    """Where the time of the large shape goes: medians over the rounds."""
    arms = ("kept", *WANTED)
    kinds: tuple[tuple[str, Callable[[Pass], dict[str, float]]], ...] = (
        ("CPU, s", lambda one: {**one.parts, "all": one.cpu_s}),
        ("wall, s", lambda one: {**one.laps, "all": one.wall_s}),
    )
    for heading_, of in kinds:
        found = {arm: [of(one) for one in measured[arm]] for arm in arms}
        names = sorted(dict.fromkeys(n for arm in arms for one in found[arm] for n in one), key=lambda name: name == "all")
        rows = [(name, *(_cell([one[name] for one in found[arm] if name in one]) for arm in arms)) for name in names]
        table((heading_, *(ARMS[arm] for arm in arms)), rows)


def _cell(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f}" if values else ""


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
    return {"packed_gain": round(single / packed, 3), "wer_packed": round(wers[0], 4), "wer_single": round(wers[1], 4)}


def _wer(heard: Material, texts: Sequence[str]) -> float:
    total = Edits()
    for said, text in zip(heard.texts, texts, strict=True):
        total += edits(english(said), english(text))
    return total.rate


def _ratio(measured: dict[str, list[Pass]], name: str, above: str, below: str) -> list[float]:
    """What `above` takes of the gauge, at the median, over what each pass of `below` takes."""
    taken = statistics.median(one.of_gauge(name) for one in measured[above])
    return [taken / one.of_gauge(name) for one in measured[below]]


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 3)


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


if __name__ == "__main__":
    main()

"""What `train`, `transcribe`, `evaluate` and `export` print: live displays and final tables."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from rich.console import Console, RenderableType

from voxmill.manifests.errors import UserError
from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.meter import METER
from voxmill.pipeline.terminal.display import Display, clock
from voxmill.pipeline.terminal.output import amount, print_json
from voxmill.pipeline.terminal.output import console as standard
from voxmill.pipeline.terminal.table import number, print_table, table_of

TOO_MANY, ENOUGH = 300, 100
"""Epochs of the same audio that are warned of, and that are proposed instead."""
LISTED = 20
"""Groups that are listed, those with the most audio."""
SMOOTHED = 0.9
"""Exponential smoothing of the figures on the display: the weight of the earlier steps."""


Step = Any
"""`models.training.trainer.Step`, which is not imported: only `commands/modelling.py` may import `models`."""


class TrainingDisplay(Display):
    """A callback for training: a table that is refreshed on a terminal; elsewhere a line now and then."""

    def __init__(self, steps: int, console: Console | None = None, *, quiet: bool = False, best: Any = None) -> None:
        """`best`: the best validation before this training goes on."""
        super().__init__(console, quiet=quiet)
        self._steps = steps
        self._best = best
        self._judged: Any = None
        self._figures: dict[str, float] = {}
        self._sums: dict[str, tuple[float, float]] = {}
        self._last: Step = None
        self._not_finite = 0
        self._begin = time.monotonic()
        self._first = 0

    def __call__(self, step: Step) -> None:
        if self._last is None:
            self._begin, self._first = time.monotonic() - step.seconds, step.step - 1
        self._last = step
        heads = {f"loss {name}": part for name, part in step.parts.items()}
        for name, value in {"loss": step.loss, **heads, "audio": step.audio_seconds, "seconds": step.seconds}.items():
            if not math.isfinite(value):
                continue
            total, weight = self._sums.get(name, (0.0, 0.0))
            self._sums[name] = total, weight = SMOOTHED * total + value, SMOOTHED * weight + 1
            self._figures[name] = total / weight
        self._not_finite += not step.updated
        self._figures["waiting"] = self._figures.get("waiting", 0.0) + step.waiting
        if step.validation is not None:
            self._judged, self._best = step.validation, step.best
        at_once = step.step == self._steps or step.validation is not None
        self.tell("step", lambda: (f"{name} {value}" for name, value in self._cells()), at_once=at_once)

    def _cells(self) -> list[tuple[str, str]]:
        step, figures = self._last, self._figures
        if step is None:
            return [("step", f"–/{self._steps}")]
        elapsed = max(time.monotonic() - self._begin, 1e-9)
        left = (self._steps - step.step) * elapsed / max(1, step.step - self._first)
        cells = [("step", f"{step.step}/{self._steps}")]
        cells += [(name, f"{value:.2f}") for name, value in figures.items() if name.startswith("loss")]
        if self._judged is not None:
            cells += validated(self._judged)
        if self._best is not None:
            cells.append(("best", best_in_words(self._best)))
        cells += [
            ("x real time", f"{figures['audio'] / figures['seconds']:.1f}"),
            ("budget", step.budget or "whole"),
            ("expert peak", "–" if step.expert_peak is None else f"{step.expert_peak:.2f}"),
            ("rate", f"{step.rate:.1e}"),
            ("waiting for data", f"{figures['waiting'] / elapsed:.0%}"),
            ("left out", str(sum(step.skipped.values()))),
            ("ETA", clock(left) if step.step < self._steps else "done"),
        ]
        if self._not_finite:
            cells.append(("steps without an update (gradient not finite)", str(self._not_finite)))
        return cells

    def table(self) -> RenderableType | None:
        """Step, losses, speed and time left."""
        return table_of((" ", "  "), self._cells(), self._console.width) if self._last is not None else None


def validated(validation: Any) -> list[tuple[str, str]]:
    """Loss and WER of a `Validation` under each budget, as cells."""
    results = validation.budgets.values()
    return [
        (f"dev {name}", " / ".join("–" if value is None else f"{value:.2f}" for value in values))
        for name, values in (("loss", [one.loss for one in results]), ("WER %", [one.wer for one in results]))
    ]


def best_in_words(best: Any) -> str:
    """A `BestValidation` in words."""
    return f"{best.measure.upper() if best.measure == 'wer' else best.measure} {best.score:.2f} at step {best.step}"


def print_estimate(estimate: Any, shards: str, out: str, steps: int, console: Console, before: str | None = None) -> None:
    """Prints a `TrainingEstimate`: samples, epochs, parameters, and where training continues; `before`: the other shards that it has read so far."""
    left_out = f", {sum(estimate.skipped.values())} left out ({counted(estimate.skipped)})" if estimate.skipped else ""
    console.print(f"{shards}: {amount(estimate.samples, 'sample')}, {estimate.seconds / 3600:.3f} h{left_out}", soft_wrap=True)
    if estimate.unlearnt:
        console.print(
            f"no token for the language of some samples, which are left out: {estimate.unlearnt}",
            style="yellow",
            soft_wrap=True,
        )
    console.print(f"{amount(estimate.batches, 'batch')} an epoch, {estimate.epochs:,.1f} epochs in all", soft_wrap=True)
    for heading, shares in (("shards", estimate.roots), ("group", estimate.groups)):
        if shares:
            print_table(console, (heading, *_SHARE_COLUMNS), [_share_line(one, estimate.epochs) for one in shares[:LISTED]])
        if len(shares) > LISTED:
            console.print(f"and {amount(len(shares) - LISTED, 'smaller group')}", soft_wrap=True)
    if warning := too_many_epochs(estimate, steps):
        console.print(warning, style="yellow", soft_wrap=True)
    console.print(f"model: {estimate.size.stored:,} parameters, {estimate.size.active:,} of them active", soft_wrap=True)
    if memory := estimate.memory:
        parts = (
            f"parameters {_gb(memory.parameters)}, optimiser {_gb(memory.optimizer)}, largest batch {_gb(memory.activations)}"
        )
        console.print(
            f"memory: at least {_gb(memory.total)} ({parts}); estimated from short utterances, without what kernels need for a moment",
            soft_wrap=True,
        )
    if estimate.validation:
        console.print(estimate.validation, style=None if estimate.validates else "yellow", soft_wrap=True)
    if estimate.over:
        message = f"{out} has a checkpoint of step {estimate.done}: nothing is left to do"
        console.print(f"{message}: {estimate.over}", soft_wrap=True)
    elif estimate.done:
        console.print(f"{out} has a checkpoint of step {estimate.done}: training goes on from there", soft_wrap=True)
        if before:
            console.print(f"it was trained on {before} so far, and goes on with {shards}", style="yellow", soft_wrap=True)


_SHARE_COLUMNS = (number("samples"), number("hours"), number("share read"), number("epochs in all"))


def _share_line(share: Any, epochs: float) -> list[str]:
    """What is read of a root or a group (`GroupShare`)."""
    return [
        share.name,
        f"{share.samples:,}",
        f"{share.seconds / 3600:.3f}",
        f"{share.share:.1%}",
        f"{share.rate * epochs:,.1f}",
    ]


def too_many_epochs(estimate: Any, steps: int) -> str:
    """What to say where the steps read the same audio far too often; empty where they do not."""
    most = max((share for share in (*estimate.roots, *estimate.groups)), key=lambda share: share.rate, default=None)
    if estimate.epochs > TOO_MANY:
        fewer = max(1, round(steps * ENOUGH / estimate.epochs))
        return (
            f"{amount(steps, 'step')} read these shards {estimate.epochs:,.0f} times, and a model learns them by heart: take --steps {fewer} "
            f"({ENOUGH} epochs), or give more shards (--shards can be repeated)"
        )
    if most is not None and most.rate * estimate.epochs > TOO_MANY:
        return (
            f"{most.name} is read {most.rate * estimate.epochs:,.0f} times, and a model learns it by heart: give it a smaller weight, or raise "
            "data.plan.sample.temperature"
        )
    return ""


def _gb(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 5e7 else f"{num_bytes / 1e6:.0f} MB"


def print_trained(trained: Any, out: str, console: Console, *, quiet: bool) -> bool:
    """Prints a `TrainingResult`. Returns whether training was finished."""
    if not trained.finished:
        console.print(
            f"stopped after step {trained.step}, saved in {trained.folder}; the same command continues", style="yellow"
        )
    elif not quiet:
        left_out = f"; left out: {counted(trained.skipped)}" if trained.skipped else ""
        console.print(f"{trained.folder}, {out}/log.jsonl, {out}/curve.png{left_out}", soft_wrap=True)
        if trained.ended:
            console.print(f"ended early at step {trained.step}: {trained.ended}", soft_wrap=True)
        if trained.best:
            console.print(f"best on dev: {best_in_words(trained.best)} ({out}/best.json)", soft_wrap=True)
        if trained.average:
            console.print(f"average of checkpoints: {trained.average}", soft_wrap=True)
        console.print(f"next: voxmill transcribe FILE --model {out}", soft_wrap=True)
    return bool(trained.finished)


def print_model(place: str, given: str, *, quiet: bool) -> None:
    """Says which checkpoint of a training's folder is used, where a folder of a training was given."""
    if place != given and not quiet:
        standard(stderr=True).print(f"model: {place}", soft_wrap=True)


def counted(counts: Mapping[str, int]) -> str:
    """Counts in words.

    >>> counted({"b": 2, "a": 1})
    'a 1, b 2'
    """
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


class CountDisplay(Display):
    """How many of `total` are done and how long the rest takes. Call it with the number of newly finished ones."""

    def __init__(self, total: int, what: str, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._total, self._what, self._done = total, what, 0
        self._begin = time.monotonic()

    def __call__(self, more: int) -> None:
        self._done += more

    def now(self) -> Sequence[str]:
        """Done, total, time so far and time left."""
        elapsed = time.monotonic() - self._begin
        eta = clock(elapsed / self._done * (self._total - self._done)) if self._done else "–"
        return (f"{self._what} {self._done}/{self._total} · {clock(elapsed)} · ETA {eta}",)


class TranscribeDisplay(Display):
    """Which of several files is being transcribed, and how much of its audio was read."""

    def __init__(self, files: Sequence[str], *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._files, self._at = files, 0
        self._begin, self._from = time.monotonic(), METER.samples

    def next(self) -> None:
        """The current file is finished."""
        self._at += 1
        self._begin, self._from = time.monotonic(), METER.samples

    def now(self) -> Sequence[str]:
        """Number and name of the current file, seconds of audio read, time so far."""
        if self._at >= len(self._files):
            return ()
        read = (METER.samples - self._from) / SAMPLE_RATE
        elapsed = clock(time.monotonic() - self._begin)
        return (f"{self._at + 1}/{len(self._files)} · {self._files[self._at]} · {read:.0f} s of audio read · {elapsed}",)


def print_evaluation(results: Sequence[Any], split: str, *, as_json: bool) -> None:
    """Prints `BudgetResult`s side by side, one column for each budget."""
    if as_json:
        print_json({"split": split, "budgets": [asdict(result) for result in results]})
        return
    console = standard()
    first = results[0]
    left_out = f", left out: {counted(first.skipped)}" if first.skipped else ""
    console.print(f"split {split}: {first.utterances} utterances, {first.audio_seconds / 60:.1f} min{left_out}", soft_wrap=True)
    columns = [_column(result) for result in results]
    names = list(dict.fromkeys(name for column in columns for name in column))
    lines = [[name, *(column.get(name, "–") for column in columns)] for name in names]
    print_table(console, ("budget", *(number(r.budget) for r in results)), lines)
    if split == "train":
        console.print("these are samples of the training split: figures of what a model has seen", style="yellow")


def _column(result: Any) -> dict[str, str]:
    """Size and speed of a budget, then its scores."""
    cells = {"parameters": f"{result.stored:,}", "active": f"{result.active:,}", "real-time factor": f"{result.rtf:.3f}"}
    figures, languages = result.figures, result.figures["by_language"]
    groups = [("", figures["text"], ("wer", "cer"))]
    groups += [(f"  {name} ", one, ("wer", "cer")) for name, one in languages.items() if len(languages) > 1]
    groups += [(f"{kind} ", one, ("accuracy", "macro_f1")) for kind, one in figures["choices"].items()]
    groups += [("events ", figures["events"], ("f1", "macro_f1"))] if figures["events"] else []
    groups += [(f"into {name} ", one, ("bleu", "chrf")) for name, one in figures["translations"].items()]
    return cells | {f"{group}{_NAMES[key]}": _figure(one[key]) for group, one, keys in groups for key in keys}


_NAMES = {
    "wer": "WER %", "cer": "CER %", "accuracy": "accuracy %", "f1": "F1 %", "macro_f1": "macro F1 %", "bleu": "BLEU", "chrf": "chrF",
}  # fmt: skip


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def export_format(name: str) -> Literal["safetensors", "onnx", "sherpa-onnx", "transformers"]:
    """The format that `export` was asked for. Raises UserError."""
    if name == "safetensors":
        return "safetensors"
    if name == "onnx":
        return "onnx"
    if name == "sherpa-onnx":
        return "sherpa-onnx"
    if name == "transformers":
        return "transformers"
    raise UserError(f"--format is `safetensors`, `onnx`, `sherpa-onnx` or `transformers`, not `{name}`")


def print_export(report: Any, *, as_json: bool) -> None:
    """Prints an `ExportReport`: files, sizes, and how far the exported model differs."""
    if as_json:
        print_json(asdict(report))
        return
    console, size = standard(), report.size
    console.print(
        f"{report.folder}: budget {report.budget or 'whole'}, {size.stored:,} parameters, {size.active:,} active",
        soft_wrap=True,
    )
    for name, num_bytes in report.files.items():
        console.print(f"  {name}  {num_bytes / 1e6:.2f} MB", soft_wrap=True)
    console.print(f"largest difference to the model, in {report.compared_in}: {report.difference:.1e}", soft_wrap=True)

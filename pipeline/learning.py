"""What training, evaluation and the rest of the model's commands show on a terminal. The figures come from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from voxmill.pipeline.progress import LINE_EVERY_S, clock

SMOOTHED = 0.9
"""Of a figure on the display, the share that comes from the step before: single steps jump."""


Step = Any
"""`models.train.Step`; no name of that folder is imported here."""


class TrainingDisplay:
    """A listener for training: one table that is refreshed, or, where output is no terminal, a line now and then."""

    def __init__(self, steps: int, console: Console | None = None, *, quiet: bool = False) -> None:
        self._console = console or Console(stderr=True)
        self._quiet, self._steps = quiet, steps
        self._figures: dict[str, float] = {}
        self._last: Step = None
        self._begin = self._spoken = time.monotonic()
        self._first = 0
        self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._table)
        self._interactive = self._console.is_terminal and not quiet

    def __enter__(self) -> TrainingDisplay:
        if self._interactive:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._interactive:
            self._live.stop()

    def __call__(self, step: Step) -> None:
        if self._last is None:
            self._begin, self._first = time.monotonic() - step.seconds, step.step - 1
        self._last = step
        heads = {f"loss {name}": part for name, part in step.parts.items()}
        for name, value in {"loss": step.loss, **heads, "audio": step.audio_seconds, "seconds": step.seconds}.items():
            self._figures[name] = SMOOTHED * self._figures.get(name, value) + (1 - SMOOTHED) * value
        self._figures["waiting"] = self._figures.get("waiting", 0.0) + step.waiting
        now, over = time.monotonic(), step.step == self._steps
        if not self._interactive and not self._quiet and (now - self._spoken > LINE_EVERY_S or over):
            self._spoken = now
            self._console.print(" · ".join(f"{name} {value}" for name, value in self._cells()), highlight=False, soft_wrap=True)

    def _cells(self) -> list[tuple[str, str]]:
        step, figures = self._last, self._figures
        if step is None:
            return [("step", f"–/{self._steps}")]
        elapsed = max(time.monotonic() - self._begin, 1e-9)
        left = (self._steps - step.step) * elapsed / max(1, step.step - self._first)
        cells = [("step", f"{step.step}/{self._steps}")]
        cells += [(name, f"{value:.2f}") for name, value in figures.items() if name.startswith("loss")]
        cells += [
            ("x real time", f"{figures['audio'] / figures['seconds']:.1f}"),
            ("budget", step.budget or "whole"),
            ("load spread", "–" if step.load_spread is None else f"{step.load_spread:.2f}"),
            ("rate", f"{step.rate:.1e}"),
            ("waiting for data", f"{figures['waiting'] / elapsed:.0%}"),
            ("left out", str(sum(step.skipped.values()))),
            ("ETA", clock(left) if step.step < self._steps else "done"),
        ]
        return cells

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, value in self._cells():
            table.add_row(name, value)
        return table


def print_survey(survey: Any, shards: str, out: str, console: Console) -> None:
    """Of `training.Survey`."""
    left_out = f", {sum(survey.skipped.values())} left out ({counted(survey.skipped)})" if survey.skipped else ""
    console.print(f"{shards}: {survey.samples} samples, {survey.seconds / 3600:.3f} h{left_out}", highlight=False)
    console.print(f"{survey.batches} batches an epoch, {survey.epochs:.1f} epochs in all", highlight=False)
    console.print(f"model: {survey.size.stored:,} parameters, {survey.size.active:,} of them active", highlight=False)
    if survey.done:
        console.print(f"{out} has a checkpoint of step {survey.done}: training goes on from there", highlight=False)


def print_trained(trained: Any, out: str, console: Console, *, quiet: bool) -> bool:
    """Of `training.Trained`. Returns whether it was finished."""
    if not trained.finished:
        console.print(
            f"stopped after step {trained.step}, saved in {trained.folder}; the same command continues", style="yellow"
        )
    elif not quiet:
        left_out = f"; left out: {counted(trained.skipped)}" if trained.skipped else ""
        console.print(f"{trained.folder}, {out}/log.jsonl, {out}/curve.png{left_out}", highlight=False, soft_wrap=True)
        console.print(f"next: voxmill transcribe FILE --model {out}", highlight=False, soft_wrap=True)
    return bool(trained.finished)


def counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], console: Console, title: str = "") -> None:
    """The first column to the left, figures to the right."""
    table = Table(box=None, pad_edge=False, title=title or None, title_justify="left", title_style="bold")
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)

"""The log of a training: a line of JSON for each step, TensorBoard events, and a plot.

    log.jsonl   every field of every `Step`; a resumed training continues it, without the steps that it repeats
    events/     the same for `tensorboard --logdir`
    sent.json   the last step that loggers were sent before this start, where there are any
    curve.png   loss of each head, learning rate and load of the experts, and what validation found, drawn at the end

TensorBoard and matplotlib are in the extra `train`; without them only the JSON is written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from voxmill.manifests.storage import commit_bytes
from voxmill.models.training.loggers import StepSink
from voxmill.models.training.trainer import Step

LOG, EVENTS, CURVE, SENT = "log.jsonl", "events", "curve.png", "sent.json"
SMOOTHED = 0.95
"""Decay of the running mean that the plot shows."""


class MetricsLog:
    """A callback for `Trainer.run`: `with MetricsLog(folder, trainer.step) as log: trainer.run(out, log)`."""

    def __init__(self, folder: str | Path, start: int = 0, sinks: Sequence[StepSink] = ()) -> None:
        """`start`: number of steps done; lines of later ones are removed from the log. `sinks`: where figures go besides; they get
        each step once, and not those again that a resumed training repeats."""
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        before = read_log(self.folder)
        self._sinks, self._sent = sinks, max(_sent(self.folder), *(line["step"] for line in before), 0)
        if sinks:  # from here on the log may hold less than they were sent
            commit_bytes(self.folder / SENT, json.dumps({"step": self._sent}).encode(), replace=True)
        kept = [_plain(line) for line in before if line["step"] <= start]
        commit_bytes(self.folder / LOG, "".join(kept).encode(), replace=True)
        self._log = (self.folder / LOG).open("a", encoding="utf-8", buffering=1)
        self._events = _summary_writer(self.folder / EVENTS, start)

    def __call__(self, step: Step) -> None:
        line = {name: _finite(value) for name, value in asdict(step).items()}
        self._write(line)
        values = _scalars(line)
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(name, value, step.step)
        if step.step > self._sent:
            for sink in self._sinks:
                sink.write(values, step.step)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the files and draws the plot of all steps, those before a resume included."""
        self._log.close()
        if self._events is not None:
            self._events.close()
        for sink in self._sinks:
            sink.close()
        draw_curve(read_log(self.folder), self.folder / CURVE)

    def _write(self, line: dict[str, Any]) -> None:
        self._log.write(_plain(line))


def _plain(line: Mapping[str, Any]) -> str:
    return json.dumps(line, sort_keys=True) + "\n"


def _sent(folder: Path) -> int:
    """The last step that sinks were sent before this start; 0 where none is known."""
    try:
        return int(json.loads((folder / SENT).read_bytes())["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The logged steps of a training, without a line that a crash cut short."""
    try:
        text = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line for one in text.splitlines() if (line := _parsed(one))]


def _finite(value: Any) -> Any:
    """The value with NaN and infinities replaced by None, since JSON has neither."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _known(values: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        parsed: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) and "step" in parsed else None


def draw_curve(steps: Sequence[dict[str, Any]], path: Path) -> bool:
    """Draws the plot of logged steps. Returns False if there is no step, or matplotlib is missing."""
    try:
        from matplotlib.figure import Figure  # not pyplot: that keeps figures, and looks for a screen
    except ImportError:
        return False
    if not steps:
        return False
    at = [line["step"] for line in steps]
    figure = Figure(figsize=(10, 8), layout="constrained")
    heads, errors, rate, spread = figure.subplots(4, 1, sharex=True, height_ratios=[4, 2, 1, 1])
    losses = _known(line["loss"] for line in steps)
    heads.plot(at, losses, color="0.8", label="loss")
    heads.plot(at, smoothed(losses), color="black", label="loss, smoothed")
    for name in sorted({name for line in steps for name in line["parts"]}):
        heads.plot(at, smoothed(_known(line["parts"].get(name) for line in steps)), label=name, linewidth=1)
    judged = [(line["step"], line["validation"]["budgets"]) for line in steps if line.get("validation")]
    for budget in sorted({name for _, results in judged for name in results}):
        for axis, key in ((heads, "loss"), (errors, "wer")):
            found = [(step, results[budget][key]) for step, results in judged if budget in results]
            axis.plot(
                *zip(*((step, math.nan if value is None else value) for step, value in found), strict=True),
                "o-",
                label=f"dev {budget}",
            )
    heads.set_ylabel("loss of an utterance")
    errors.set_ylabel("dev WER (%)")
    heads.legend()
    rate.plot(at, [line["rate"] for line in steps])
    rate.set_ylabel("learning rate")
    spread.plot(at, smoothed(_known(line["expert_peak"] for line in steps)))
    spread.set_ylabel("expert peak")
    spread.set_xlabel("step")
    figure.savefig(path, dpi=100)
    return True


def smoothed(values: Sequence[float]) -> list[float]:
    """Exponential running mean, corrected for its start; values that are not finite are skipped.

    >>> [round(mean, 3) for mean in smoothed([1.0, 2.0, float("nan"), 1.5])]
    [1.0, 1.513, 1.513, 1.508]
    """
    total = weight = 0.0
    out = []
    for value in values:
        if math.isfinite(value):
            total, weight = SMOOTHED * total + value, SMOOTHED * weight + 1
        out.append(total / weight if weight else math.nan)
    return out


def _scalars(line: dict[str, Any]) -> dict[str, float]:
    """Values of a step under TensorBoard's names, grouped by prefix."""
    values = {f"loss/{name}": part for name, part in line["parts"].items()} | {"loss/all": line["loss"]}
    values |= {f"train/{name}": line[name] for name in ("rate", "gradient_norm", "utterances")}
    values = {name: value for name, value in values.items() if value is not None}
    values["speed/x_real_time"] = line["audio_seconds"] / line["seconds"]
    values["speed/waiting_share"] = line["waiting"] / line["seconds"]
    values["data/skipped"] = sum(line["skipped"].values())
    if line["expert_peak"] is not None:
        values["experts/peak"] = line["expert_peak"]
        values["experts/budget"] = int(line["budget"].split(":")[0])
    for budget, result in ((line.get("validation") or {}).get("budgets") or {}).items():
        place = f"dev/{budget.replace(':', '-')}"
        found = {"loss/all": result["loss"], "wer/all": result["wer"]}
        found |= {f"loss/{name}": part for name, part in result["parts"].items()}
        found |= {f"wer/{language}": value for language, value in result["by_language"].items()}
        values |= {f"{place}/{name}": value for name, value in found.items() if value is not None}
    return values


def _summary_writer(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=start + 1 if start else None)

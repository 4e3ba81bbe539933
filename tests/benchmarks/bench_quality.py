"""How right the labels are, and whether agreement knows it better than the recogniser's own confidence.

The fixed mixture goes through the product's operators: silero finds the speech, whisperX and Moonshine transcribe it, their words are
reconciled. A reference word belongs to the segment that holds its clip's midpoint. The denominator is all reference words: speech
that was not found cannot be kept by any filter, and is a deletion where a whole engine is rated.

    python tests/benchmarks/bench_quality.py [--full]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.heard import ENGINES, WHISPER, Heard, hear
from benchmarks.mixture import CONDITIONS, SEED, mixture
from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.retention import Columns, Floats, Scored, bootstrap, columns, error_rates, interval, unfiltered
from benchmarks.words import Edits, edits, english

FILTERS = ("agreement", "confidence", "combined")
"""Combined is the product of both: the agreement of the engines, weighed by how sure Whisper is."""
SHARES = np.round(np.arange(0.30, 1.001, 0.05), 2)
"""Shares of all reference words to keep."""
ROUNDS = 1000
LABEL = "label"
LAST = -1.0
"""Score of what a filter would keep last: without a score, or rejected by `reconcile` (an engine heard nothing)."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A segment, or the words of a clip that no segment holds."""

    condition: str
    edits: dict[str, Edits]
    """By engine, and for the label."""
    scores: dict[str, float] | None
    """None where the speech was not found."""


def units(heard: Heard) -> list[Unit]:
    """The recording's segments with the words that belong to them, and its lost clips."""
    kept = [segment for segment in heard.segments if segment.rejection is None]
    words: dict[str, tuple[str, ...]] = {segment.id: () for segment in kept}
    found = []
    for clip in heard.mixed.spoken:
        home = next((segment for segment in kept if segment.start <= clip.midpoint < segment.end), None)
        if home:
            words[home.id] += english(clip.text)
        else:
            lost = edits(english(clip.text), ())
            found.append(Unit(heard.mixed.condition, dict.fromkeys((*heard.hypotheses, LABEL), lost), None))
    for segment in kept:
        said = {name: rows[segment.id].text if segment.id in rows else "" for name, rows in heard.hypotheses.items()}
        consensus = heard.consensus[segment.id]
        # where reconcile gives no label (an engine heard nothing), a filter by Whisper's confidence would still have Whisper's text
        said[LABEL] = said[WHISPER] if consensus.rejection else consensus.text
        whisper = heard.hypotheses[WHISPER].get(segment.id)
        confidence = whisper.confidence if whisper else None
        scores = _scores(None if consensus.rejection else consensus.agreement, confidence)
        marks = {name: edits(words[segment.id], english(text)) for name, text in said.items()}
        found.append(Unit(heard.mixed.condition, marks, scores))
    return found


def _scores(agreement: float | None, confidence: float | None) -> dict[str, float]:
    both = agreement is not None and confidence is not None
    return {
        "agreement": LAST if agreement is None else agreement,
        "confidence": LAST if confidence is None else confidence,
        "combined": agreement * confidence if both else LAST,  # type: ignore[operator]
    }


def total(rows: Iterable[Unit], name: str) -> Edits:
    return sum((unit.edits[name] for unit in rows), Edits())


def percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{100 * value:.1f}"


def by_condition(found: list[Unit], names: list[str]) -> dict[str, dict[str, float]]:
    """Word error rates of each engine and of the label over all reference words, and what was lost and deleted, in each condition."""
    figures = {}
    for condition in (*CONDITIONS, "all"):
        mine = [unit for unit in found if condition in (unit.condition, "all")]
        label, lost = total(mine, LABEL), total([unit for unit in mine if unit.scores is None], LABEL)
        rates = {name: total(mine, name).rate for name in (*names, LABEL)}
        figures[condition] = {
            "words": label.words,
            "lost": lost.words / label.words,
            **rates,
            **{f"{name}_deletions": total(mine, name).deletion_rate for name in (*names, LABEL)},
        }
    header = [
        "condition",
        "words",
        "lost %",
        *(f"{name} WER" for name in (*names, LABEL)),
        *(f"{n} del" for n in (*names, LABEL)),
    ]
    print("word error and deletion rates in % of all reference words; lost = speech in no segment, counted as deleted")
    table(
        header,
        ([c, str(int(row["words"])), *(percent(v) for k, v in row.items() if k != "words")] for c, row in figures.items()),
    )
    return figures


def curves(data: Columns) -> tuple[dict[str, Floats], dict[str, Floats], Floats]:
    """Error rates at `SHARES` by filter, their resamples, and the resampled unfiltered rate."""
    rates = {name: error_rates(data.words, data.errors, score, SHARES) for name, score in data.scores.items()}
    resampled, bases = bootstrap(data, SHARES, ROUNDS, SEED)
    print(
        f"word error rate of the label in % against the share of all reference words kept (95 % of {ROUNDS} resamples of segments)"
    )
    rows = []
    for at, share in enumerate(SHARES):
        cells = [_with_interval(rates[name][at], resampled[name][:, at]) for name in FILTERS]
        gain = _with_interval(
            rates["agreement"][at] - rates["confidence"][at], resampled["agreement"][:, at] - resampled["confidence"][:, at]
        )
        rows.append([f"{share:.0%}", *cells, gain])
    table(["kept", *FILTERS, "agreement - confidence"], rows)
    return rates, dict(resampled), bases


def _with_interval(value: float, samples: Floats) -> str:
    if np.isnan(value):
        return "–"
    low, high = interval(samples)
    return f"{100 * value:5.1f} [{100 * low:5.1f}, {100 * high:5.1f}]"


def operating_points(data: Columns) -> dict[str, dict[str, float]]:
    """What the usual thresholds of agreement keep."""
    figures = {}
    for threshold in (0.95, 0.8, 0.6):
        kept = np.nan_to_num(data.scores["agreement"], nan=LAST) >= threshold
        words = float(data.words[kept].sum())
        rate = float(data.errors[kept].sum()) / words if words else float("nan")
        figures[str(threshold)] = {"kept": words / float(data.words.sum()), "wer": rate}
    print("at a threshold of agreement")
    table(["at least", "kept %", "label WER %"], ([k, percent(v["kept"]), percent(v["wer"])] for k, v in figures.items()))
    return figures


def judge(
    rates: dict[str, Floats], resampled: dict[str, Floats], base: float, bases: Floats, reachable: float
) -> dict[str, Target]:
    targets: dict[str, Target] = {}
    for share, goal in ((0.5, 0.20), (0.7, 0.40)):
        at = int(np.flatnonzero(np.isclose(SHARES, share))[0])
        ratio = float(rates["agreement"][at] / base)
        low, high = interval(resampled["agreement"][:, at] / bases)
        name, wanted = f"label WER with {share:.0%} kept, of the unfiltered", f"<= {goal:.0%}"
        targets[name] = {"value": f"{ratio:.1%} [{low:.1%}, {high:.1%}]", "target": wanted, "met": ratio <= goal}
    span = (SHARES >= 0.30 - 1e-9) & (SHARES <= 0.90 + 1e-9)
    gap = rates["agreement"][span] - rates["confidence"][span]
    worse = [f"{share:.0%}" for share, difference in zip(SHARES[span], gap, strict=True) if not difference < 0]
    value = "below at all" if not worse else f"not below at {', '.join(worse)}"
    if reachable < 0.9:
        value += f"; only {reachable:.1%} of the words can be kept"
    targets["agreement below confidence, 30 to 90 % kept"] = {"value": value, "target": "below at all", "met": not worse}
    return targets


def main() -> None:
    full = full_form(sys.argv[1:])
    recordings, digest = mixture(full)
    minutes = sum(recording.num_samples for recording in recordings) / 16_000 / 60
    data = f"mixture of {len(recordings)} recordings, {minutes:.1f} min, seed {SEED}, sha256 {digest}"
    packages = ("whisperx", "ctranslate2", "onnxruntime", "silero-vad", "moonshine-voice", "whisper-normalizer", "numpy")
    heading("bench-quality", full, data, packages)
    heard = hear(recordings, lambda line: print(f"\r{line:60}", end="", file=sys.stderr, flush=True))
    print(file=sys.stderr)
    found = [unit for one in heard for unit in units(one)]
    names = [engine.name for engine in ENGINES]
    figures: dict[str, Any] = {"seed": SEED, "mixture_sha256": digest, "segments": sum(u.scores is not None for u in found)}
    figures["conditions"] = by_condition(found, names)
    scored = [Scored(u.condition, u.edits[LABEL].words, u.edits[LABEL].errors, u.scores) for u in found]
    measured = columns(scored, FILTERS)
    rates, resampled, bases = curves(measured)
    base = unfiltered(measured)
    reachable = float(1 - np.isnan(measured.scores["agreement"]) @ measured.words / measured.words.sum())
    low, high = interval(bases)
    print(
        f"unfiltered: the label of every segment has a WER of {base:.1%} [{low:.1%}, {high:.1%}]; {reachable:.1%} of the words are in one\n"
    )
    figures["unfiltered_wer"], figures["reachable"] = base, reachable
    figures["kept"] = {
        f"{share:.2f}": {name: None if np.isnan(rates[name][at]) else rates[name][at] for name in FILTERS}
        for at, share in enumerate(SHARES)
    }
    figures["thresholds"] = operating_points(measured)
    finish("quality", _rounded(figures), judge(rates, resampled, base, bases, reachable), full)


def _rounded(value: Any) -> Any:
    """Four decimals, so that the last line can be read."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(float(value), 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()

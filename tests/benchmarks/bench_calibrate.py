"""`make bench-calibrate`: what `voxmill calibrate` promises of labels that it has not seen, beside what they turn out to be.

All real English recordings whose words are known (the fixed mixture in its full form, and acted dialogue) are halved again and again; a
calibration is fitted to one half, and its expected error of each tier (with interval) is held against the true error of the other
half. And the combined score is compared, on the other half, with agreement alone and with Whisper's confidence alone, at every share
of words kept.

How narrow an interval can be is decided by how many errors there are to count, in both halves: the same is done with parts of the
audio, from which follows how much of it a given width would take.

It takes nine hours of audio, which two cores hear in an hour. The full form hears them; the reduced form reads what a full form wrote
down (`remembered.py`), and hears half an hour of it again, drawn anew each time.

    python tests/benchmarks/bench_calibrate.py [--full [--store]]
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.heard import Heard, hear, said
from benchmarks.mixed import Mixed
from benchmarks.mixture import SEED, mixture
from benchmarks.played import played
from benchmarks.remembered import differing, recall, remember
from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.retention import Floats, error_rates
from benchmarks.words import edits, english
from speech.waves import RATE
from voxmill.operators.select.agreed_errors import agreed_errors
from voxmill.operators.select.calibration import LEVEL, Estimate, LabelEvidence
from voxmill.operators.select.calibration_fit import Labelled, fit
from voxmill.operators.select.policy import SelectConfig

SPLITS, FEWER, MORE = 40, 8, 200
"""Halvings of everything, and of each part of it, for intervals; and for the comparison of scores, which need no resampling."""
PARTS = (0.25, 0.5)
AGAIN, DIFFERING = 30.0, 0.03
"""What the reduced form hears again (min), and the share of words that may come out otherwise on another machine: 1.6 % do between a CPU with
AMX and one without, because int8 recognisers round as the CPU does."""
WIDTH = 0.5
"""Of an interval, at most, as a share of the tier's error."""
_select = SelectConfig()
TIERS: Mapping[str, tuple[float, float]] = {
    "high": (_select.high, 1.01),
    "weak": (_select.weak, _select.high),
    "unlabelled": (_select.unlabelled, _select.weak),
    "rejected": (-0.01, _select.unlabelled),
}
"""The default tiers, by agreement: `[low, high)`."""
SHARES = np.round(np.arange(0.30, 0.901, 0.10), 2)
FILTERS = ("agreement", "confidence", "combined")


@dataclass(frozen=True, slots=True)
class Checked:
    """One tier of one half."""

    tier: str
    words: int
    errors: int
    found: Estimate
    true: float

    @property
    def inside(self) -> bool:
        return self.found.low <= self.true <= self.found.high

    @property
    def width(self) -> float:
        return (self.found.high - self.found.low) / self.true if self.true else float("inf")


def labelled(one: Heard) -> list[Labelled]:
    """The recording's labels beside their truth; a word belongs to the segment that holds its clip's midpoint."""
    found = []
    for key, words in said(one).items():
        consensus = one.consensus[key]
        if consensus.rejection is not None:
            continue  # no label, so nothing to expect of it
        units = sum(slot.choice is not None for slot in consensus.slots)
        errors = edits(words, english(consensus.text)).errors
        agreed = agreed_errors(words, ((slot.words, slot.choice) for slot in consensus.slots), errors)
        signs = LabelEvidence(consensus.agreement, consensus.confidence, units)
        found.append(Labelled(one.mixed.id, "en", signs, len(words), errors, agreed, condition=one.mixed.condition))
    return found


def check(fitted: Sequence[Labelled], held: Sequence[Labelled], seed: int) -> list[Checked]:
    """What a calibration on one half says of the tiers of the other."""
    calibration, tiers = fit(fitted, seed=seed), []
    for name, (least, below) in TIERS.items():
        mine = [row for row in held if row.signs.agreement is not None and least <= row.signs.agreement < below]
        words, errors = sum(row.words for row in mine), sum(row.errors for row in mine)
        found = calibration.estimate([(row.signs, row.language) for row in mine])
        if found and words:
            tiers.append(Checked(name, words, errors, found, errors / words))
    return tiers


def compare(fitted: Sequence[Labelled], held: Sequence[Labelled]) -> dict[str, Floats]:
    """Error of what each score keeps of the other half, at `SHARES`."""
    calibration = fit(fitted, rounds=0)
    words, errors = np.array([row.words for row in held], float), np.array([row.errors for row in held], float)
    scores = {
        "agreement": np.array([row.signs.agreement for row in held], float),
        "confidence": np.array([row.signs.confidence or 0.0 for row in held]),
        "combined": -np.array([calibration.expected(row.signs, row.language) for row in held], float),
    }
    return {name: error_rates(words, errors, score, SHARES) for name, score in scores.items()}


Half = list[Labelled]


def halvings(recordings: Sequence[Sequence[Labelled]], times: int, rng: np.random.Generator) -> Iterator[tuple[Half, Half]]:
    """The recordings in two halves, drawn again and again."""
    for _ in range(times):
        first, second = np.array_split(rng.permutation(len(recordings)), 2)
        yield [row for k in first for row in recordings[k]], [row for k in second for row in recordings[k]]


def _checked(recordings: Sequence[Sequence[Labelled]], times: int, rng: np.random.Generator) -> list[Checked]:
    return [one for seed, halves in enumerate(halvings(recordings, times, rng)) for one in check(*halves, seed)]


def _part(by_recording: Sequence[Sequence[Labelled]], part: float, rng: np.random.Generator) -> list[Sequence[Labelled]]:
    return [by_recording[k] for k in rng.permutation(len(by_recording))[: round(part * len(by_recording))]]


def main() -> None:
    full = full_form(sys.argv[1:])
    (mixed, of_mixed), (acted, of_acted) = mixture(full=True), played()
    recordings = [*mixed, *acted]
    minutes = _minutes(recordings)
    data = (
        f"mixture of {len(mixed)} recordings, {_minutes(mixed):.1f} min, sha256 {of_mixed}; "
        f"dialogue, {len(acted)} recordings, {_minutes(acted):.1f} min, sha256 {of_acted}; {SPLITS} halvings"
    )
    heading("bench-calibrate", full, data, ("scikit-learn", "whisperx", "ctranslate2", "moonshine-voice", "numpy"))
    heard, listened = _listen(recordings, full, "--store" in sys.argv)
    by_recording = [labelled(one) for one in heard]
    rng = np.random.default_rng(SEED)
    checked = _checked(by_recording, SPLITS, rng)
    figures, targets = _tiers(checked)
    parts = {part: _checked(_part(by_recording, part, rng), FEWER, rng) for part in PARTS}
    needed = _needed({**parts, 1.0: checked}, minutes)
    more, judged = _shares([compare(*halves) for halves in halvings(by_recording, MORE, rng)])
    finish(
        "bench-calibrate",
        {**figures, **needed, **more, "warnings": fit([r for rows in by_recording for r in rows]).warnings},
        listened | targets | judged,
        full,
    )


def _listen(recordings: Sequence[Mixed], full: bool, store: bool) -> tuple[list[Heard], dict[str, Target]]:
    """What is heard of each: now, or in a full form that was run before; and whether the two are the same."""
    seed = secrets.randbelow(2**32)
    now = recordings if full else _drawn(recordings, np.random.default_rng(seed))
    heard = {
        one.mixed.id: one
        for one in hear(now, lambda line: print(f"\r{line:60}", end="", file=sys.stderr, flush=True), anew=not full)
    }
    print(file=sys.stderr)
    if store:
        remember(list(heard.values()))
    before = {one.mixed.id: one for one in recall(recordings)}
    counted = [differing(before[name], one) for name, one in heard.items()]
    other, words = (sum(column) for column in zip(*counted, strict=True))
    if full:
        print("every recording as these engines hear it; what they had heard before was in the cache\n")
    else:
        print(
            f"heard now: {len(now)} recordings, {_minutes(now):.1f} min, drawn with {seed}; the others as a full form heard them\n"
        )
    return [*(before | heard).values()], {
        "words that come out otherwise when heard again": {
            "value": f"{other} of {words}",
            "target": f"<= {DIFFERING:.0%}",
            "met": other <= DIFFERING * words,
        }
    }


def _drawn(recordings: Sequence[Mixed], rng: np.random.Generator) -> list[Mixed]:
    order = [recordings[k] for k in rng.permutation(len(recordings))]
    lengths = np.cumsum([_minutes([one]) for one in order])
    return order[: int(np.searchsorted(lengths, AGAIN)) + 1]


def _minutes(recordings: Sequence[Mixed]) -> float:
    return sum(recording.num_samples for recording in recordings) / RATE / 60


def _tiers(checked: Sequence[Checked]) -> tuple[dict[str, Any], dict[str, Target]]:
    print("error of the labels of a tier, in % of its reference words: as expected from the other half, and as it is")
    rows, figures = [], dict[str, Any]()
    for name in TIERS:
        mine = [one for one in checked if one.tier == name]
        inside, width = float(np.mean([one.inside for one in mine])), float(np.median([one.width for one in mine]))
        expected, true = float(np.mean([one.found.expected for one in mine])), float(np.mean([one.true for one in mine]))
        first, found = mine[0], mine[0].found
        sample = f"{100 * found.expected:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}] and {100 * first.true:.1f}"
        rows.append(
            (name, str(first.words), sample, f"{100 * expected:.1f}", f"{100 * true:.1f}", f"{inside:.0%}", f"{width:.2f}")
        )
        figures[name] = {
            "expected": round(expected, 4),
            "true": round(true, 4),
            "inside": round(inside, 3),
            "width": round(width, 3),
        }
    table(("tier", "words", "first halving: expected and true", "expected", "true", "inside", "width / true"), rows)
    inside = float(np.mean([one.inside for one in checked]))
    widest = max(figures[name]["width"] for name in TIERS)
    return {"tiers": figures}, {
        "true error inside the interval": {
            "value": f"{inside:.1%} of {len(checked)} tiers",
            "target": ">= 90 %",
            "met": inside >= 0.9,
        },
        "width of the interval, of the tier's error": {
            "value": widest,
            "target": f"<= {WIDTH} in every tier",
            "met": widest <= WIDTH,
        },
    }


def _needed(parts: Mapping[float, Sequence[Checked]], minutes: float) -> dict[str, Any]:
    """Width against errors, and how much audio would make it `WIDTH`: the square of a width falls as the errors rise."""
    print(
        f"errors of a tier in one half, and the width of its interval / true ({LEVEL:.0%}), by audio; and the audio for {WIDTH}"
    )
    lines = []
    for part, checked in parts.items():
        by_tier = [[one for one in checked if one.tier == name] for name in TIERS]
        cells = [f"{np.mean([o.errors for o in m]):.0f}: {np.median([o.width for o in m]):.2f}" for m in by_tier]
        lines.append((f"{part * minutes:.0f} min", *cells))
    widths = {name: float(np.median([one.width for one in parts[1.0] if one.tier == name])) for name in TIERS}
    needed = {name: round(minutes / 60 * (width / WIDTH) ** 2, 1) for name, width in widths.items()}
    table(("audio", *TIERS), [*lines, (f"for {WIDTH}", *(f"{hours:.1f} h" for hours in needed.values()))])
    return {"hours for the width": needed}


def _shares(kept: Sequence[Mapping[str, Floats]]) -> tuple[dict[str, Any], dict[str, Target]]:
    print(f"error of what each score keeps of the other half, in %: mean over {MORE} halvings")
    means = {name: np.nanmean([one[name] for one in kept], axis=0) for name in FILTERS}
    table(
        ("kept", *FILTERS),
        [(f"{share:.0%}", *(f"{100 * means[name][at]:.2f}" for name in FILTERS)) for at, share in enumerate(SHARES)],
    )
    best = np.minimum(means["agreement"], means["confidence"])
    worse = [f"{share:.0%}" for share, a, b in zip(SHARES, means["combined"], best, strict=True) if not a <= b]
    value = f"worse at {', '.join(worse)}" if worse else "nowhere worse"
    figures = {name: [round(float(v), 4) for v in means[name]] for name in FILTERS}
    return {"kept": figures}, {
        "combined against each alone, 30 to 90 % kept": {"value": value, "target": "nowhere worse", "met": not worse}
    }


if __name__ == "__main__":
    main()

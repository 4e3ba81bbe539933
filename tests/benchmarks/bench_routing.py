"""`make bench-routing`: a third recogniser that is asked only where two disagree, beside two and beside three always: errors and cost.

Each of three recognisers is the third one once, on recordings of the fixed mixture (every eighteenth in the reduced form, because pocketsphinx
takes as long as the sound). Who is asked for which segment is decided by the product's own measure of agreement; what an engine costs is its
CPU time for a second of speech, measured here on two of the recordings, times the speech that it was given.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.bench_vote import NAMES, SPHINX_ENGINE
from benchmarks.heard import ENGINES, RECONCILE, Heard, hear, said, work_of
from benchmarks.mixture import SEED, mixture
from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.words import Edits, edits, english
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Hypothesis
from voxmill.operators.reconcile.normalise import Normaliser
from voxmill.operators.reconcile.reconcile import HypothesesAgreement, Reconcile
from voxmill.operators.transcribe.transcribe import Transcribe

BOUNDS = (0.6, 0.8, 0.95)
"""Agreements under which the third is asked."""


@cache
def agreement() -> HypothesesAgreement:
    return HypothesesAgreement(Normaliser(RECONCILE.normalise))


@cache
def reconcile(names: tuple[str, ...]) -> Reconcile:
    """Loaded once for each choice of engines: its normaliser takes longer to load than a recording takes."""
    return Reconcile(RECONCILE, names)


@dataclass
class Sums:
    """Of one way to ask: errors of its labels, and the speech (s) that each engine was given."""

    edits: Edits = field(default_factory=Edits)
    given: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))

    def cost(self, cpu: Mapping[str, float]) -> float:
        """CPU seconds."""
        return sum(cpu[name] * seconds for name, seconds in self.given.items())


def ask(one: Heard, always: Sequence[str], third: str | None, below: float, sums: Sums) -> None:
    """Adds what the labels of a recording come to, with `third` asked where the others agree less than `below`."""
    seconds = {segment.id: segment.seconds for segment in one.segments}
    rows: list[Hypothesis] = []
    for key in one.consensus:
        heard = [one.hypotheses[name][key] for name in always]
        rows += heard
        for name in always:
            sums.given[name] += seconds[key]
        if third is None:
            continue
        agreed = agreement()(heard, "en")
        if agreed is None or agreed < below:
            rows.append(one.hypotheses[third][key])
            sums.given[third] += seconds[key]
        else:
            rows.append(Hypothesis(key, third, "", "", rejection=reject("transcribe.not_asked")))
    names = (*always, *([third] if third else []))
    labels = reconcile(names)(replace(work_of(one.mixed, one.segments), hypotheses=tuple(rows)))
    lead = always[0]
    texts = {c.segment_id: one.hypotheses[lead][c.segment_id].text if c.rejection else c.text for c in labels}
    for key, words in said(one).items():
        sums.edits += edits(words, english(texts.get(key, "")))


def cpu_of(heard: Sequence[Heard]) -> dict[str, float]:
    """CPU seconds of each engine for a second of speech, of two recordings, without its start."""
    found = {}
    for engine in (*ENGINES, SPHINX_ENGINE):
        operator, speech, spent = Transcribe(engine), 0.0, 0.0
        for one in heard[:2]:
            work = work_of(one.mixed, one.segments)
            begun = time.process_time()
            operator(work)
            spent += time.process_time() - begun
            speech += sum(segment.seconds for segment in work.segments)
        found[engine.name] = spent / speech
    return found


def main() -> None:
    full = full_form(sys.argv[1:])
    recordings, digest = mixture(full)
    chosen = recordings if full else recordings[::18]
    minutes = sum(recording.num_samples for recording in chosen) / 16_000 / 60
    data = f"{len(chosen)} of {len(recordings)} recordings of the mixture, {minutes:.1f} min, seed {SEED}, sha256 {digest}"
    heading("bench-routing", full, data, ("whisperx", "ctranslate2", "moonshine-voice", "pocketsphinx", "rapidfuzz"))
    say: Callable[[str], None] = lambda line: print(f"\r{line:60}", end="", file=sys.stderr, flush=True)
    heard = hear(chosen, say, (*ENGINES, SPHINX_ENGINE))
    print(file=sys.stderr)
    cpu = cpu_of(heard)
    print("CPU seconds for a second of speech: " + ", ".join(f"{name} {value:.3f}" for name, value in cpu.items()) + "\n")
    figures: dict[str, Any] = {"cpu": cpu}
    targets: dict[str, Target] = {}
    rows = []
    for third in NAMES:
        always = tuple(name for name in NAMES if name != third)
        ways = {
            "two": (None, 0.0),
            **{f"third below {bound}": (third, bound) for bound in BOUNDS},
            "three always": (third, 2.0),
        }
        of: dict[str, Sums] = {}
        for way, (name, below) in ways.items():
            of[way] = Sums()
            for one in heard:
                ask(one, always, name, below, of[way])
            asked = of[way].given[third] / of[way].given[always[0]]
            cost = of[way].cost(cpu)
            rows.append(
                (" + ".join(always), third, way, f"{100 * of[way].edits.rate:.1f}", f"{100 * asked:.0f}", f"{cost:.1f}")
            )
            figures[f"{third}: {way}"] = {"wer": of[way].edits.rate, "asked": asked, "cpu_s": cost}
        cheaper = of["third below 0.8"].cost(cpu) / of["three always"].cost(cpu)
        targets[f"{third} third, below 0.8: cost of three always"] = {
            "value": round(cheaper, 2),
            "target": "< 1",
            "met": cheaper < 1,
        }
    table(("always", "third", "way", "WER %", "of the speech asked, %", "CPU s"), rows)
    finish("bench-routing", figures, targets, full)


if __name__ == "__main__":
    main()

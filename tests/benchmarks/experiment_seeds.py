"""`make experiment-seeds`: the claims of S-MoE, TokenVerse++ and EVA, on real voices and from a pretrained network.

Each is a switch of one and the same model, Whisper base, and asked in its own file: `experiments/guided_speech.py`, `activated_speech.py`,
`seen_speech.py`. The claims are the papers'; models and data are a thousandth of theirs. So what is judged is that the experiment is
sound: the arm that all others are compared with transcribes, and the controls behave. Whether an effect is there is said beside it, with its
interval, whatever it is. No setting was chosen on what is tested.

    reduced    small enough to be whole in minutes: what it says of effects is noise
    full       all of the data, three seeds; `LIMIT=540` cuts it into calls that go on where the last one stopped
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.experiments import activated_speech, guided_speech, seen_speech
from benchmarks.experiments.room import Form, Outcome, conduct
from benchmarks.experiments.spans import speech
from benchmarks.report import Target, heading


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the three experiments."""

    guided: guided_speech.Size
    activated: activated_speech.Size
    seen: seen_speech.Size


REDUCED = Sizes(
    guided_speech.Size(sentences=60, steps=6, batch_seconds=20.0),
    activated_speech.Size(train=72, test=18, first=6, steps=8, batch_seconds=24.0),
    seen_speech.Size(train=3.0, test=0.8, versions=1, steps=6, batch_seconds=24.0),
)
FULL = Sizes(
    guided_speech.Size(sentences=10_000, steps=300, batch_seconds=30.0),
    activated_speech.Size(train=1440, test=270, first=100, steps=200, batch_seconds=60.0),
    seen_speech.Size(train=1e6, test=1e6, versions=2, steps=120, batch_seconds=60.0),
)
FIRST_SEED = 1
Compare = Callable[[], tuple[dict[str, Any], dict[str, Target]]]


def run(form: Form) -> Outcome | None:
    sizes = FULL if form.full else REDUCED
    if form.dry:
        print(f"{form.seeds} seeds of {sizes}")
        return None
    found, seeds = speech(), [FIRST_SEED + index for index in range(form.seeds)]
    heading(
        "seeds", form.full, f"acted dialogue and prompts in four languages; {form.seeds} seeds",
        ("torch", "jiwer", "sacrebleu", "spacy", "whisper-normalizer"),
    )  # fmt: skip
    asked: dict[str, tuple[Compare, Callable[[Mapping[str, Any]], str]]] = {
        "smoe": (lambda: guided_speech.compare(sizes.guided, seeds, form.clock), guided_speech.effect),
        "tokenverse": (lambda: activated_speech.compare(found, sizes.activated, seeds, form.clock), activated_speech.effect),
        "eva": (lambda: seen_speech.compare(found, sizes.seen, seeds, form.clock), seen_speech.effect),
    }
    figures, targets, effects = dict[str, Any](), dict[str, Target](), dict[str, str]()
    for name, (compare, effect) in asked.items():
        figures[name], judged = compare()
        targets |= judged
        effects[name] = effect(figures[name])
    print("effects, which are not judged")
    for name, line in effects.items():
        print(f"  {name}: {line}")
    print()
    return {**figures, "effects": effects, "speech": found.hash}, targets


if __name__ == "__main__":
    conduct("seeds", seeds=(1, 3), run=run)

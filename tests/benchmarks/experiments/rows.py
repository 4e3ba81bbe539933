"""Rows of spoken digits in noise: the cheapest task on which an error in twenty can be seen. Ten words, fast speech, many voices."""

from __future__ import annotations

import random
from collections.abc import Sequence

from benchmarks.experiments.corpus import Corpus, Spoken, corpus
from benchmarks.experiments.grammar import DIGITS
from benchmarks.experiments.voices import TEST_VARIANTS, TRAIN_VARIANTS, Room, Voice

LENGTHS = (4, 6)
"""Digits in a row, at least and at most."""
SHORT = (1, 4)
"""For CTC, which finds out in few words what sounds like which; in longer rows some trainings are late."""
RATES = (220, 260)
"""Words per minute, as the synthesiser counts them: 2.9 digits a second. Sound is what a training's time goes into."""


def rows_corpus(train: int, test: int, snr_db: tuple[float, float]) -> Corpus:
    return corpus("rows", rows(train, test, snr_db))


def rows(train: int, test: int, snr_db: tuple[float, float], seed: int = 20_261_121) -> list[Spoken]:
    """The vocal tracts of the test are never heard in training. One accent: at this rate the synthesiser's American 'two' and
    'three' are hard to tell apart, and which of them a model prefers is luck."""
    spoken = []
    for split, count in (("train", train), ("test", test)):
        draw = random.Random(f"{seed} {split}")
        for index in range(count):
            turns = (row(draw, split, lengths=SHORT),)
            spoken.append(Spoken(f"{split}-{index:05d}", split, turns, Room(round(draw.uniform(*snr_db), 1))))
    return spoken


def row(
    draw: random.Random, split: str, words: Sequence[str] = DIGITS, lengths: tuple[int, int] = LENGTHS
) -> tuple[Voice, str]:
    """By whom, and which words."""
    accent, variant = draw.choice(("en-us", "en-gb")), draw.choice(TEST_VARIANTS if split == "test" else TRAIN_VARIANTS)
    voice = Voice(accent, variant, draw.randint(35, 65), draw.randint(*RATES))
    return voice, " ".join(draw.choice(words) for _ in range(draw.randint(*lengths)))

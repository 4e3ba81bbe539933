"""Spoken digits with handwritten ones to look at: the material of `experiment_eva`.

Sound: rows of digits, by synthesised voices (those of the test are never trained on) and, for the test only, by a recorded
speaker. Pictures: scikit-learn's handwritten digits, one frame for each spoken digit, in order; now and then the camera shows
nothing. An image teaches the image encoder, or is seen in training, or is seen in the test: never two of these. A picture shows a
digit as some hand wrote it, never the words of the transcript.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.experiments.corpus import Corpus, Spoken, corpus
from benchmarks.experiments.grammar import DIGITS
from benchmarks.experiments.rows import row
from benchmarks.experiments.voices import Room, Voice, heard_in
from speech.cache import cache_root, made_once
from speech.prompts import prompts
from speech.waves import Pcm, join, read_wave
from voxmill.models.common.image_encoder import Image, SmallImageEncoder, as_tensor

LEVELS: tuple[float | None, ...] = (None, 0.0, -6.0, -12.0)
"""Noise in the test: dB of speech over white noise; None: none."""
TRAINED_DB = (-12.0, 20.0)
CLEAN_SHARE = 0.3
"""Of the training, without noise."""
NOTHING = 0.2
"""Share of frames on which the camera shows no digit."""
FOR_ENCODER, FOR_TRAINING = range(600), range(600, 1200)
"""Of the 1,797 images, in the order of the data set; the test sees the rest."""
DIM = 32
SPEAKER = Voice("recorded", "en_US_f_Allison")


@dataclass(frozen=True, slots=True)
class Recorded(Spoken):
    """Digits of the recorded speaker: one clip each, with short pauses."""

    def wave(self) -> Pcm:
        clips = [_clip(word) for word in self.text.split()]
        samples, _ = join(clips, [0, *[1600] * (len(clips) - 1), 0])
        return heard_in(self.room, samples, self.key)


@cache
def _clip(word: str) -> Pcm:
    [path] = [one.path for one in prompts("en") if one.id == f"en_digits_{DIGITS.index(word)}"]
    return read_wave(path)


def digits_corpus(train: int, test: int, recorded: int, seed: int = 20_261_121) -> Corpus:
    """`labels["row"]` names the row of digits; the test has each row once for every level."""
    draw = random.Random(f"{seed} train")
    spoken = []
    for index in range(train):
        room = Room(None if draw.random() < CLEAN_SHARE else round(draw.uniform(*TRAINED_DB), 1))
        spoken.append(Spoken(f"train-{index:04d}", "train", (row(draw, "train"),), room, {"row": f"train-{index:04d}"}))
    for kind, count, make in (("test", test, Spoken), ("recorded", recorded, Recorded)):
        draw = random.Random(f"{seed} {kind}")
        for index in range(count):
            label, (voice, words) = f"{kind}-{index:04d}", row(draw, "test")
            turns = ((SPEAKER if make is Recorded else voice, words),)
            spoken += [make(f"{label}@{name(level)}", "test", turns, Room(level), {"row": label}) for level in LEVELS]
    return corpus("digits", spoken)


def name(level: float | None) -> str:
    return "clean" if level is None else f"{level:g}dB"


def pictures_of(spoken: Corpus, seed: int = 20_261_121) -> dict[str, Tensor]:
    """For each row of digits the embeddings of its frames, shape (F, DIM)."""
    found: dict[str, Tensor] = {}
    for one in spoken.spoken:
        label = one.labels["row"]
        if label not in found:
            digits = [DIGITS.index(word) for word in one.text.split()]
            found[label] = handwritten(digits, one.split, f"{seed} pictures {label}")
    return found


def handwritten(digits: Sequence[int], split: str, name: str) -> Tensor:
    """Embeddings of a picture for each digit, shape (F, DIM), drawn by the name; those of `train` are never seen in another split."""
    images, classes = _images()
    draw = random.Random(name)
    places = FOR_TRAINING if split == "train" else range(FOR_TRAINING.stop, len(images))
    by_class = [[i for i in places if classes[i] == digit] for digit in range(10)]
    return image_encoder().embed([_frame(draw, images, by_class[digit]) for digit in digits])


def shuffled(rows: Sequence[str], seed: int) -> dict[str, str]:
    """To each row another one of the list, whose pictures are seen instead."""
    order = sorted(rows)
    random.Random(f"shuffled {seed}").shuffle(order)
    return {own: order[(index + 1) % len(order)] for index, own in enumerate(order)}


def _frame(draw: random.Random, images: Sequence[Image], places: Sequence[int]) -> Image:
    chosen = images[draw.choice(places)]
    if draw.random() >= NOTHING:
        return chosen
    grain = np.random.default_rng(draw.randrange(1 << 30)).integers(0, 256, chosen.shape[:2], dtype=np.uint8)
    return np.repeat(grain[..., None], 3, axis=2)


@cache
def _images() -> tuple[list[Image], list[int]]:
    """Handwritten digits, 16 by 16 pixels."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    large = np.kron(np.minimum(loaded.images * 16, 255).astype(np.uint8), np.ones((1, 2, 2), np.uint8))
    return [np.repeat(image[..., None], 3, axis=2) for image in large], loaded.target.tolist()


@cache
def image_encoder() -> SmallImageEncoder:
    """A small convolutional network that learnt to tell digits from `FOR_ENCODER`; frozen from then on."""
    return SmallImageEncoder.load(made_once(cache_root() / "experiments" / f"handwriting-{DIM}-1", _learn))


def _learn(folder: Path) -> None:
    encoder, head = SmallImageEncoder(DIM, seed=1), nn.Linear(DIM, 10)
    images, classes = _images()
    image_N3HW = torch.stack([as_tensor(images[i]) for i in FOR_ENCODER])
    class_N = torch.tensor([classes[i] for i in FOR_ENCODER])
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=3e-3)
    for step in range(300):
        rows = torch.randperm(len(class_N), generator=torch.Generator().manual_seed(step))[:100]
        loss = functional.cross_entropy(head(encoder(image_N3HW[rows])), class_N[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    encoder.save(folder)
    _note_accuracy(folder, encoder, head)


@torch.no_grad()
def _note_accuracy(folder: Path, encoder: SmallImageEncoder, head: nn.Linear) -> None:
    """Of the encoder with its head, on the images of the test."""
    images, classes = _images()
    held_out = range(FOR_TRAINING.stop, len(images))
    guessed = head(encoder.embed([images[i] for i in held_out])).argmax(dim=1).tolist()
    share = sum(one == classes[i] for one, i in zip(guessed, held_out, strict=True)) / len(held_out)
    (folder / "accuracy.txt").write_text(f"{share:.3f}")


def image_accuracy() -> float:
    """Share of the test's images that the encoder's own head tells right: what can be seen at most."""
    image_encoder()
    return float((cache_root() / "experiments" / f"handwriting-{DIM}-1" / "accuracy.txt").read_text())

"""The sound of what is said, as features in a cache: made once where a synthesiser is, and small enough to travel without audio.

A corpus is a list of `Spoken` values. Its features are 40 log mel energies a frame, stored in steps of 1/6 nat in one byte: 90
minutes are 22 MB. A corpus made from the same list on the same synthesiser has the same hash; results are kept under it.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.experiments.grammar import sentences
from benchmarks.experiments.voices import CLEAR, Room, Voice, draw_voice, heard_in, synthesise
from speech.cache import cache_root, made_once
from speech.waves import Pcm
from voxmill.manifests.ids import digest
from voxmill.models.common.features import FbankConfig, fbank

VERSION = 1
"""Raise it with any change of how a `Spoken` becomes features."""
FBANK = FbankConfig(num_mels=40)
_LOWEST, _STEPS = -16.0, 6.0
"""Kaldi's smallest log energy is just above the one; the other are steps in a nat. 255 steps reach 26.5."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One utterance: `turns` of (voice, words), one after the other."""

    key: str
    split: str
    turns: tuple[tuple[Voice, str], ...]
    room: Room = CLEAR
    labels: dict[str, Any] = field(default_factory=dict)
    """Whatever an experiment knows of it, as JSON."""

    @property
    def text(self) -> str:
        return " ".join(words for _, words in self.turns)

    def wave(self) -> Pcm:
        """16 kHz samples; the same every time on one synthesiser."""
        clean = np.concatenate([synthesise(words, voice) for voice, words in self.turns])
        return heard_in(self.room, clean, self.key)


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Utterances with their features. `hash` is over both."""

    name: str
    hash: str
    spoken: tuple[Spoken, ...]
    _bytes_FM: NDArray[np.uint8]
    _first: dict[str, tuple[int, int]]

    def frames(self, key: str) -> int:
        return self._first[key][1]

    def features(self, key: str) -> Tensor:
        """Shape (T, 40)."""
        start, count = self._first[key]
        return torch.from_numpy(self._bytes_FM[start : start + count].astype(np.float32)) / _STEPS + _LOWEST

    def split(self, name: str) -> list[Spoken]:
        return [one for one in self.spoken if one.split == name]

    def minutes(self, split: str) -> float:
        return sum(self.frames(one.key) for one in self.split(split)) * FBANK.shift_ms / 60_000

    def __str__(self) -> str:
        parts = (f"{split} {len(self.split(split))} utterances, {self.minutes(split):.0f} min" for split in ("train", "test"))
        return f"{self.name}: {', '.join(parts)}, sha256 {self.hash[:16]}"


def corpus(name: str, spoken: Sequence[Spoken]) -> Corpus:
    """The corpus of that list, from the cache where it is there, else synthesised (about 40 times as fast as real time)."""
    rows = [asdict(one) for one in spoken]
    wanted = digest([str(VERSION), FBANK.model_dump_json(), json.dumps(rows, sort_keys=True)])
    folder = made_once(cache_root() / "experiments" / f"{name}-{wanted[:12]}", lambda path: _make(path, spoken))
    counts = json.loads((folder / "frames.json").read_text())
    stored = np.load(folder / "features.npy")
    starts = np.cumsum([0, *counts]).tolist()
    hashed = hashlib.sha256(stored.tobytes() + wanted.encode()).hexdigest()
    first = {one.key: (start, count) for one, start, count in zip(spoken, starts, counts, strict=False)}
    if len(first) != len(spoken):
        raise ValueError(f"two utterances of {name} have the same key")
    return Corpus(name, hashed, tuple(spoken), stored, first)


def _make(folder: Path, spoken: Iterable[Spoken]) -> None:
    """By a process for each core, as the synthesiser of every utterance is a process too."""
    with ProcessPoolExecutor(
        len(os.sched_getaffinity(0)), multiprocessing.get_context("fork"), initializer=_one_thread
    ) as pool:
        blocks = list(pool.map(_block, spoken, chunksize=16))
    np.save(folder / "features.npy", np.concatenate(blocks))
    (folder / "frames.json").write_text(json.dumps([len(block) for block in blocks]))


def _one_thread() -> None:
    torch.set_num_threads(1)


def _block(one: Spoken) -> NDArray[np.uint8]:
    return stored_features(one.wave())


def stored_features(samples: Pcm) -> NDArray[np.uint8]:
    """Shape (T, 40), in steps."""
    features_TM = fbank(torch.from_numpy(samples.astype(np.float32) / 32768), FBANK).numpy()
    steps_TM: NDArray[np.uint8] = np.clip(np.rint((features_TM - _LOWEST) * _STEPS), 0, 255).astype(np.uint8)
    return steps_TM


def commands(train: int, test: int, seed: int = 20_261_121, snr_db: tuple[float, float] = (5.0, 30.0)) -> Corpus:
    """The plain corpus: the grammar, English voices, noise. `labels` are the slots and the accent."""
    spoken = []
    for split, count in (("train", train), ("test", test)):
        draw = random.Random(f"{seed} {split}")
        for index, said in enumerate(sentences(count, draw.randrange(1 << 30))):
            voice, room = draw_voice(draw, split), Room(round(draw.uniform(*snr_db), 1))
            labels = {"slots": [asdict(slot) for slot in said.slots]}
            spoken.append(Spoken(f"{split}-{index:05d}", split, ((voice, said.text),), room, labels))
    return corpus("commands", spoken)

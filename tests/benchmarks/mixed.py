"""Recordings whose words are known, made of clips: what each holds, how they are joined, and how they are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from speech.cache import made_once
from speech.waves import RATE, Pcm, join, write_wave

PAUSE = (0.6, 1.5)
"""Shortest and longest silence around a clip (s)."""
RECORDING = 28.0
"""A recording is complete when one more clip would make it longer (s): what it says fits one window of Whisper, which takes as long over
half a minute of silence as over one of speech."""

Piece = tuple[str, Pcm, str]
"""Id, samples, words."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A clip in its recording: its words, and `[start, end)` in samples at 16 kHz."""

    id: str
    text: str
    start: int
    end: int

    @property
    def midpoint(self) -> int:
        return (self.start + self.end) // 2


@dataclass(frozen=True, slots=True)
class Mixed:
    """One recording: a wav at `path`, the condition it is in, what is said in it, and the sha256 of its samples."""

    id: str
    condition: str
    path: Path
    num_samples: int
    pcm_sha256: str
    spoken: tuple[Spoken, ...]


Made = tuple[str, str, Pcm, tuple[Spoken, ...]]
"""Id, condition, samples and clips of a recording that is to be kept."""


def kept(home: Path, make: Callable[[], Iterable[Made]]) -> tuple[list[Mixed], str]:
    """The recordings, and the hash of all their samples and references. Made once, read afterwards."""
    made_once(home, lambda work: _write(make(), work))
    lines = (home / "mixture.jsonl").read_text(encoding="utf8").splitlines()
    recordings = []
    for row in map(json.loads, lines):
        spoken = tuple(Spoken(**clip) for clip in row.pop("spoken"))
        recordings.append(Mixed(**{**row, "path": home / row["path"], "spoken": spoken}))
    return recordings, hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _write(recordings: Iterable[Made], work: Path) -> None:
    """The recordings, and a line for each that holds its hash, so that the hash over the lines is one over everything."""
    lines = []
    for name, condition, samples, spoken in recordings:
        write_wave(work / f"{name}.wav", samples)
        digest = hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()
        lines.append(json.dumps(asdict(Mixed(name, condition, Path(), len(samples), digest, spoken)) | {"path": f"{name}.wav"}))
    (work / "mixture.jsonl").write_text("\n".join(lines) + "\n", encoding="utf8")


def joined(
    pieces: Sequence[Piece], seconds: float | None, rng: np.random.Generator, pause: tuple[float, float] = PAUSE
) -> Iterator[tuple[Pcm, tuple[Spoken, ...]]]:
    """The pieces in order, in recordings of up to `RECORDING` seconds, until there are `seconds` of them or no more pieces."""
    total, taken = 0, 0
    while taken < len(pieces) and (seconds is None or total < seconds * RATE):
        first, pauses = taken, [_samples(pause, rng)]
        while taken < len(pieces) and sum(pauses) + sum(len(p[1]) for p in pieces[first : taken + 1]) < RECORDING * RATE:
            taken += 1
            pauses.append(_samples(pause, rng))
        group = pieces[first:taken]
        samples, spans = join([piece[1] for piece in group], pauses)
        yield samples, tuple(Spoken(name, text, *span) for (name, _, text), span in zip(group, spans, strict=True))
        total += len(samples)


def _samples(pause: tuple[float, float], rng: np.random.Generator) -> int:
    return int(rng.integers(round(pause[0] * RATE), round(pause[1] * RATE)))

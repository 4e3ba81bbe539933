"""Longer real recordings that travel inside Python packages, found without importing the packages.

Each is used in place, for tests and measurements on this machine; none is copied into the repository.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from speech.waves import RATE, Pcm, decode

Said = tuple[float, float, str]
"""`(start, end, words)` in seconds of the recording."""


@dataclass(frozen=True, slots=True)
class Packaged:
    """A recording inside an installed distribution. `licence` is an SPDX name, or `unknown` where only the package states one."""

    id: str
    distribution: str
    file: str
    sha256: str
    seconds: float
    speakers: int
    licence: str
    attribution: str
    note: str

    @property
    def path(self) -> Path:
        """Raises FileNotFoundError where the distribution is absent, ValueError where the file is another one."""
        try:
            path = Path(str(distribution(self.distribution).locate_file(self.file)))
        except PackageNotFoundError:
            raise FileNotFoundError(f"{self.distribution} is not installed, and {self.id} lives in it") from None
        if _sha256(path) != self.sha256:
            raise ValueError(f"{path} is not the recording that {self.id} describes")
        return path

    def samples(self) -> Pcm:
        return decode(self.path)


@cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


TWO_CITIES = Packaged(
    id="two_cities",
    distribution="moonshine-voice",
    file="moonshine_voice/assets/two_cities.wav",
    sha256="f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e",
    seconds=44.374,
    speakers=1,
    licence="cc0-1.0",
    attribution="A Tale of Two Cities, introduction, read by Pete Warden, 2024",
    note="the file's own tags name reader, year and CC0; the text is in the public domain",
)
BECKETT = Packaged(
    id="beckett",
    distribution="moonshine-voice",
    file="moonshine_voice/assets/beckett.wav",
    sha256="e5a26b3d29e5b0bc8dbd72c11d16a3808a4ec0ac45b21f12a27d2a2fe5c5ae61",
    seconds=9.963,
    speakers=1,
    licence="unknown",
    attribution="moonshine-voice, Copyright 2025 Moonshine AI (the package: MIT)",
    note="no licence of its own; the words are a short quotation",
)
ENDGAME = Packaged(
    id="endgame_nagg_nell",
    distribution="moonshine-voice",
    file="moonshine_voice/assets/endgame_nagg_nell.wav",
    sha256="78f44dc6d3da32ecab0c37f391700f0569f4612b8e0be2ecbaf33e1d3d566474",
    seconds=28.277,
    speakers=2,
    licence="unknown",
    attribution="moonshine-voice, Copyright 2025 Moonshine AI (the package: MIT)",
    note="no licence of its own, a quotation; 24 kHz and without tags, so possibly synthetic: no claim of quality rests on it",
)
PYANNOTE_SAMPLE = Packaged(
    id="pyannote_sample",
    distribution="pyannote.audio",
    file="pyannote/audio/sample/sample.wav",
    sha256="c319b4abca767b124e41432d364fd7df006cb26bb79d09326c487d606a134e6e",
    seconds=30.0,
    speakers=2,
    licence="unknown",
    attribution="pyannote.audio, Copyright CNRS and pyannoteAI (the package: MIT)",
    note="a spontaneous telephone conversation with overlaps; rttm and stm beside it",
)
PACKAGED = (TWO_CITIES, BECKETT, ENDGAME, PYANNOTE_SAMPLE)

TWO_CITIES_SAID: tuple[Said, ...] = (
    (1.00, 4.80, "It was the best of times, it was the worst of times,"),
    (4.80, 6.40, "it was the age of wisdom,"),
    (6.40, 8.50, "it was the age of foolishness,"),
    (8.50, 10.50, "it was the epoch of belief,"),
    (10.50, 13.10, "it was the epoch of incredulity,"),
    (13.10, 14.95, "it was the season of Light,"),
    (14.95, 17.10, "it was the season of Darkness,"),
    (17.10, 18.86, "it was the spring of hope,"),
    (18.86, 20.85, "it was the winter of despair,"),
    (20.85, 24.30, "we had everything before us, we had nothing before us,"),
    (24.30, 26.30, "we were all going direct to Heaven,"),
    (26.30, 28.70, "we were all going direct the other way"),
    (28.70, 32.60, "in short, the period was so far like the present period,"),
    (32.60, 36.76, "that some of its noisiest authorities insisted on its being received,"),
    (36.76, 42.20, "for good or for evil, in the superlative degree of comparison only."),
)
"""Dickens's words, cut in the middle of the reader's pauses."""


def pyannote_said() -> tuple[Said, ...]:
    """The turns of the telephone conversation, from the stm file beside it: `name channel speaker start end words…`."""
    lines = PYANNOTE_SAMPLE.path.with_suffix(".stm").read_text(encoding="utf8").splitlines()
    turns = (line.split(maxsplit=5) for line in lines if line.strip())
    return tuple((float(start), float(end), words) for _, _, _, start, end, words in turns)


def cut(recording: Packaged, said: tuple[Said, ...]) -> list[tuple[str, Pcm, str]]:
    """The recording in pieces: `(id, samples, words)` for each `said`."""
    samples = recording.samples()
    return [
        (f"{recording.id}_{index:02d}", samples[round(start * RATE) : round(end * RATE)], words)
        for index, (start, end, words) in enumerate(said)
    ]

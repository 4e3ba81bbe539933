"""The stage `fingerprint`: Chromaprint fingerprints of every part of a recording, at the speeds at which copies may run.

A copy that runs 1.05 times as fast, declared as sampled at 16000 / 1.05 Hz, sounds like the original: so every speed is one more
fingerprint of the same samples, and nothing is resampled.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.duplicate_records import Fingerprint
from voxmill.manifests.errors import Unavailable
from voxmill.manifests.records import SAMPLE_RATE, Part
from voxmill.manifests.tombstones import is_scrubbed
from voxmill.operators.contract.adapters import Audio
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.audio import Playback, stream
from voxmill.operators.dedup.shingles import ShingleConfig

Way = Literal["acoustic", "text"]
"""How parts are compared: by how they sound, or by what is said."""


class FingerprintMissing(Unavailable, ImportError):
    """Chromaprint is not installed; the message says how to get it."""


class FingerprintConfig(Settings):
    """How audio fingerprints are made."""

    speeds: tuple[float, ...] = (1.0, 0.952, 1.05)
    """Speeds at which copies are searched, each at the cost of one fingerprint. The first is 1."""
    min_seconds: float = Field(default=4.0, ge=3.0)
    """Shorter parts and clips get no fingerprint (s)."""


class DuplicatesConfig(FingerprintConfig, ShingleConfig):
    """Duplicates within the run, with other runs, and with evaluation sets. Of duplicates the first listed stays."""

    by: tuple[Way, ...] = ("acoustic", "text")
    """`acoustic` compares audio and needs the C library Chromaprint; `text` compares transcripts."""
    min_score: float = Field(default=0.3, gt=0.0, le=1.0)
    """Share of the shorter fingerprint that must match. Unrelated speech has 0.01, the tested copies 0.5 and more."""
    min_shared: float = Field(default=0.5, gt=0.0, le=1.0)
    """Share of the shingles of the shorter text that must be in the other."""
    min_shingles: int = Field(default=6, ge=1)
    """Texts with fewer shingles are not compared: common phrases are no copies."""
    against: tuple[str, ...] = ()
    """Other runs: what they hold is a duplicate here."""
    evaluation: tuple[str, ...] = ()
    """Evaluation sets: NeMo-style JSONL (`audio_filepath`, `text`), folders of audio with `.txt` beside, or folders of shards."""


class TakeFingerprints:
    """One `Fingerprint` per part; parts that are too short have no values."""

    def __init__(self, config: FingerprintConfig) -> None:
        self.config = config
        self._listen = Chromaprint()

    def __call__(self, work: UnitInput) -> list[Fingerprint]:
        found = []
        for part in work.parts:
            recording = work.recording(part.recording_id)
            values: tuple[str, ...] = ()
            if not is_scrubbed(recording) and recording.audio and part.num_samples >= self.config.min_seconds * SAMPLE_RATE:
                values = self._values(Playback.of(recording), part)
            found.append(Fingerprint(part.recording_id, part.start, part.num_samples, values))
        return found

    def _values(self, how: Playback, part: Part) -> tuple[str, ...]:
        blocks = [pcm(block) for block in stream(how, part.start, part.num_samples)]
        return tuple(self._listen(blocks, speed) for speed in self.config.speeds)


class Chromaprint:
    """The library Chromaprint, through the binding of pyacoustid. Raises FingerprintMissing."""

    def __init__(self) -> None:
        try:
            import chromaprint  # type: ignore[import-untyped]
        except ImportError as error:
            fix = "install it (Debian: libchromaprint1, macOS: chromaprint) and `pip install 'voxmill[duplicates]'`"
            raise FingerprintMissing(f"Chromaprint is not here ({error}): {fix}, or set `duplicates.by: [text]`") from error
        self._library = chromaprint

    def __call__(self, blocks: list[bytes], speed: float = 1.0) -> str:
        """The encoded fingerprint of 16-bit samples at 16 kHz that ran `speed` times as fast as the original."""
        listener = self._library.Fingerprinter()
        listener.start(round(SAMPLE_RATE / speed), 1)
        for block in blocks:
            listener.feed(block)
        return bytes(listener.finish()).decode("ascii")

    def values(self, encoded: str) -> NDArray[np.uint32]:
        """The 32-bit values of an encoded fingerprint, shape (values,)."""
        numbers, _ = self._library.decode_fingerprint(encoded.encode("ascii"))
        return np.asarray(numbers, np.int64).astype(np.uint32)


def pcm(block: Audio) -> bytes:
    """The samples as 16-bit little-endian PCM."""
    return bytes(np.clip(np.rint(block * 32768.0), -32768, 32767).astype("<i2").tobytes())

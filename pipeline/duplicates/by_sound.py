"""Parts that sound alike, by their Chromaprint fingerprints."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from voxmill.manifests.duplicate_records import Duplicate, Fingerprint
from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.decode.audio import read
from voxmill.operators.dedup.acoustic import HOP, REACH, Match, Values, keys, match_at
from voxmill.operators.dedup.evaluation_sets import EvaluationClip
from voxmill.operators.dedup.fingerprint import Chromaprint, DuplicatesConfig, pcm
from voxmill.pipeline.duplicates.comparison import (
    CONTAMINATED,
    DUPLICATE,
    Comparison,
    Keys,
    PartKey,
    PartVerdict,
    Places,
    holder_of,
    split,
    verdict_row,
)
from voxmill.pipeline.duplicates.shared_keys import Partner, SharedKeys
from voxmill.pipeline.duplicates.sources import CLIPS, ComparedRun

LEAST = 2
"""Fewest keys at one shift that make a part of a run a partner; one does for a clip. Unrelated speech shares none; `min_score` decides."""

PHASES = tuple(round(HOP * SAMPLE_RATE * quarter / 4) for quarter in range(4))
"""First samples of the fingerprints of one clip. Clips are short, and a recording may hold them from between two steps on."""


class BySound(Comparison):
    """Compares fingerprints; a partner's is as it was, and a part is looked for at every speed of the config."""

    kind = "fingerprint"

    def __init__(self, folder: str, config: DuplicatesConfig, clips: Iterable[tuple[str, EvaluationClip]]) -> None:
        """`clips` are (evaluation set, clip). Raises FingerprintMissing."""
        super().__init__(SharedKeys(folder, "sound", LEAST, CLIPS))
        self._config, self._library = config, Chromaprint()
        self._clips: list[tuple[str, str, Values]] = []
        for source, clip in clips:
            if clip.audio and len(samples := _samples(clip)) >= config.min_seconds * SAMPLE_RATE:
                for start in PHASES:
                    values = self._library.values(self._library([pcm(samples[start:])]))
                    self._clips.append((source, clip.name, values))
        self._values = lru_cache(256)(self._library.values)

    def asked(self, row: Fingerprint) -> Iterator[tuple[Keys, Places, int]]:
        """See `Comparison`."""
        for speed, encoded in enumerate(row.values):
            yield (*keys(self._library.values(encoded)), speed)

    def held(self, row: Fingerprint, run: ComparedRun) -> tuple[Keys, Places] | None:
        """See `Comparison`."""
        return keys(self._library.values(row.values[0])) if row.values else None

    def clips(self) -> Iterator[tuple[Keys, Places]]:
        """See `Comparison`."""
        return (keys(values) for _, _, values in self._clips)

    def verdicts(self, position: int, row: Fingerprint, partners: list[Partner]) -> Iterator[tuple[PartKey, PartVerdict]]:
        """See `Comparison`."""
        clips, parts = split(partners)
        verdict = PartVerdict(self._rows(row, clips, CONTAMINATED), self._rows(row, parts, DUPLICATE)[:1])
        yield PartKey(row.recording_id, row.start), verdict

    def _rows(self, part: Fingerprint, partners: list[Partner], reason: str) -> list[Duplicate]:
        """A row for each partner and speed, the best first; of equals the partner that was there first."""
        best: dict[tuple[str, str, int], tuple[Match, int]] = {}
        for one in partners:
            of, name, values = self._partner(one.holder)
            match = match_at(self._values(part.values[one.speed]), values, one.shift)
            of_itself = not of and name == part.recording_id
            key = (of, name, one.speed)
            if (
                match.score >= self._config.min_score
                and not of_itself
                and (key not in best or match.score > best[key][0].score)
            ):
                best[key] = (match, one.holder)
        rows = []
        for (of, name, number), (match, _) in sorted(best.items(), key=lambda item: (-item[1][0].score, item[1][1], item[0])):
            speed = self._config.speeds[number]
            start, end = _span(match, speed, part)
            rows.append(verdict_row(part, reason, "acoustic", name, of, match.score, start, end, speed=speed))
        return rows

    def _partner(self, entry: int) -> tuple[str, str, Values]:
        if entry < CLIPS:
            return self._clips[entry]
        run = holder_of(self._runs, entry)
        row: Fingerprint = run.row_of(entry, "fingerprint")
        return run.of, row.recording_id, self._values(row.values[0])


def _span(match: Match, speed: float, part: Fingerprint) -> tuple[int, int]:
    """The matching stretch in samples of the recording: fingerprints taken at a speed run on that speed's clock."""
    first = int(match.first * HOP / speed * SAMPLE_RATE)
    last = int((match.last * HOP + REACH) / speed * SAMPLE_RATE)
    return part.start + max(0, first), part.start + min(part.num_samples, last)


def _samples(clip: EvaluationClip) -> Any:
    if clip.offset is None:
        return read(str(clip.audio))
    import soundfile

    with open(str(clip.audio), "rb") as tar:
        tar.seek(clip.offset)
        samples, _ = soundfile.read(io.BytesIO(tar.read(clip.size)), dtype="float32")
    return np.asarray(samples, np.float32)

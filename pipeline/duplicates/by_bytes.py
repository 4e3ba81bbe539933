"""Recordings that other runs have: the same bytes, or the same samples in another wrapping. Within a run the crawler finds them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from voxmill.manifests.records import Recording
from voxmill.operators.dedup.fingerprint import DuplicatesConfig
from voxmill.pipeline.duplicates.shared_keys import SharedKeys
from voxmill.pipeline.duplicates.sources import ComparedRun
from voxmill.pipeline.duplicates.verdicts import DUPLICATE, ByUnit, PartKey, PartVerdict, holder_of, verdict_row


class ByBytes:
    """Compares the ids of recordings, which are hashes of their bytes, and the hashes of their samples."""

    def __init__(self, folder: str, config: DuplicatesConfig) -> None:
        self._keys = SharedKeys(folder, "bytes", 1)
        self._parts = "fingerprint" if "acoustic" in config.by else "shingle"

    def look_for(self, runs: tuple[ComparedRun, ...], fresh: list[tuple[int, int]]) -> None:
        """See `Comparison`."""
        self._runs, own = runs, runs[-1]
        for first, end in fresh:
            for position, rows in own.scan("recordings", first, end):
                for number, row in enumerate(rows):
                    self._keys.ask(own.entry(position, number), *_keys(row))
        for run in runs[:-1]:
            for position, rows in run.scan("recordings"):
                for number, row in enumerate(rows):
                    if row.rejection is None:
                        self._keys.hold(run.entry(position, number), *_keys(row))
        self._found = ByUnit(own, self._keys.partners())

    def judge(self, position: int) -> Mapping[PartKey, PartVerdict]:
        """See `Comparison`."""
        verdicts = {}
        for number, partners in self._found.at(position).items():
            recording: Recording = self._runs[-1].rows("recordings", position)[number]
            for one in partners:
                run = holder_of(self._runs, one.holder)
                theirs: Recording = run.row_of(one.holder, "recordings")
                by = "bytes" if theirs.id == recording.id else "samples"
                if by == "samples" and (theirs.pcm_sha256 or theirs.id) != recording.pcm_sha256:
                    continue
                for part in self._runs[-1].rows(self._parts, position):
                    if part.recording_id == recording.id:
                        row = verdict_row(part, DUPLICATE, by, theirs.id, run.of, 1.0)  # type: ignore[arg-type]
                        verdicts[PartKey(part.recording_id, part.start)] = PartVerdict(copies=[row])
                break
        return verdicts

    def close(self) -> None:
        """See `Comparison`."""
        self._keys.close()


def _keys(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """A key of the bytes, with place 0, and one of the samples, with place 1."""
    values = [recording.id, *filter(None, [recording.pcm_sha256])]
    hashed = [int.from_bytes(blake2b(one.encode(), digest_size=8).digest(), "big", signed=True) for one in values]
    return np.asarray(hashed, np.int64), np.arange(len(hashed), dtype=np.int32)

"""Recordings that other runs have: the same bytes, or the same samples in another wrapping. Within a run the crawler finds them."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from voxmill.manifests.duplicate_records import By
from voxmill.manifests.records import Recording
from voxmill.operators.dedup.fingerprint import DuplicatesConfig
from voxmill.pipeline.duplicates.comparison import (
    DUPLICATE,
    Comparison,
    Keys,
    PartKey,
    PartVerdict,
    Places,
    holder_of,
    verdict_row,
)
from voxmill.pipeline.duplicates.shared_keys import Partner, SharedKeys
from voxmill.pipeline.duplicates.sources import ComparedRun


class ByBytes(Comparison):
    """Compares the ids of recordings, which are hashes of their bytes, and the hashes of their samples."""

    kind = "recordings"

    def __init__(self, folder: str, config: DuplicatesConfig) -> None:
        super().__init__(SharedKeys(folder, "bytes", 1))
        self._parts = "fingerprint" if "acoustic" in config.by else "shingle"

    def asked(self, row: Recording) -> Iterator[tuple[Keys, Places, int]]:
        """See `Comparison`."""
        yield (*_keys(row), 0)

    def held(self, row: Recording, run: ComparedRun) -> tuple[Keys, Places] | None:
        """See `Comparison`."""
        return _keys(row) if run.of and row.rejection is None else None

    def verdicts(self, position: int, row: Recording, partners: list[Partner]) -> Iterator[tuple[PartKey, PartVerdict]]:
        """See `Comparison`. The first partner whose bytes or samples are the same, of which equal keys are only a sign."""
        for one in partners:
            run = holder_of(self._runs, one.holder)
            theirs: Recording = run.row_of(one.holder, self.kind)
            by: By = "bytes" if theirs.id == row.id else "samples"
            if by == "samples" and (theirs.pcm_sha256 or theirs.id) != row.pcm_sha256:
                continue
            for part in self._runs[-1].rows(self._parts, position):
                if part.recording_id == row.id:
                    found = verdict_row(part, DUPLICATE, by, theirs.id, run.of, 1.0)
                    yield PartKey(part.recording_id, part.start), PartVerdict(copies=[found])
            return


def _keys(recording: Recording) -> tuple[Keys, Places]:
    """A key of the bytes, with place 0, and one of the samples, with place 1."""
    values = [recording.id, *filter(None, [recording.pcm_sha256])]
    hashed = [int.from_bytes(blake2b(one.encode(), digest_size=8).digest(), "big", signed=True) for one in values]
    return np.asarray(hashed, np.int64), np.arange(len(hashed), dtype=np.int32)

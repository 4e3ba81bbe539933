"""Parts in which the same is said, by the shingles of their transcripts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import numpy as np

from voxmill.manifests.duplicate_records import Duplicate, Shingles
from voxmill.operators.dedup.evaluation_sets import EvaluationClip
from voxmill.operators.dedup.fingerprint import DuplicatesConfig
from voxmill.operators.dedup.shingles import containment, part_shingles
from voxmill.operators.reconcile.normalise import Normaliser
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

LEAST = 3
"""Fewest shingles that make a partner to be looked at, of texts that are long enough to have more; `min_shared` decides."""


class ByText(Comparison):
    """Compares shingles. A clip of an evaluation set may be as short as it likes; parts that say too little are not compared."""

    kind = "shingle"

    def __init__(self, folder: str, config: DuplicatesConfig, clips: Iterable[tuple[str, EvaluationClip]]) -> None:
        """`clips` are (evaluation set, clip)."""
        least = min(LEAST, math.ceil(config.min_shingles * config.min_shared))
        super().__init__(SharedKeys(folder, "text", least, CLIPS))
        self._config, normalise = config, Normaliser()
        self._clips: list[tuple[str, str, frozenset[int]]] = []
        for source, clip in clips:
            words = normalise(clip.text, clip.language).units if clip.text else ()
            if shingles := frozenset(part_shingles([words], config.shingle).shingles):
                self._clips.append((source, clip.name, shingles))

    def asked(self, row: Shingles) -> Iterator[tuple[Keys, Places, int]]:
        """See `Comparison`."""
        yield (*_keys(row.values), 0)

    def held(self, row: Shingles, run: ComparedRun) -> tuple[Keys, Places] | None:
        """See `Comparison`."""
        found = _keys(row.values)
        return found if len(found[0]) >= self._config.min_shingles else None

    def clips(self) -> Iterator[tuple[Keys, Places]]:
        """See `Comparison`."""
        return (_keys(shingles) for _, _, shingles in self._clips)

    def verdicts(self, position: int, row: Shingles, partners: list[Partner]) -> Iterator[tuple[PartKey, PartVerdict]]:
        """See `Comparison`."""
        clips, parts = split(partners)
        verdict = PartVerdict(self._contaminated(row, clips), self._copies(row, parts))
        yield PartKey(row.recording_id, row.start), verdict

    def _contaminated(self, part: Shingles, partners: list[Partner]) -> list[Duplicate]:
        """The segments with any shingle of a clip of which enough is said in the part."""
        mine, rows = frozenset(part.values), list[Duplicate]()
        for source, name, theirs in (self._clips[one.holder] for one in partners):
            if len(mine & theirs) >= self._config.min_shared * len(theirs):
                rows += _rows_of_segments(part, theirs, name, source, CONTAMINATED, containment(mine, theirs), least=1)
        return rows

    def _copies(self, part: Shingles, partners: list[Partner]) -> list[Duplicate]:
        """Of the best partner: the whole part where most of it is said there, else the segments that are."""
        mine = frozenset(part.values)
        if len(mine) < self._config.min_shingles:
            return []
        ranked = []
        for one in partners:
            run = holder_of(self._runs, one.holder)
            row: Shingles = run.row_of(one.holder, "shingle")
            score = containment(mine, frozenset(row.values))
            if score >= self._config.min_shared and (run.of or row.recording_id != part.recording_id):
                ranked.append((-score, one.holder, run.of, row))
        if not ranked:
            return []
        score, _, of, row = min(ranked, key=lambda found: found[:2])
        theirs, name = frozenset(row.values), row.recording_id
        if len(mine & theirs) / len(mine) >= self._config.min_shared:
            return [verdict_row(part, DUPLICATE, "text", name, of, -score)]
        return _rows_of_segments(part, theirs, name, of, DUPLICATE, -score)


def _keys(shingles: Collection[int]) -> tuple[Keys, Places]:
    """Each shingle once; where it stands does not matter."""
    found = np.unique(np.asarray([*shingles], np.int64))
    return found, np.zeros(len(found), np.int32)


def _rows_of_segments(
    part: Shingles, theirs: frozenset[int], partner: str, of: str, reason: str, score: float, least: int = 2
) -> list[Duplicate]:
    """One row for each segment with enough of the partner's shingles."""
    counts = Counter(number for value, number in zip(part.values, part.segments, strict=True) if value in theirs)
    return [
        verdict_row(part, reason, "text", partner, of, score, part.starts[number], part.ends[number])
        for number, count in sorted(counts.items())
        if count >= least
    ]

"""The stage `select`: tier, split and weight of each segment, or the reason for which it is not kept. Rules are in `policy.py`."""

from __future__ import annotations

from collections.abc import Sequence

from voxmill.manifests.duplicate_records import Duplicate
from voxmill.manifests.ids import digest
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Consensus, Recording, Rejection, Segment, Selection, Split
from voxmill.manifests.redaction_records import Redaction
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.select.calibration import LabelEvidence, load_calibration
from voxmill.operators.select.policy import DEV, TEST, Evidence, SelectConfig, licensed, verdict

__all__ = ["Select", "SelectConfig", "split_of", "tukey_fence"]


def split_of(recording_id: str, dev: float = DEV, test: float = TEST) -> Split:
    """The split of a recording and of everything in it, by hash: adding recordings never moves others."""
    place = int(digest(["split", recording_id])[:16], 16) / 2**64
    return "test" if place < test else "dev" if place < test + dev else "train"


def tukey_fence(rates: Sequence[float], ranges: float) -> tuple[float, float]:
    """Tukey's fence: the quartiles (linearly interpolated), and `ranges` interquartile ranges beyond them."""
    low, high = _quantile(rates, 0.25), _quantile(rates, 0.75)
    return low - ranges * (high - low), high + ranges * (high - low)


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)  # exact where both are equal


def copy_of(segment: Segment, duplicates: Sequence[Duplicate]) -> Duplicate | None:
    """The first duplicate stretch that covers at least half of a segment; those of evaluation sets come first."""
    for one in sorted(duplicates, key=lambda d: d.reason):
        overlap = min(segment.end, one.start + one.num_samples) - max(segment.start, one.start)
        if one.recording_id == segment.recording_id and 2 * overlap >= segment.num_samples:
            return one
    return None


class Select:
    """One selection per segment. What an earlier stage rejected keeps its reason.

    For segments without speech only the licence decides.
    """

    def __init__(self, config: SelectConfig) -> None:
        self.config = config
        self._calibration = load_calibration(config.calibration) if config.calibration else None

    def __call__(self, work: UnitInput) -> list[Selection]:
        recordings = {recording.id: recording for recording in work.recordings}
        consensus = {one.segment_id: one for one in work.consensus}
        fences = self._fences(work.segments, consensus)
        hidden = {one.segment_id: one for one in work.redactions}
        filtered = {row.segment_id: row.rejection for rows in work.other.values() for row in rows if row.rejection is not None}
        return [
            self._select(
                recordings[segment.recording_id],
                segment,
                consensus[segment.id],
                fences.get(segment.recording_id),
                copy_of(segment, work.duplicates),
                hidden.get(segment.id),
                filtered.get(segment.id),
            )
            for segment in work.segments
        ]

    def _fences(self, segments: Sequence[Segment], consensus: dict[str, Consensus]) -> dict[str, tuple[float, float]]:
        if self.config.rate_fence is None:
            return {}
        rates: dict[str, list[float]] = {}
        for segment in segments:
            if consensus[segment.id].rejection is None and segment.kind == "speech":
                rates.setdefault(segment.recording_id, []).append(consensus[segment.id].chars_per_second)
        enough = self.config.rate_segments
        return {key: tukey_fence(values, self.config.rate_fence) for key, values in rates.items() if len(values) >= enough}

    def _select(
        self,
        recording: Recording,
        segment: Segment,
        consensus: Consensus,
        rates: tuple[float, float] | None,
        copied: Duplicate | None,
        hidden: Redaction | None,
        filtered: Rejection | None,
    ) -> Selection:
        split = split_of(recording.id, self.config.dev_share, self.config.test_share)
        if consensus.rejection is not None:
            return Selection(segment.id, "rejected", split, 0.0, consensus.rejection)
        if copied is not None:
            detail = f"{copied.by} {copied.score:.2f}"  # the partner is in the table `duplicates`
            return Selection(segment.id, "rejected", split, 0.0, reject(copied.reason, detail))
        if hidden is not None and hidden.untimed:
            return Selection(segment.id, "rejected", split, 0.0, reject("select.personal_data", ", ".join(hidden.untimed)))
        if filtered is not None:  # by a stage of the user's own
            return Selection(segment.id, "rejected", split, 0.0, filtered)
        if segment.kind == "event":
            licence = recording.licence.name
            if not licensed(licence, self.config):
                return Selection(segment.id, "rejected", split, 0.0, reject("select.licence", licence))
            return Selection(segment.id, "event", split, 1.0)
        evidence = Evidence(
            licence=recording.licence.name,
            language=consensus.language,
            language_confidence=consensus.language_confidence,
            chars=round(consensus.chars_per_second * segment.seconds),
            chars_per_second=consensus.chars_per_second,
            fence=rates,
            repeated_ngrams=consensus.repeated_ngrams,
            compression_ratio=consensus.compression_ratio,
            confidence=consensus.confidence,
            agreement=consensus.agreement,
            expected_error=self._expected(consensus),
        )
        tier, reason, detail = verdict(evidence, self.config)
        weight = {"high": 1.0, "weak": self.config.weak_weight}.get(tier, 0.0)
        rejection = reject(reason, detail) if reason else None
        return Selection(segment.id, tier, split, weight, rejection, evidence.expected_error)

    def _expected(self, consensus: Consensus) -> float | None:
        if self._calibration is None:
            return None
        units = sum(slot.choice is not None for slot in consensus.slots)
        return self._calibration.expected(LabelEvidence(consensus.agreement, consensus.confidence, units), consensus.language)

"""Rows of the tables that are computed from the others and written beside them, so that a query reads one file instead of joining six."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpanOutcome:
    """A segment with everything that became of it: what the view `timeline` shows, and what the other views count.

    Text columns have few values and are dictionaries in the file. The rows tile every recording: no sample of audio is missing.
    """

    segment_id: str
    """The segment."""
    recording_id: str
    """The recording that it is a span of."""
    unit: str | None
    """The unit that it belongs to."""
    start: int
    """First sample in the recording (16 kHz)."""
    num_samples: int
    """Length in samples."""
    source: str | None
    """Name of the source in the config."""
    host: str | None
    """Host that the recording came from."""
    domain: str | None
    """Kind of speech, as the source says it."""
    licence: str | None
    """Licence of the recording."""
    bandwidth: str | None
    """`narrow` or `wide`, as measured."""
    language: str | None
    """Of the text; where no engine listened, the one that the source states."""
    tier: str | None
    """How far the text is to be trusted; NULL where it was not judged."""
    split: str | None
    """`train`, `dev` or `test`."""
    agreement: float | None
    """1 - normalised edit distance of the engines, mean over pairs."""
    confidence: float | None
    """Confidence of the engine whose text was chosen."""
    expected_error: float | None
    """Share of the label's words that are expected to be wrong, by the run's calibration."""
    language_confidence: float | None
    """Probability of a detected language."""
    chars_per_second: float | None
    """Characters of the normalised label per second."""
    compression_ratio: float | None
    """Bytes of the label over bytes of its zlib output."""
    repeated_ngrams: int | None
    """Longest run of one repeated n-gram."""
    speech: bool
    """It is a segment: `segment` did not put it aside."""
    kind: str
    """`speech`, or `event`: kept for its sounds."""
    agreed: bool | None
    """Verdict of `reconcile`; NULL: it did not get there, or the row is missing."""
    selected: bool | None
    """Verdict of `select`; NULL as above."""
    kept: bool
    """It was selected, and nothing went wrong in packing it."""
    reason: str | None
    """Why it was not kept."""
    fate: int
    """All verdicts together: the key of `fates`."""
    num_rates: int | None
    """Segments of the same recording and unit whose speech rates make the two quartiles; NULL: there are none."""
    rate_q1: float | None
    """First quartile of their characters per second."""
    rate_q3: float | None
    """Third quartile."""
    num_slots: int | None
    """Slots of the alignment, where an error is expected."""
    unread_numbers: bool
    """It has digits, and no library says how its language reads them."""
    quality: float | None
    """Estimated opinion score (MOS), `overall`."""
    num_speakers: int | None
    """Speakers that take turns in it."""


@dataclass(frozen=True, slots=True)
class FateVerdict:
    """One verdict of a fate: many segments share one fate, which is the list of all that the stages say of them.

    The same fate may stand in several files of a run, with the same verdicts.
    """

    fate: int
    """63 bits of the MD5 of its verdicts: the same in every run."""
    place: int
    """Place in the list, counted from 1."""
    position: int
    """Place of the stage in the pipeline; 3 is `segment`."""
    stage: str
    """Name of the stage, with the engine after a colon."""
    kept: bool | None
    """The verdict; NULL: no answer, which is a fault."""
    reason: str | None
    """Why it was not kept."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that breaks in = kept + rejected within a unit, found when the tables were written. A sound run has none."""

    stage: str
    """The stage whose rows do not add up."""
    id: str
    """The segment, or the unit and recording."""
    what: str
    """What was counted."""
    expected: int
    """What it should be."""
    found: int
    """What it is."""


@dataclass(frozen=True, slots=True)
class LabelCount:
    """What one labeller said to one question, over the units of one file; the view `label_coverage` adds them up."""

    task: str
    """What was asked."""
    labeller: str
    """Who was asked."""
    model: str | None
    """With which weights or rules."""
    num_asked: int
    """Segments that it was asked about."""
    num_labelled: int
    """Those that it labelled."""
    num_empty: int
    """Those of which it says that there is none."""
    labelled_samples: int
    """Audio that it labelled, in samples."""
    num_confidences: int
    """Labels that state a confidence."""
    sum_confidence: float
    """Sum of these."""
    num_refused: int
    """Labels that a gate refused."""
    num_contradicted: int
    """Segments of which another labeller says otherwise."""


DERIVED: dict[str, type] = {
    "spans": SpanOutcome,
    "fates": FateVerdict,
    "violations": Violation,
    "label_counts": LabelCount,
}
"""Record type by table, in the order in which they are made."""

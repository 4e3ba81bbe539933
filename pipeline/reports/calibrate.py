"""`voxmill calibrate`: the expected error of a run's labels, estimated from a small sample with known transcripts.

The sample is JSON lines, of two kinds:

    {"segment_id": "…", "text": "the true words"}
    {"recording": "<id, URL or file name>", "start": 1.2, "end": 4.8, "text": "…", "speaker": "a", "condition": "noisy"}

Of the second kind, give every utterance of a recording: the reference of a segment is all utterances whose middle lies in it, and a
segment without any has an empty reference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from rapidfuzz.distance import Levenshtein

from voxmill.manifests.catalog import open_catalog, query
from voxmill.manifests.errors import UserError
from voxmill.manifests.records import SAMPLE_RATE
from voxmill.manifests.storage import commit_bytes
from voxmill.manifests.user_input import json_lines
from voxmill.operators.reconcile.normalise import Normaliser, NormaliserConfig
from voxmill.operators.select.agreed_errors import agreed_errors
from voxmill.operators.select.calibration import Calibration, LabelEvidence
from voxmill.operators.select.calibration_fit import Labelled, fit
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError

FILE = "calibration.json"
SEGMENTS = """
    SELECT t.segment_id, t.recording_id, t.start, t.num_samples, t.language, t.tier, t.kept, t.seconds,
        c.text, c.agreement, c.confidence, c.slots, c.engines, r.provenance.url AS url, r.provenance.source AS source
    FROM timeline AS t JOIN consensus AS c USING (segment_id) JOIN recordings AS r ON r.id = t.recording_id
    WHERE t.agreed AND t.kind = 'speech' ORDER BY t.recording_id, t.start
"""


class ReferenceUtterance(BaseModel):
    """One line of the sample; unknown keys are ignored."""

    model_config = ConfigDict(allow_inf_nan=False)

    text: str
    segment_id: str | None = None
    recording: str | None = None
    start: float | None = None
    """Seconds from the beginning of the recording."""
    end: float | None = None
    speaker: str | None = None
    condition: str | None = None

    @model_validator(mode="after")
    def _placed(self) -> ReferenceUtterance:
        if self.segment_id is None and (self.recording is None or self.start is None or self.end is None):
            raise ValueError("it needs `segment_id`, or `recording`, `start` and `end`")
        return self

    @property
    def middle(self) -> float:
        """The middle between start and end, in samples."""
        return ((self.start or 0.0) + (self.end or 0.0)) / 2 * SAMPLE_RATE


@dataclass
class Reference:
    """The reference transcript of a segment."""

    texts: list[str] = field(default_factory=list)
    speaker: str | None = None
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier of labels: its size, and its expected word error rate with interval (see `Estimate`)."""

    name: str
    segments: int
    hours: float
    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Point:
    """What is kept with a threshold of `least`: hours, their share of all, and the expected word error rate."""

    least: float
    hours: float
    share: float
    expected: float


@dataclass
class Calibrated:
    """A fitted calibration, the sample behind it, and what it says of the run's tiers and thresholds."""

    calibration: Calibration
    sample: list[Labelled]
    tiers: list[Tier]
    points: list[Point]


def calibrate(run: Run, references: Path, normalise: NormaliserConfig) -> Calibrated:
    """Fits a calibration and writes it to `RUN/calibration.json`. Raises RunError and UserError."""
    rows = query(open_catalog(run.root, SEGMENTS), SEGMENTS).to_pylist()
    if not rows:
        raise RunError(f"{run.root} has no labels to calibrate: run it to `select` first")
    matched = match(rows, read_references(references))
    if not matched:
        raise RunError(
            f"nothing in {references} belongs to {run.root}: rows name a segment_id, or a recording by id, URL or file name"
        )
    sample = labelled(rows, matched, Normaliser(normalise))
    calibration = fit(sample)
    commit_bytes(run.uri(FILE), calibration.model_dump_json(indent=1).encode(), replace=True)
    return Calibrated(calibration, sample, tiers(rows, calibration), points(rows, calibration))


def read_references(path: Path) -> list[ReferenceUtterance]:
    """The lines of a labelled sample. Raises UserError that names the bad line."""
    found = []
    fix = "give JSON lines with `text`, see docs/how-to/calibrate.md"
    for place, row in json_lines(path, "labelled sample", fix):
        try:
            found.append(ReferenceUtterance.model_validate(row))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UserError(f"{place}: {where + ': ' if where else ''}{first['msg']}") from None
    if not found:
        raise UserError(f"{path} is empty, and no labelled sample: {fix}")
    return found


def match(rows: Sequence[Mapping[str, Any]], utterances: Sequence[ReferenceUtterance]) -> dict[str, Reference]:
    """Segment id -> reference. A segment in which no utterance lies has an empty one, if its recording is in the sample."""
    found: dict[str, Reference] = defaultdict(Reference)
    by_name: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        for name in {row["recording_id"], row["url"], row["url"].rsplit("/", 1)[-1]}:
            by_name[name].append(row)
    known = {row["segment_id"] for row in rows}
    for one in utterances:
        if one.segment_id is not None:
            homes = [one.segment_id] if one.segment_id in known else []
        else:
            segments = by_name.get(one.recording or "", [])
            for row in segments:
                found[row["segment_id"]]  # creates an empty reference
            homes = [row["segment_id"] for row in segments if row["start"] <= one.middle < row["start"] + row["num_samples"]][
                :1
            ]
        for home in homes:
            reference = found[home]
            reference.texts.append(one.text)
            reference.speaker = one.speaker or reference.speaker
            reference.condition = one.condition or reference.condition
    return dict(found)


def labelled(rows: Sequence[Mapping[str, Any]], references: Mapping[str, Reference], normaliser: Normaliser) -> list[Labelled]:
    """The segments that have a reference, with their errors counted after normalisation."""
    sample = []
    for row in rows:
        if (reference := references.get(row["segment_id"])) is None:
            continue
        both = normaliser.together([" ".join(reference.texts), row["text"]], row["language"])
        truth, label = (one.units for one in both)
        errors = Levenshtein.distance(truth, label)
        sample.append(
            Labelled(
                row["recording_id"],
                row["language"],
                signs(row),
                len(truth),
                errors,
                agreed_errors(truth, ((slot["words"], slot["choice"]) for slot in row["slots"]), errors),
                reference.speaker,
                reference.condition,
            )
        )
    return sample


def signs(row: Mapping[str, Any]) -> LabelEvidence:
    """The signs from which the calibration predicts errors: agreement, confidence, number of words."""
    return LabelEvidence(row["agreement"], row["confidence"], sum(slot["choice"] is not None for slot in row["slots"]))


def tiers(rows: Sequence[Mapping[str, Any]], calibration: Calibration) -> list[Tier]:
    """The run's tiers, the best first, then all segments together."""
    names = [name for name in ("high", "weak", "unlabelled", "rejected") if any(row["tier"] == name for row in rows)]
    found = [_tier(name, [row for row in rows if row["tier"] == name], calibration) for name in names]
    return [*found, _tier("all", rows, calibration)]


def _tier(name: str, rows: Sequence[Mapping[str, Any]], calibration: Calibration) -> Tier:
    found = calibration.estimate([(signs(row), row["language"]) for row in rows])
    hours = sum(row["seconds"] for row in rows) / 3600
    return Tier(name, len(rows), hours, *((found.expected, found.low, found.high) if found else (float("nan"),) * 3))


def points(rows: Sequence[Mapping[str, Any]], calibration: Calibration) -> list[Point]:
    """A point for each possible threshold on the score (1 - expected error), the strictest first."""
    scored = sorted(_scored(rows, calibration), reverse=True)
    total, seconds, words, errors, found = sum(s for _, s, _ in scored), 0.0, 0.0, 0.0, []
    for position, (score, length, units) in enumerate(scored):
        seconds, words, errors = seconds + length, words + units, errors + (1 - score) * units
        if position + 1 == len(scored) or scored[position + 1][0] < score:
            found.append(Point(score, seconds / 3600, seconds / total, errors / words))
    return found


def _scored(rows: Sequence[Mapping[str, Any]], calibration: Calibration) -> Iterator[tuple[float, float, float]]:
    for row in rows:
        its = signs(row)
        if (error := calibration.expected(its, row["language"])) is not None:
            yield 1.0 - min(error, 1.0), float(row["seconds"]), float(max(its.units, 1))


def threshold(found: Sequence[Point], *, error: float | None = None, hours: float | None = None) -> Point | None:
    """The laxest point whose expected error is at most `error`, or the strictest that keeps at least `hours`; None if there is none."""
    if error is not None:
        return next((point for point in reversed(found) if point.expected <= error), None)
    return next((point for point in found if hours is not None and point.hours >= hours), None)

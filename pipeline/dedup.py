"""The driver's step before `select`: which stretches are there already. In listing order, append-only, over the whole run.

A part is compared with what was listed before it, with other runs and with evaluation sets, so what a later `voxmill run` brings
never changes an earlier verdict. `select` reads the verdicts and gives the reason.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxmill.manifests.duplicate_records import By, Duplicate, Fingerprint
from voxmill.manifests.records import SAMPLE_RATE, Consensus, Part, Recording, Segment, Unit
from voxmill.operators.decode.audio import read
from voxmill.operators.dedup.acoustic import HOP, REACH, AcousticIndex, Match
from voxmill.operators.dedup.evaluation_sets import EvaluationClip, clips
from voxmill.operators.dedup.fingerprint import Chromaprint, DuplicatesConfig, pcm
from voxmill.operators.dedup.minhash import PartShingles, TextIndex, containment, part_shingles
from voxmill.operators.reconcile.normalise import Normaliser
from voxmill.operators.reconcile.tokenize import units as units_of
from voxmill.pipeline.build import as_written
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError

DUPLICATE, CONTAMINATED = "select.duplicate", "select.contaminated"


@dataclass(frozen=True, slots=True)
class Partner:
    """Whom a part may be like: `of` is empty for this run."""

    of: str
    name: str


@dataclass(frozen=True, slots=True)
class ComparedPart:
    """One part with all that it is compared by."""

    part: Part
    segments: tuple[Segment, ...]
    """Those with an agreed text, in order of time."""
    shingles: PartShingles
    sounds: tuple[Any, ...]
    """Fingerprint values by speed; empty where there are none."""


class FindDuplicates:
    """`FindDuplicates(run, stages, config)()` writes the verdicts of each unit that has none."""

    def __init__(self, run: Run, stages: Mapping[str, Stage], config: DuplicatesConfig) -> None:
        self._run, self._stages, self._config = run, stages, config
        self._ledger = run.ledger
        self._chromaprint = Chromaprint() if "acoustic" in config.by else None
        self._sounds, self._texts = AcousticIndex(), TextIndex() if "text" in config.by else None
        self._exact: dict[str, Partner] = {}
        self._eval_sounds, self._eval_texts = AcousticIndex(), list[tuple[Partner, frozenset[int]]]()
        self._eval_of: dict[int, list[int]] = {}

    def __call__(self) -> int:
        """Returns the number of units that were compared with the rest anew."""
        ledger, stage, end = self._ledger, self._stages["duplicates"], self._run.listing.num_units
        if ledger.done(stage).holds(0, end):
            return 0
        for other in self._config.against:
            self._add_run(other)
        for source in self._config.evaluation:
            self._add_evaluation(source)
        return ledger.write(stage, self._verdicts())

    def _verdicts(self) -> Iterator[tuple[str, list[Duplicate]]]:
        """The rows of every unit that has none yet. All units are remembered, in listing order."""
        done = self._ledger.done(self._stages["duplicates"])
        for unit in self._run.listing.each_unit():
            fresh = unit.id not in done
            rows = list[Duplicate]()
            for one in self._heard(self._ledger, self._stages, unit):
                if fresh:  # a part may be a copy of another in its own unit: compare, then remember
                    rows += self._judge(one, self._recordings(unit))
                self._remember(one, Partner("", one.part.recording_id))
            if fresh:
                yield unit.id, rows

    def _judge(self, one: ComparedPart, recordings: Mapping[str, Recording]) -> list[Duplicate]:
        found = self._contaminated(one)
        recording = recordings[one.part.recording_id]
        for by, value in (("bytes", recording.id), ("samples", recording.pcm_sha256)):
            if value and (partner := self._exact.get(value)):
                return [*found, _row(one.part, DUPLICATE, by, partner, 1.0)]  # type: ignore[arg-type]
        if twin := self._sounding(one, self._sounds, DUPLICATE)[:1]:
            return found + twin
        return found + self._reading(one)

    def _sounding(self, one: ComparedPart, index: AcousticIndex, reason: str) -> list[Duplicate]:
        """By sound, the best partner first."""
        found = []
        for speed, values in zip(self._config.speeds, one.sounds, strict=False):
            for match in index.find(values, self._config.min_score):
                partner = match.key
                if isinstance(partner, Partner) and partner != Partner("", one.part.recording_id):
                    found.append((match, speed, partner))
        found.sort(key=lambda f: -f[0].score)
        return [_row(one.part, reason, "acoustic", p, m.score, *_span(m, s, one.part), speed=s) for m, s, p in found]

    def _reading(self, one: ComparedPart) -> list[Duplicate]:
        """By text: the whole part where most of it is in the partner, else the segments that are."""
        mine = one.shingles.unique
        if self._texts is None or len(mine) < self._config.min_shingles:
            return []
        for key, score in self._texts.find(mine, self._config.min_shared):
            partner = key[0] if isinstance(key, tuple) else None
            if partner is None or partner == Partner("", one.part.recording_id):
                continue
            theirs = self._texts.shingles(key)
            if len(mine & theirs) / len(mine) >= self._config.min_shared:
                return [_row(one.part, DUPLICATE, "text", partner, score)]
            return _rows_of_segments(one, theirs, partner, DUPLICATE, score)
        return []

    def _contaminated(self, one: ComparedPart) -> list[Duplicate]:
        found = self._sounding(one, self._eval_sounds, CONTAMINATED)
        mine = one.shingles.unique
        hit = sorted({clip for shingle in mine for clip in self._eval_of.get(shingle, ())})
        for clip in hit:
            partner, theirs = self._eval_texts[clip]
            if len(mine & theirs) >= self._config.min_shared * len(theirs):
                found += _rows_of_segments(one, theirs, partner, CONTAMINATED, containment(mine, theirs), least=1)
        return found

    def _remember(self, one: ComparedPart, partner: Partner) -> None:
        if one.sounds:
            self._sounds.add(partner, one.sounds[0])
        if self._texts is not None and len(one.shingles.unique) >= self._config.min_shingles:
            self._texts.add((partner, one.part.start), one.shingles.unique)

    def _heard(self, ledger: Ledger, stages: Mapping[str, Stage], unit: Unit) -> Iterator[ComparedPart]:
        segments = [s for s in ledger.read(stages["segment"], unit.id) if s.rejection is None]
        consensus: dict[str, Consensus] = {c.segment_id: c for c in ledger.read(stages["reconcile"], unit.id)}
        sounds: dict[str, Fingerprint] = {}
        if self._chromaprint is not None:
            sounds = {f.recording_id: f for f in ledger.read(stages["fingerprint"], unit.id)}
        for part in unit.parts:
            mine = tuple(s for s in segments if s.recording_id == part.recording_id and consensus[s.id].rejection is None)
            texts = [units_of(next(iter(consensus[s.id].normalised), "")) for s in mine]
            values = tuple(map(self._chromaprint.values, sounds[part.recording_id].values)) if self._chromaprint else ()
            yield ComparedPart(part, mine, part_shingles(texts, self._config.shingle), values)

    def _recordings(self, unit: Unit) -> dict[str, Recording]:
        return {r.id: r for r in self._ledger.read(self._stages["recordings"], unit.id)}

    def _add_run(self, root: str) -> None:
        """What another run holds. Raises RunError where it cannot be compared."""
        other = Run(root)
        _, stages = as_written(other)
        needed = [stages[name] for name in ("segment", "reconcile")] + [stages[n] for n in ("fingerprint",) if n in stages]
        if self._chromaprint is not None and "fingerprint" not in stages:
            raise RunError(f"{root} has no fingerprints: give it `duplicates: {{by: [acoustic]}}` and run it again")
        ledger = other.ledger
        for recording in other.listing.each_recording():
            if recording.rejection is None:
                partner = Partner(root, recording.id)
                self._exact.setdefault(recording.id, partner)
                self._exact.setdefault(recording.pcm_sha256 or recording.id, partner)
        for unit in other.listing.each_unit():
            for one in self._heard(ledger, stages, unit) if all(ledger.is_done(stage, unit.id) for stage in needed) else ():
                self._remember(one, Partner(root, one.part.recording_id))

    def _add_evaluation(self, source: str) -> None:
        normalise = Normaliser()
        for clip in clips(source):
            partner = Partner(source, clip.name)
            if clip.audio and self._chromaprint is not None:
                samples = _samples(clip)
                if len(samples) >= self._config.min_seconds * SAMPLE_RATE:
                    self._eval_sounds.add(partner, self._chromaprint.values(self._chromaprint([pcm(samples)])))
            if clip.text:
                shingles = part_shingles([normalise(clip.text, clip.language).units], self._config.shingle).unique
                if shingles:
                    for shingle in shingles:
                        self._eval_of.setdefault(shingle, []).append(len(self._eval_texts))
                    self._eval_texts.append((partner, shingles))


def _row(
    part: Part, reason: str, by: By, partner: Partner, score: float, start: int | None = None, end: int | None = None, *, speed: float | None = None
) -> Duplicate:  # fmt: skip
    first, last = part.start if start is None else start, part.end if end is None else end
    return Duplicate(part.recording_id, first, last - first, reason, by, partner.name, partner.of, round(score, 4), speed)


def _span(match: Match, speed: float, part: Part) -> tuple[int, int]:
    """The matching stretch in samples of the recording: fingerprints taken at a speed run on that speed's clock."""
    first = int(match.first * HOP / speed * SAMPLE_RATE)
    last = int((match.last * HOP + REACH) / speed * SAMPLE_RATE)
    return part.start + max(0, first), min(part.end, part.start + last)


def _rows_of_segments(
    one: ComparedPart, theirs: frozenset[int], partner: Partner, reason: str, score: float, least: int = 2
) -> list[Duplicate]:
    """One row for each segment with enough of the partner's shingles."""
    counts: dict[int, int] = {}
    for shingle, number in zip(one.shingles.shingles, one.shingles.segments, strict=True):
        counts[number] = counts.get(number, 0) + (shingle in theirs)
    rows = []
    for number, count in sorted(counts.items()):
        if count >= least:
            s = one.segments[number]
            rows.append(_row(one.part, reason, "text", partner, score, s.start, s.end))
    return rows


def _samples(clip: EvaluationClip) -> Any:
    if clip.offset is None:
        return read(str(clip.audio))
    import soundfile

    with open(str(clip.audio), "rb") as tar:
        tar.seek(clip.offset)
        samples, _ = soundfile.read(io.BytesIO(tar.read(clip.size)), dtype="float32")
    return np.asarray(samples, np.float32)

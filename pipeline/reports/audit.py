"""`voxmill audit`: given transcripts that the recognisers contradict, the most suspicious first. Memory does not grow with the run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.storage import commit_bytes, commit_file, staged
from voxmill.operators.reconcile.label_doubt import LabelDoubt, doubt_of, fit_doubts
from voxmill.operators.reconcile.normalise import Normaliser
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.reports.audit_calibration import AuditCalibration, fit_audit, load_audit_calibration
from voxmill.pipeline.reports.calibrate import match, read_references
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError

FILE, CALIBRATION = "suspects.jsonl", "audit-calibration.json"
ROWS = 5000
"""Segments that are in memory at once."""
LEAST = 0.05
"""A transcript that is less likely wrong than this is no suspect."""

_COMPARED = """
    SELECT c.segment_id, c.engines, c.normalised, h.said
    FROM consensus AS c JOIN (
        SELECT segment_id, list({engine: engine, confidence: confidence}) AS said FROM hypotheses GROUP BY segment_id
    ) AS h USING (segment_id)
    WHERE list_contains(c.engines, $name) AND len(c.engines) > 1 AND c.agreement IS NOT NULL
"""
_RANKED = """
    SELECT d.segment_id, p.wrong, avg(p.wrong) OVER ranked AS expected_precision, row_number() OVER ranked AS rank
    FROM doubts AS d JOIN probabilities AS p USING (distance, length, disagreement) WHERE p.wrong >= $least
    WINDOW ranked AS (ORDER BY p.wrong DESC, d.distance / d.length DESC, d.segment_id ROWS UNBOUNDED PRECEDING)
"""
_SUSPECTS = f"""
    WITH ranked AS MATERIALIZED ({_RANKED}), said AS (
        SELECT segment_id, list({{engine: engine, text: text}} ORDER BY engine) AS said FROM hypotheses
        WHERE segment_id IN (SELECT segment_id FROM ranked) AND rejection IS NULL GROUP BY segment_id
    )
    SELECT r.rank, r.segment_id, t.recording_id, i.provenance.url AS recording, t.start / 16000 AS start, t.seconds, t.language,
        s.said, r.wrong, r.expected_precision
    FROM ranked AS r JOIN timeline AS t USING (segment_id) JOIN said AS s USING (segment_id)
    JOIN recordings AS i ON i.id = t.recording_id AND i.rejection IS NULL ORDER BY r.rank
"""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A given transcript, what the recognisers heard instead, and how likely it is wrong."""

    rank: int
    segment_id: str
    recording: str
    """Address of the recording."""
    start: float
    """Where it begins (s)."""
    seconds: float
    language: str | None
    given: str
    heard: dict[str, str]
    """By recogniser."""
    wrong: float
    """Probability that the transcript is wrong."""
    expected_precision: float
    """Of all suspects up to this one: the share of them that should be wrong."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit finds. The suspects themselves are in `file`, one JSON object a line; `first` has the first of them."""

    compared: int
    """Given transcripts that a recogniser was compared with."""
    not_compared: dict[str, int]
    """Those that were not, by the reason why."""
    expected_wrong: float
    """How many of the compared ones should be wrong."""
    suspects: int
    """How many are in the file: those that are wrong with a probability of at least `LEAST`."""
    calibrated: bool
    """Whether probabilities rest on a sample that somebody has listened to; else on a model alone."""
    listened: int
    """Transcripts in that sample."""
    file: str
    first: list[Suspect]


def audit(run: Run, config: RunConfig, top: int, reference: Path | None = None) -> Audit:
    """Ranks the given transcripts of a run and writes `RUN/suspects.jsonl`; with a `reference` calibrates first.

    Raises RunError where the run has no given transcripts that can be compared, UserError for a reference that says nothing of them.
    """
    names = [engine.name for kind in ("given", "captions") for engine in config.transcribe if engine.kind == kind]
    name = next(iter(names), None)
    if name is None:
        raise RunError(
            f"{run.root} has no engine of kind `given` or `captions`, so no given transcripts: add {{kind: given, name: given}} to `transcribe` and run again"
        )
    con = open_catalog(run.root)
    counts = _compare(con, name)
    if not counts:
        raise RunError(
            f"{run.root} has no given transcript beside what a recogniser heard: it needs a corpus, one more engine, and a run to `select`"
        )
    model = fit_doubts(counts)
    modelled = {doubt: model.wrong(doubt) for doubt in counts}
    if reference is not None:
        found = _calibrated(con, config, name, reference, modelled)
        commit_bytes(run.uri(CALIBRATION), found.model_dump_json(indent=1).encode(), replace=True)
    calibration = load_audit_calibration(run.uri(CALIBRATION))
    wrong = {doubt: calibration.share(p) if calibration else p for doubt, p in modelled.items()}
    _put(con, "probabilities", [{**asdict(doubt), "wrong": p} for doubt, p in wrong.items()])
    first, number = [], 0
    with staged(run.uri(FILE)) as file:
        for suspect in _suspects(con, name):
            number += 1
            first += [suspect] if number <= top else []
            file.write(json.dumps(asdict(suspect), ensure_ascii=False).encode() + b"\n")
        commit_file(file, run.uri(FILE), replace=True)
    return Audit(
        compared=sum(counts.values()),
        not_compared=_not_compared(con, name),
        expected_wrong=sum(number * wrong[doubt] for doubt, number in counts.items()),
        suspects=number,
        calibrated=calibration is not None,
        listened=calibration.transcripts if calibration else 0,
        file=run.uri(FILE),
        first=first,
    )


def _compare(con: Any, name: str) -> Counter[LabelDoubt]:
    """Fills the table `doubts` and counts equal ones."""
    con.execute("CREATE TABLE doubts (segment_id VARCHAR, distance BIGINT, length BIGINT, disagreement DOUBLE)")
    counts: Counter[LabelDoubt] = Counter()
    for rows in _batches(con, _COMPARED, {"name": name}):
        doubts = [(row["segment_id"], _doubt(row, name)) for row in rows]
        counts.update(doubt for _, doubt in doubts)
        fresh = pa.Table.from_pylist([{"segment_id": key, **asdict(doubt)} for key, doubt in doubts])
        inserting = con.cursor()
        inserting.register("fresh", fresh)
        inserting.execute("INSERT INTO doubts SELECT segment_id, distance, length, disagreement FROM fresh")
    return counts


def _doubt(row: Mapping[str, Any], name: str) -> LabelDoubt:
    texts = dict(zip(row["engines"], row["normalised"], strict=True))
    sure = {one["engine"]: one["confidence"] for one in row["said"]}
    others = [engine for engine in row["engines"] if engine != name]
    return doubt_of(texts[name], [texts[engine] for engine in others], [sure.get(engine) for engine in others])


def _batches(con: Any, sql: str, values: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The rows of a query, some at a time. Meanwhile only cursors may ask the database."""
    reader = con.sql(sql, params=dict(values)).to_arrow_reader(ROWS)
    for batch in reader:
        yield batch.to_pylist()


def _put(con: Any, table: str, rows: list[dict[str, Any]]) -> None:
    con.register("fresh", pa.Table.from_pylist(rows))
    con.execute(f"CREATE TABLE {table} AS FROM fresh")
    con.unregister("fresh")


def _suspects(con: Any, name: str) -> Iterator[Suspect]:
    for rows in _batches(con, _SUSPECTS, {"least": LEAST}):
        for row in rows:
            heard = {one["engine"]: one["text"] for one in row["said"]}
            yield Suspect(
                row["rank"], row["segment_id"], row["recording"], round(row["start"], 3), round(row["seconds"], 3), row["language"],
                heard.pop(name, ""), heard, round(row["wrong"], 4), round(row["expected_precision"], 4),
            )  # fmt: skip


def _not_compared(con: Any, name: str) -> dict[str, int]:
    """Given transcripts by the reason why no recogniser was compared with them."""
    sql = """
        SELECT coalesce(g.reason, 'not heard') AS reason, count(*) AS number FROM given AS g
        LEFT JOIN spans AS s ON s.recording_id = g.recording_id AND s.start = g.start AND s.num_samples = g.num_samples
        LEFT JOIN doubts AS d ON d.segment_id = s.segment_id
        WHERE g.text IS NOT NULL AND d.segment_id IS NULL GROUP BY 1 ORDER BY 2 DESC, 1
    """
    return dict(con.execute(sql).fetchall())


_KNOWN = """
    SELECT d.distance, d.length, d.disagreement, d.segment_id, t.recording_id, t.start, t.num_samples, t.language, h.text, r.provenance.url AS url
    FROM doubts AS d JOIN timeline AS t USING (segment_id) JOIN recordings AS r ON r.id = t.recording_id AND r.rejection IS NULL
    JOIN hypotheses AS h ON h.segment_id = d.segment_id AND h.engine = $name
    WHERE list_has_any($asked, [d.segment_id, t.recording_id, r.provenance.url, string_split(r.provenance.url, '/')[-1]])
    ORDER BY t.recording_id, t.start
"""


def _calibrated(
    con: Any, config: RunConfig, name: str, reference: Path, modelled: Mapping[LabelDoubt, float]
) -> AuditCalibration:
    """Fits the sample: a given transcript is wrong where it differs from what was really said. Raises UserError."""
    utterances = read_references(reference)
    asked = sorted({one.segment_id or one.recording or "" for one in utterances})
    rows = con.sql(_KNOWN, params={"name": name, "asked": asked}).to_arrow_table().to_pylist()
    truths, normaliser = match(rows, utterances), Normaliser(config.reconcile.normalise)
    scores, wrong = [], []
    for row in rows:
        if (truth := truths.get(row["segment_id"])) is not None:
            given, said = normaliser.together([row["text"], " ".join(truth.texts)], row["language"])
            scores.append(modelled[LabelDoubt(row["distance"], row["length"], row["disagreement"])])
            wrong.append(given.units != said.units)
    return fit_audit(scores, wrong)

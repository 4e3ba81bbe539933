"""A made-up run that obeys every schema and invariant: small, varied, the same for the same seed.

It has a source that cannot be listed, an address that comes twice, a page that robots.txt forbids, a file fetched twice, one
wrapped anew, a broken one, a recording long enough for two units, silence, a failed engine, an empty hypothesis, and segments of
every tier.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa

from voxmill.manifests.catalog import connect
from voxmill.manifests.catalog_script import COSTS, catalog_sql
from voxmill.manifests.ids import item_id, segment_id
from voxmill.manifests.parquet import table_bytes
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import (
    SAMPLE_RATE,
    Annotation,
    Consensus,
    Finding,
    Hypothesis,
    Item,
    Labels,
    Licence,
    Mark,
    Opinion,
    Part,
    Provenance,
    Recording,
    Rejection,
    Segment,
    Selection,
    Slot,
    Unit,
    Word,
)  # fmt: skip
from voxmill.manifests.schema import SCHEMA_VERSION, to_table
from voxmill.manifests.tables import RECORDS
from voxmill.manifests.timeline import derive, derived_batches
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.select.select import Select, SelectConfig

ENGINES = ("whisperx", "moonshine")
UNIT_SAMPLES = 120 * SAMPLE_RATE
SELECT = SelectConfig(languages=("en", "zh"), licences=("cc-by-4.0", "cc0-1.0", "unknown"))


@dataclass(frozen=True, repr=False)  # hypothesis would print every record
class MadeUpRun:
    """The records of a run by table, with the unit of each segment, and the rows of the two tables that are no records."""

    tables: Mapping[str, tuple[Any, ...]]
    units_of: Mapping[str, str]
    samples: tuple[dict[str, Any], ...]
    costs: tuple[dict[str, Any], ...]

    def changed(self, **tables: Iterable[Any]) -> MadeUpRun:
        """This run with other records in some tables."""
        return replace(self, tables={**self.tables, **{name: tuple(rows) for name, rows in tables.items()}})

    def arrow(self) -> dict[str, pa.Table]:
        """Every table as the pipeline writes it: with the `unit` of segments and what comes after them."""
        tables = {name: to_table(rows, RECORDS[name]) for name, rows in self.tables.items()}
        for name in ("segments", "hypotheses", "opinions", "labels", "pictures", "selections", "duplicates", "redactions"):
            ids = tables[name][{"segments": "id", "duplicates": "recording_id"}.get(name, "segment_id")].to_pylist()
            tables[name] = tables[name].append_column("unit", pa.array([self.units_of.get(str(i)) for i in ids], pa.string()))
        tables["costs"] = pa.Table.from_pylist(list(self.costs), schema=COSTS)
        if self.samples:
            tables["samples"] = pa.Table.from_pylist(list(self.samples))
        return tables

    def write(self, root: Path, select: SelectConfig = SELECT) -> Path:
        """The tables as Parquet (each in two files where it has two rows), `catalog.sql` and `run.json`, under `root`."""
        (root / "manifests").mkdir(parents=True)
        files: dict[str, list[str]] = {}
        for name, table in self.arrow().items():
            for number, part in enumerate((table.slice(0, len(table) // 2), table.slice(len(table) // 2))):
                files.setdefault(name, []).append(f"manifests/{name}-{number:05d}.parquet")
                (root / files[name][-1]).write_bytes(table_bytes(part))
        for name, table in derived_tables(self.arrow()).items():
            files[name] = [f"manifests/{name}-00000.parquet"]
            (root / files[name][0]).write_bytes(table_bytes(table))
        (root / "catalog.sql").write_text(catalog_sql(files), encoding="utf-8")
        state = {"schema_version": SCHEMA_VERSION, "config": {"select": select.model_dump(mode="json")}}
        (root / "run.json").write_text(json.dumps(state), encoding="utf-8")
        return root


def derived_tables(tables: Mapping[str, pa.Table], own: Mapping[str, pa.Schema] | None = None) -> dict[str, pa.Table]:
    """What the pipeline computes of these tables."""
    con = connect()
    derived = derive(con, {name: con.from_arrow(table) for name, table in tables.items()}, own)
    return {name: pa.concat_tables(derived_batches(name, relation)) for name, relation in derived.items()}


def made_up_run(seed: int = 0, recordings: int = 8, select: SelectConfig = SELECT) -> MadeUpRun:
    """A run over `recordings` good recordings and six sources that go wrong."""
    rng = Random(seed)
    items = [_item(rng, n) for n in range(recordings + 6)]
    items[0] = replace(items[0], rejection=reject("list.unreadable", "HTTP 404"))
    items[1] = replace(items[1], rejection=reject("crawl.duplicate", "the same address"))
    fetched = _fetch(rng, items)
    good = [r for r in fetched if r.rejection is None]
    units = _units(good)
    segments = [s for u in units for p in u.parts for s in _segments(rng, p)]
    units_of = {s.id: u.id for u in units for p in u.parts for s in segments if _in(s, p)}
    speech = [s for s in segments if s.rejection is None]
    hypotheses = [h for s in speech for h in _hypotheses(rng, s)]
    consensus = [_consensus(rng, s, [h for h in hypotheses if h.segment_id == s.id]) for s in speech]
    selections: list[Selection] = []
    for unit in units:
        mine = tuple(s for s in speech if units_of[s.id] == unit.id)
        agreed = tuple(c for c in consensus if units_of[c.segment_id] == unit.id)
        selections += Select(select)(
            UnitInput(unit.id, recordings=tuple(good), parts=unit.parts, segments=mine, consensus=agreed)
        )
    tables: dict[str, Sequence[Any]] = {
        "items": items, "recordings": fetched, "units": units, "segments": segments, "hypotheses": hypotheses,
        "consensus": consensus, "labels": [_labels(rng, s) for s in speech], "selections": selections, "pictures": [], "duplicates": [], "redactions": [],
        "opinions": [o for n, s in enumerate(speech) for o in _opinions(n, s)],
    }  # fmt: skip
    samples = _samples(segments, selections, {r.id: r for r in good})
    return MadeUpRun({k: tuple(v) for k, v in tables.items()}, units_of, samples, _costs(rng, units))


def _item(rng: Random, number: int) -> Item:
    host = rng.choice(("radio.example", "books.example", "talks.example"))
    url = f"https://{host}/{number}.mp3"
    provenance = Provenance(rng.choice(("feeds", "pages")), url, host=host, title=f"Nº {number}", permission="no robots.txt")
    licence = Licence(("cc-by-4.0", "cc0-1.0", "unknown", "cc-by-4.0")[number % 4], "rel=license", "page")
    return Item(item_id(url), provenance, licence, language=rng.choice(("en", "zh", None)), domain=host.partition(".")[0])


def _fetch(rng: Random, items: list[Item]) -> list[Recording]:
    """One recording per item that could be listed. The last four go wrong in ways of their own."""
    made: list[Recording] = []
    for number, item in enumerate(i for i in items if i.rejection is None):
        seconds = 300 if number == 0 else rng.uniform(20, 100)
        ident = sha256(item.id.encode()).hexdigest()
        made.append(
            Recording(
                ident, item.id, item.provenance, item.licence, f"audio/{ident}.mp3", 1000, int(seconds * SAMPLE_RATE), 44_100, 2,
                "mp3", "mp3", rng.choice(("narrow", "wide")), 7_600, sha256(ident.encode()).hexdigest(), item.language, item.domain,
            )
        )  # fmt: skip
    robots, again, wrapped, broken = made[-4:]
    lost: dict[str, Any] = {"audio": None, "num_bytes": 0, "num_samples": 0, "bandwidth": None, "pcm_sha256": None}
    made[-4] = replace(robots, id=robots.item_id, rejection=reject("crawl.robots", "Disallow: /"), **lost)
    made[-3] = replace(again, id=made[1].id, num_samples=made[1].num_samples, rejection=reject("crawl.duplicate", made[1].id))
    made[-2] = replace(wrapped, num_samples=made[2].num_samples, rejection=reject("decode.duplicate", made[2].id))
    made[-1] = replace(broken, num_samples=0, rejection=reject("decode.corrupt", "no frame"))
    return made


def _units(recordings: list[Recording]) -> list[Unit]:
    units: list[Unit] = []
    for recording in recordings:
        starts = range(0, recording.num_samples, UNIT_SAMPLES)
        for start in starts:
            part = Part(recording.id, start, min(UNIT_SAMPLES, recording.num_samples - start))
            units.append(Unit(f"u{len(units):07d}", len(units), 0, (part,)))
    return units


def _segments(rng: Random, part: Part) -> list[Segment]:
    """Speech and silence in turns, from the first sample of the part to its last."""
    segments, at = [], part.start
    while at < part.end:
        reason = rng.choice((None, None, None, "segment.no_speech", "segment.too_short"))
        length = min(part.end - at, int(rng.uniform(2, 15) * SAMPLE_RATE))
        rejection = reject(reason) if reason else None
        ident = segment_id(part.recording_id, at, at + length)
        segments.append(Segment(ident, part.recording_id, at, length, rng.choice((None, 0.0, 0.9)), rejection))
        at += length
    return segments


def _hypotheses(rng: Random, segment: Segment) -> list[Hypothesis]:
    made = []
    for engine in ENGINES:
        if rng.random() < 0.04:
            made.append(Hypothesis(segment.id, engine, "", "", rejection=reject("transcribe.failed", "died twice")))
            continue
        texts = [] if rng.random() < 0.04 else rng.choices(("mill", "grain", "sieve", "麦", "flour"), k=rng.randint(3, 9))
        step = segment.num_samples // max(len(texts), 1)
        words = tuple(
            Word(text, segment.start + i * step, segment.start + (i + 1) * step, round(rng.random(), 3))
            for i, text in enumerate(texts)
        )
        confidence = round(rng.uniform(0.3, 1), 3)
        made.append(Hypothesis(segment.id, engine, "tiny@1", " ".join(texts), words, confidence, "en", 0.9, 0.01))
    return made


def _consensus(rng: Random, segment: Segment, heard: list[Hypothesis]) -> Consensus:
    texts = tuple(h.text for h in heard)
    rejection: Rejection | None = None
    if any(h.rejection for h in heard):
        rejection = reject("reconcile.no_hypothesis")
    elif not all(texts):
        rejection = reject("reconcile.one_empty" if any(texts) else "reconcile.no_text")
    agreement = None if rejection else rng.choice((round(rng.uniform(0.4, 1), 3), 1.0, 0.95, 0.8))
    return Consensus(
        segment.id, texts[0], "first_engine", None if rejection else rng.choice(("en",) * 8 + ("zh", "zh", "fr")), rng.choice((0.5, *(0.95,) * 6, None)),
        agreement, None, "word", ENGINES, texts, "1", (Slot(("mill", None), "mill", True),), 1, rng.choice((None, 0.2, 0.9)),
        round(rng.gauss(14, 4), 2), rng.choice((*(1.2,) * 9, 3.0)), rng.choice((*(1,) * 9, 6)), rejection,
    )  # fmt: skip


def _labels(rng: Random, segment: Segment) -> Labels:
    events = (
        Annotation((Mark("laughter", segment.start, segment.end, 0.7),), "tagger")
        if rng.random() < 0.3
        else Annotation((), "tagger")
    )
    return Labels(segment.id, gender=Annotation((Mark("female"),), "teller", 0.8), sound_events=rng.choice((None, events)))


def _opinions(number: int, segment: Segment) -> tuple[Opinion, ...]:
    """Two labellers: they agree on the language of most segments, and the second is not sure of every fifth."""

    def says(language: str, source: str, confidence: float) -> Annotation:
        return Annotation((Mark(language, confidence=confidence),), source, confidence, f"{source}@1")

    second = Finding("language", None if number % 5 == 4 else says("fr" if number % 7 == 3 else "en", "text_lid", 0.75))
    events = Finding("sound_events", Annotation((), "tagger"))
    return (
        Opinion(segment.id, "tagger", (Finding("language", says("en", "tagger", 0.5)), events)),
        Opinion(segment.id, "text_lid", (second,)),
    )


def _samples(
    segments: list[Segment], selections: list[Selection], recordings: Mapping[str, Recording]
) -> tuple[dict[str, Any], ...]:
    by_id = {s.id: s for s in segments}
    rows = []
    for selection in selections:
        if selection.rejection is None:
            segment = by_id[selection.segment_id]
            licence = recordings[segment.recording_id].licence.name
            rows.append(
                {
                    "shard": f"{selection.split}-{licence}-00000-000", "key": segment.id, "segment_id": segment.id,
                    "recording_id": segment.recording_id, "num_samples": segment.num_samples, "split": selection.split,
                    "licence": licence, "tier": selection.tier,
                }
            )  # fmt: skip
    return tuple(rows)


def _costs(rng: Random, units: list[Unit]) -> tuple[dict[str, Any], ...]:
    stages: list[tuple[str, str | None]] = [
        ("segment", None),
        *(("transcribe", e) for e in ENGINES),
        ("reconcile", None),
        ("select", None),
    ]
    plan = [("group-0", "crawl", None), ("group-0", "decode", None), *((u.id, s, e) for u in units for s, e in stages)]
    return tuple(
        {
            "unit": unit, "stage": stage, "engine": engine, "wall_s": round(rng.uniform(0.1, 5), 3), "cpu_s": round(rng.uniform(0.1, 9), 3),
            "max_rss_bytes": 10**9, "host": "node-1", "device": "0" if engine == "whisperx" else "cpu", "attempts": rng.choice((1, 1, 2)),
        }
        for unit, stage, engine in plan
    )  # fmt: skip


def _in(segment: Segment, part: Part) -> bool:
    return segment.recording_id == part.recording_id and part.start <= segment.start < part.end

"""A made-up run of a million segments that can be looked at: as `outcome_rows.py` makes it, and its labels, hypotheses and slots besides.

What `voxmill view` reads of single segments is written as the pipeline writes it, by `write_chunk`: one file for 4096 units of a stage, in row
groups of 2048 rows. Nobody's audio: the page says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from benchmarks.outcome_rows import PER_UNIT, UNITS, MadeUpChunks
from disagreeing import SAID
from voxmill.manifests.catalog import connect
from voxmill.manifests.catalog_script import identifier, sql_type
from voxmill.manifests.schema import UNIT_INDEX, schema_of
from voxmill.manifests.tables import RECORDS
from voxmill.pipeline.state.chunks import write_chunk
from voxmill.pipeline.state.run_dir import RunDir

PER_CHUNK = UNITS * PER_UNIT
_TEXT = "list_aggregate(list_transform(words, lambda w: coalesce(w, '')), 'string_agg', ' ')"
_SLOT = "{words: [w, CASE WHEN hash(segment_id, i) % 100 > 100 * agreement THEN 'other' ELSE w END], choice: w, tie: false, share: NULL}"

SOURCE = f"""
SELECT *, {[*SAID]!r}::VARCHAR[] AS words, (substr(unit, 2, 7))::BIGINT AS number FROM read_parquet('FILE')
"""
TABLES: dict[str, tuple[str, dict[str, str]]] = {
    "segments": (
        "true",
        {"id": "segment_id", "recording_id": "recording_id", "start": "start", "num_samples": "num_samples", "kind": "kind", "speech": "0.9",
         "rejection": "CASE WHEN NOT speech THEN {reason: reason, detail: ''} END"},
    ),
    "hypotheses": (
        "speech",
        {"segment_id": "segment_id", "engine": "engine", "model": "engine || '@1'", "text": _TEXT, "confidence": "confidence", "language": "language"},
    ),
    "consensus": (
        "speech",
        {"segment_id": "segment_id", "text": _TEXT, "rule": "'most-confident'", "language": "language", "agreement": "agreement", "unit": "'word'",
         "engines": "['whisperx', 'paraformer']", "normalised": f"[{_TEXT}, {_TEXT}]", "normaliser": "'1'",
         "slots": f"list_transform(words, lambda w, i: {_SLOT})", "num_ties": "0", "confidence": "confidence", "chars_per_second": "coalesce(chars_per_second, 0)",
         "compression_ratio": "1.1", "repeated_ngrams": "1", "rejection": "CASE WHEN agreed IS NOT true THEN {reason: reason, detail: ''} END"},
    ),
    "selections": (
        "speech",
        {"segment_id": "segment_id", "tier": "tier", "split": "split", "weight": "1.0", "rejection": "CASE WHEN selected IS NOT true THEN {reason: reason, detail: ''} END"},
    ),
}  # fmt: skip


class ViewedRun(MadeUpChunks):
    """Chunks of a run with everything that a segment's page shows."""

    def __init__(self, root: Path, hosts: int) -> None:
        super().__init__(root, hosts)
        self._dir = RunDir(str(root))

    def add(self, number: int) -> None:
        """Makes and writes chunk `number`."""
        super().add(number)
        con = connect()
        source = SOURCE.replace("FILE", str(self.root / f"manifests/spans-{number:05d}.parquet"))
        for name, (which, given) in TABLES.items():
            schema = schema_of(RECORDS[name])
            columns = ", ".join(f"({given.get(f.name, 'NULL')})::{sql_type(f.type)} AS {identifier(f.name)}" for f in schema)
            unit = "" if "unit" in schema.names else ", unit"
            engines = " CROSS JOIN (VALUES ('whisperx'), ('paraformer')) AS e(engine)" if name == "hypotheses" else ""
            table = con.sql(
                f"SELECT {columns}{unit}, number AS {UNIT_INDEX} FROM ({source}){engines} WHERE {which} ORDER BY number, start"
            ).to_arrow_table()
            units = range(number * UNITS, (number + 1) * UNITS)
            chunk = write_chunk(self._dir, f"{name}/made", units, table.schema, _batches(table), None)
            self.files.setdefault(name, []).append(chunk.rows)
        con.close()


def _batches(table: pa.Table) -> Iterator[pa.Table]:
    for at in range(0, len(table), 16_384):
        yield table.slice(at, 16_384)

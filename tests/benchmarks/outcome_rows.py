"""A made-up run of millions of segments, made by DuckDB chunk by chunk and put through the product's own `derive` and Parquet writer.

Stage tables exist in memory, one chunk of units at a time; what is written is what `stats` reads: items, recordings, units, costs and the
derived tables. Values come from hashes of row numbers: the same in every run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from voxmill.manifests.catalog import connect
from voxmill.manifests.catalog_script import COSTS, catalog_sql, identifier, sql_type
from voxmill.manifests.derived_records import DERIVED
from voxmill.manifests.parquet import table_bytes
from voxmill.manifests.schema import SCHEMA_VERSION, schema_of
from voxmill.manifests.tables import RECORDS
from voxmill.manifests.timeline import derive, derived_batches
from voxmill.operators.select.select import SelectConfig

UNITS = 4096
"""Units of a chunk."""
PER_RECORDING = 4
"""Units of a recording, of ten minutes each."""
PER_UNIT = 17
"""Segments of a unit, silence among them."""
UNIT_SAMPLES = 600 * 16_000
LABELLED = 10
"""Every so manieth unit has labels and opinions: their counts are a few rows whatever their number."""
TIMES = {
    "crawl": 2.0,
    "decode": 1.0,
    "segment": 4.0,
    "transcribe:whisperx": 60.0,
    "transcribe:paraformer": 20.0,
    "reconcile": 0.5,
    "select": 0.1,
}

ROWS = """
CREATE OR REPLACE MACRO chance(what, n) AS (hash(what, n) >> 11)::DOUBLE / (1::UBIGINT << 53)::DOUBLE;
CREATE OR REPLACE MACRO one_of(values, n) AS values[(1 + n % len(values))::BIGINT];
CREATE OR REPLACE MACRO rejected(what, why) AS CASE WHEN what THEN {reason: why, detail: ''} END;
CREATE OR REPLACE TEMP TABLE listed AS
SELECT range AS n, sha256('recording ' || range) AS id, sha256('item ' || range) AS item_id,
    'source-' || (range % 7) AS source, 'h' || (hash('host', range) % $hosts) || '.example' AS host,
    one_of(['cc-by-4.0', 'cc0-1.0', 'unknown', 'cc-by-4.0'], range) AS licence,
    one_of(['podcast', 'audiobook', 'broadcast', 'lecture', NULL], hash('domain', range)) AS domain,
    one_of(['en', 'zh', NULL], hash('hint', range)) AS language, one_of(['narrow', 'wide', 'wide'], hash('band', range)) AS bandwidth,
    -- three of a hundred come to nothing
    CASE WHEN range % 100 = 99 THEN 'crawl.robots' WHEN range % 100 = 98 THEN 'crawl.network' WHEN range % 100 = 97 THEN 'decode.corrupt' END
        AS lost
FROM range($first_listed, $end_listed);
CREATE OR REPLACE TEMP TABLE good AS
SELECT *, row_number() OVER (ORDER BY n) - 1 + $first_recording AS place FROM listed WHERE lost IS NULL QUALIFY place < $end_recording;
CREATE OR REPLACE TEMP TABLE cut AS
SELECT u.range AS number, format('u{:07d}-{}', u.range, left(g.id, 8)) AS unit, g.id AS recording_id,
    (u.range % $per_recording) * $unit_samples AS origin, s.range AS place, u.range * $per_unit + s.range AS n
FROM range($first_unit, $end_unit) AS u JOIN good AS g ON g.place = u.range // $per_recording CROSS JOIN range($per_unit) AS s;
CREATE OR REPLACE TEMP TABLE spanned AS
WITH begun AS (
    SELECT *, (CASE WHEN place = 0 THEN 0 ELSE (place + 0.8 * (chance('start', n) - 0.5)) / $per_unit END * $unit_samples)::BIGINT AS offset_in_unit FROM cut
), ended AS (SELECT *, lead(offset_in_unit, 1, $unit_samples::BIGINT) OVER (PARTITION BY unit ORDER BY place) AS until FROM begun)
SELECT n, number, unit, recording_id, origin + offset_in_unit AS start, until - offset_in_unit AS num_samples,
    format('{}-{:010d}-{:010d}', left(recording_id, 24), origin + offset_in_unit, origin + until) AS id,
    chance('speech', n) < 0.85 AS speech, chance('agreed', n) AS luck, 1 - power(chance('agreement', n), 3) AS agreement,
    one_of(['en', 'en', 'en', 'zh', 'zh', 'yue', 'de'], hash('language', n)) AS language
FROM ended;
CREATE OR REPLACE TEMP TABLE judged AS
SELECT *, CASE WHEN luck < 0.004 THEN 'reconcile.no_hypothesis' WHEN luck < 0.05 THEN 'reconcile.one_empty' END AS unheard,
    CASE WHEN agreement < 0.6 THEN 'select.low_agreement' WHEN agreement < 0.8 THEN 'select.unlabelled'
        WHEN chance('rate', n) < 0.02 THEN 'select.speech_rate' WHEN language = 'de' THEN 'select.language' END AS refused
FROM spanned WHERE speech;
"""

TABLES = {
    "units": """SELECT unit AS id, any_value(number)::BIGINT AS position, 0::BIGINT AS generation,
        [{recording_id: any_value(recording_id), start: any_value(origin)::BIGINT, num_samples: $unit_samples::BIGINT}] AS parts
        FROM cut GROUP BY unit ORDER BY unit""",
    "segments": """SELECT id, recording_id, start, num_samples, chance('p', n) AS speech, 'speech' AS kind,
        rejected(NOT speech, 'segment.no_speech') AS rejection, unit FROM spanned""",
    "hypotheses": """SELECT id AS segment_id, e.engine,
        rejected(unheard = 'reconcile.no_hypothesis' AND e.engine = 'paraformer', 'transcribe.failed') AS rejection, unit
        FROM judged CROSS JOIN (VALUES ('whisperx'), ('paraformer')) AS e(engine)""",
    "consensus": """SELECT id AS segment_id, CASE WHEN unheard IS NULL THEN language END AS language, 0.7 + 0.3 * chance('sure', n) AS language_confidence,
        CASE WHEN unheard IS NULL THEN agreement END AS agreement, chance('confidence', n) AS confidence, 10 + 8 * chance('pace', n) AS chars_per_second,
        1 + chance('zip', n) AS compression_ratio, one_of([1, 2, 3, 4], hash('loop', n))::BIGINT AS repeated_ngrams,
        CASE WHEN n % 50 = 0 THEN '1+digits-as-written' ELSE '1' END AS normaliser, rejected(unheard IS NOT NULL, unheard) AS rejection,
        NULL::STRUCT(words VARCHAR[])[] AS slots FROM judged""",
    "selections": """SELECT id AS segment_id, CASE WHEN unheard IS NOT NULL OR refused IS NOT NULL THEN 'rejected' WHEN agreement >= 0.95 THEN 'high' ELSE 'weak' END AS tier,
        one_of(['train', 'train', 'train', 'dev', 'test'], hash('split', recording_id)) AS split, NULL::DOUBLE AS expected_error,
        rejected(coalesce(unheard, refused) IS NOT NULL, coalesce(unheard, refused)) AS rejection, unit FROM judged""",
    "samples": """SELECT id AS segment_id, num_samples FROM judged WHERE unheard IS NULL AND refused IS NULL""",
    "labels": """SELECT id AS segment_id, {marks: [{value: 'overall', score: 2 + 2 * chance('mos', n)}]} AS quality,
        {marks: [{value: 'A'}, {value: one_of(['A', 'B'], n)}]} AS speaker_turns FROM judged WHERE number % $labelled = 0""",
    "opinions": """SELECT id AS segment_id, unit, l.labeller, NULL::STRUCT(reason VARCHAR) AS rejection,
        [{task: 'language', annotation: {marks: [{value: CASE WHEN n % 9 = 0 AND l.labeller = 'text_lid' THEN 'fr' ELSE language END}],
            confidence: chance('lid', n), model: l.labeller || '@1'}, reason: NULL::VARCHAR}] AS findings
        FROM judged CROSS JOIN (VALUES ('tagger'), ('text_lid')) AS l(labeller) WHERE number % $labelled = 0""",
    "costs": """SELECT unit, split_part(stage, ':', 1) AS stage, nullif(split_part(stage, ':', 2), '') AS engine, seconds * (0.5 + chance(stage, number)) AS wall_s,
        seconds AS cpu_s, 2000000000 AS max_rss_bytes, 'node-' || (number % 16) AS host,
        CASE WHEN stage LIKE 'transcribe:%' THEN 'cuda' ELSE 'cpu' END AS device, (1 + (hash(stage, number) % 200 = 0)::INT)::BIGINT AS attempts
        FROM (SELECT DISTINCT number, unit FROM cut WHERE number < $end_unit) CROSS JOIN stages""",
}  # fmt: skip
"""Columns that the derived tables are made of; a real run has more, which are not read."""


class MadeUpChunks:
    """Chunks of a run under `root`, written one after the other."""

    def __init__(self, root: Path, hosts: int) -> None:
        self.root, self._hosts = root, hosts
        self.files: dict[str, list[str]] = {}
        self.segments = 0
        (root / "manifests").mkdir(parents=True)

    def add(self, number: int) -> None:
        """Makes and writes chunk `number`."""
        con = connect()
        recordings = UNITS // PER_RECORDING
        whole = recordings * 100 // 97 + 4  # of those listed, 97 of a hundred are good
        values = {
            "hosts": self._hosts, "first_listed": number * whole, "end_listed": (number + 1) * whole, "first_recording": number * recordings,
            "end_recording": (number + 1) * recordings, "first_unit": number * UNITS, "end_unit": (number + 1) * UNITS,
            "per_recording": PER_RECORDING, "per_unit": PER_UNIT, "unit_samples": UNIT_SAMPLES, "labelled": LABELLED,
        }  # fmt: skip
        stages = ", ".join(f"('{stage}', {seconds}::DOUBLE)" for stage, seconds in TIMES.items())
        con.execute(f"CREATE TEMP TABLE stages AS FROM (VALUES {stages}) AS stages(stage, seconds)")
        con.execute(_filled(ROWS, values))
        made = {name: con.sql(_filled(sql, values)).to_arrow_table() for name, sql in TABLES.items()}
        listed = self._listing(con)
        costs = made.pop("costs").select(COSTS.names).cast(COSTS)
        units = made["units"].cast(schema_of(RECORDS["units"]))
        self.segments += len(made["segments"])
        con.close()
        con = connect()
        sources = {name: con.from_arrow(table) for name, table in (made | listed).items()}
        derived = derive(con, sources)
        for name, relation in derived.items():
            table = pa.concat_tables(derived_batches(name, relation)).combine_chunks()
            if len(table) or name == "spans":
                self._write(name, number, table)
        for name, table in (listed | {"units": units, "costs": costs}).items():
            self._write(name, number, table)

    def copy(self, number: int, of: int) -> None:
        """Writes chunk `number` as chunk `of` under other ids: what a query reads is as large, and as varied."""
        con = connect()
        ids = {
            "recording_id": "sha256(recording_id || $n)",
            "unit": f"'u' || lpad((substr(unit, 2, 7)::INT + {number * UNITS})::VARCHAR, 8, '0')",
        }
        changes = {
            "spans": {**ids, "segment_id": "left(sha256(recording_id || $n), 24) || substr(segment_id, 25)"},
            "recordings": {"id": "sha256(id || $n)", "item_id": "sha256(item_id || $n)"},
            "items": {"id": "sha256(id || $n)"},
            "units": {
                "id": ids["unit"].replace("unit", "id"), "position": f"position + {number * UNITS}",
                "parts": "list_transform(parts, lambda p: {recording_id: sha256(p.recording_id || $n), start: p.start, num_samples: p.num_samples})",
            },
            "costs": {"unit": ids["unit"]},
        }  # fmt: skip
        for name in list(self.files):
            path = self.root / f"manifests/{name}-{of:05d}.parquet"
            if path.exists():
                change = ", ".join(f"{sql} AS {column}" for column, sql in changes.get(name, {}).items())
                table = con.sql(
                    f"SELECT * {'REPLACE (' + change + ')' if change else ''} FROM read_parquet('{path}')".replace(
                        "$n", f"'{number}'"
                    )
                )
                self._write(name, number, table.to_arrow_table())
        (segments,) = con.execute(
            f"SELECT count(*) FROM read_parquet('{self.root}/manifests/spans-{of:05d}.parquet')"
        ).fetchone()
        self.segments += segments

    def close(self) -> None:
        """Writes `catalog.sql` and `run.json`."""
        select = SelectConfig(languages=("en", "zh", "yue"), licences=("cc-by-4.0", "cc0-1.0", "unknown"))
        state = {"schema_version": SCHEMA_VERSION, "config": {"select": select.model_dump(mode="json")}}
        (self.root / "run.json").write_text(json.dumps(state), encoding="utf-8")
        (self.root / "catalog.sql").write_text(catalog_sql(self.files), encoding="utf-8")

    def _listing(self, con: Any) -> dict[str, pa.Table]:
        provenance = {"source": "source", "url": "'https://' || host || '/' || n || '.mp3'", "host": "host"}
        licence = {"name": "licence", "source": "'page'"}
        of_recording = {
            "id": "CASE WHEN lost LIKE 'crawl.%' THEN item_id ELSE id END", "item_id": "item_id", "audio": "'audio/' || id", "num_bytes": "40000000",
            "num_samples": f"CASE WHEN lost LIKE 'crawl.%' THEN 0 ELSE {PER_RECORDING * UNIT_SAMPLES} END", "bandwidth": "bandwidth",
            "language": "language", "domain": "domain", "rejection": "rejected(lost IS NOT NULL, lost)", "lost_samples": "0", "silent_samples": "0",
        }  # fmt: skip
        of_item = {"id": "item_id", "kind": "'http'", "language": "language", "domain": "domain"}
        found = {}
        for name, given in (("recordings", of_recording), ("items", of_item)):
            schema = schema_of(RECORDS[name])
            columns = given | {
                "provenance": _struct(schema.field("provenance").type, provenance), "licence": _struct(schema.field("licence").type, licence)
            }  # fmt: skip
            sql = ", ".join(f"({columns.get(f.name, 'NULL')})::{sql_type(f.type)} AS {identifier(f.name)}" for f in schema)
            found[name] = con.sql(f"SELECT {sql} FROM listed WHERE n <= (SELECT max(n) FROM good) ORDER BY n").to_arrow_table()
        return found

    def _write(self, name: str, number: int, table: pa.Table) -> None:
        path = f"manifests/{name}-{number:05d}.parquet"
        if name in DERIVED:
            table = table.cast(schema_of(DERIVED[name]))
        (self.root / path).write_bytes(table_bytes(table))
        self.files.setdefault(name, []).append(path)


def _struct(kind: Any, given: Mapping[str, str]) -> str:
    fields: Iterator[str] = (f"{identifier(f.name)}: ({given.get(f.name, 'NULL')})::{sql_type(f.type)}" for f in kind)
    return "{" + ", ".join(fields) + "}"


def _filled(sql: str, values: Mapping[str, int]) -> str:
    for name in sorted(values, key=len, reverse=True):
        sql = sql.replace(f"${name}", str(values[name]))
    return sql

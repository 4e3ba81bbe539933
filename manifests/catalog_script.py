"""The SQL script that makes the views of a run over its tables: kept as `RUN/catalog.sql`, and executed by whoever opens the run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from voxmill.manifests.derived_records import DERIVED
from voxmill.manifests.reasons import REASONS, Reason
from voxmill.manifests.schema import schema_of
from voxmill.manifests.tables import RECORDS, TABLES


def _columns(text: str = "", whole: str = "", real: str = "") -> list[pa.Field[Any]]:
    kinds = ((text, pa.string()), (whole, pa.int64()), (real, pa.float64()))
    return [pa.field(name, kind) for names, kind in kinds for name in names.split()]


SAMPLES: pa.Schema = pa.schema(_columns("shard key segment_id recording_id split licence tier", "num_samples"))
"""What the views need of the table of packed samples; it may have more."""

UNPACKED: pa.Schema = pa.schema(_columns("segment_id reason detail"))
"""Samples that were selected and could not be packed."""

COSTS: pa.Schema = pa.schema(_columns("unit stage engine host device", "max_rss_bytes attempts", "wall_s cpu_s"))
"""What one stage spent on one unit. Crawling and decoding have units of their own: groups of listed items."""

FILES = "-- files: "
"""How the first line of a catalog begins; the rest of it is JSON."""


def table_schemas() -> dict[str, pa.Schema]:
    """The columns of every table of a run."""
    schemas = {name: schema_of(record) for name, record in RECORDS.items()}
    for table in TABLES:
        if table.adds_unit:
            schemas[table.name] = schemas[table.name].append(pa.field("unit", pa.string()))
    derived = {name: schema_of(record) for name, record in DERIVED.items()}
    return {**schemas, "samples": SAMPLES, "unpacked": UNPACKED, "costs": COSTS, **derived}


_REMOTE_USAGE = """\
-- This run lies in a bucket. Copy this file anywhere, start `duckdb`, and
--     INSTALL httpfs; LOAD httpfs;
--     CREATE SECRET (TYPE s3, PROVIDER credential_chain);   -- after INSTALL aws; LOAD aws; or: (TYPE s3, KEY_ID '…', SECRET '…')
--     .read catalog.sql
-- A store of your own also needs ENDPOINT 'host:port', URL_STYLE 'path' and USE_SSL false|true in the secret; gs:// needs TYPE gcs
-- with an HMAC key. https://duckdb.org/docs/stable/core_extensions/httpfs/s3api says more.
"""


def catalog_sql(files: Mapping[str, Sequence[str]], own: Mapping[str, pa.Schema] | None = None, root: str = "") -> str:
    """The script that makes a run's views, for `cd RUN && duckdb -init catalog.sql`.

    `files` holds the Parquet files of each table, relative to the run; a table without files is an empty view. Where `spans` has none,
    the tables that are derived from others are views as well. `own` holds the schemas of the tables of the user's own stages, which
    are files of the run too. With the `root` of a run in a bucket (`s3://…`, `gs://…`) the views read from there, wherever the script
    itself lies.
    """
    own = own or {}
    listed = {name: list(files.get(name, ())) for name in (*table_schemas(), *own)}
    base, usage = (f"{root.rstrip('/')}/", _REMOTE_USAGE) if "://" in root and not root.startswith("file:") else ("", "")
    sources = {name: parquet_source([base + path for path in paths]) for name, paths in listed.items() if paths}
    return f"{FILES}{json.dumps(listed)}\n{usage}" + views_script(sources, own, f"read_text({quoted(base + 'run.json')})")


def views_script(
    sources: Mapping[str, str],
    own: Mapping[str, pa.Schema],
    run: str,
    told: Mapping[str, Reason] | None = None,
    asked: Sequence[str] = (),
) -> str:
    """The views over `sources` (table to what it selects from; the others are empty).

    `told`: reasons that the run itself states, of the user's own stages. `asked`: the only queries that there will be, where they are
    known; views that they do not need are left out.
    """
    written = "spans" in sources
    names = [name for name in (*table_schemas(), *own) if written or name not in DERIVED]
    rows = ",\n    ".join(
        f"({', '.join(map(quoted, (r.name, r.stage, r.meaning, r.advice)))})" for r in {**(told or {}), **REASONS}.values()
    )
    statements = [
        *_tables({name: sources.get(name) for name in names}, own),
        f"CREATE OR REPLACE VIEW run AS FROM {run};",
        f"CREATE OR REPLACE VIEW reasons AS FROM (VALUES\n    {rows}\n) AS reasons(reason, stage, meaning, advice);\n",
        *(one for file in ("labels", *(() if written else ("derived",)), "catalog") for one in _statements(file)),
    ]
    return "\n".join(_needed(statements, asked) if asked else statements)


def tables_script(sources: Mapping[str, str | None], own: Mapping[str, pa.Schema]) -> str:
    """A view for each table over what it selects from (None: no rows), and `own_rows` over those of the user's own stages."""
    return "\n".join(_tables(sources, own))


def _tables(sources: Mapping[str, str | None], own: Mapping[str, pa.Schema]) -> Iterator[str]:
    for name, source in sources.items():
        yield f"CREATE OR REPLACE VIEW {identifier(name)} AS FROM {source or _nothing(name)};"
    yield f"CREATE OR REPLACE VIEW own_rows AS {_own_rows(own)};"


def _needed(statements: Sequence[str], asked: Iterable[str]) -> list[str]:
    """Those that make something whose name occurs in a query, or in another of them. A name that means something else does no harm."""
    made = {one: _made(one) for one in statements}
    words, found = set(_WORD.findall(" ".join(asked))), dict[str, None]()
    while more := [one for one, name in made.items() if one not in found and words.issuperset(name)]:
        found |= dict.fromkeys(more)
        words.update(word for one in more for word in _WORD.findall(_COMMENT.sub("", one)))
    return [one for one in statements if one in found]


_WORD, _COMMENT, _MADE = (
    re.compile(r"\w+"),
    re.compile(r"(?m)^ *--.*$"),
    re.compile(r'(?m)^CREATE OR REPLACE \w+ (\w+|(?:"[^"]*")+)'),
)


def _made(statement: str) -> list[str]:
    """The words in the name of what a statement makes."""
    found = _MADE.search(statement)
    return _WORD.findall(found[1]) if found else []


@cache
def _statements(name: str) -> tuple[str, ...]:
    """A script beside this module, one statement after the other, each with the comment above the next."""
    return tuple(re.split(r"\n(?=CREATE OR REPLACE )", sql_file(name)))


@cache
def sql_file(name: str) -> str:
    """The text of a script beside this module."""
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")


def parquet_source(paths: Sequence[str]) -> str:
    """What a view over Parquet files selects from."""
    return f"read_parquet([{', '.join(map(quoted, paths))}])"


def _own_rows(own: Mapping[str, pa.Schema]) -> str:
    """The verdicts of the user's own stages, as one query: (stage, segment_id, kept, reason)."""
    queries = [
        "SELECT NULL::VARCHAR AS stage, NULL::VARCHAR AS segment_id, NULL::BOOLEAN AS kept, NULL::VARCHAR AS reason WHERE false"
    ]
    for name, schema in own.items():
        verdict = "rejection IS NULL, rejection.reason" if "rejection" in schema.names else "true, NULL"
        queries.append(f"SELECT {quoted(name)}, segment_id, {verdict} FROM {identifier(name)}")
    return " UNION ALL ".join(queries)


def _nothing(name: str) -> str:
    """No rows, with the columns of a table."""
    columns = ", ".join(f"NULL::{sql_type(field.type)} AS {identifier(field.name)}" for field in table_schemas()[name])
    return f"(SELECT {columns} WHERE false)"


def sql_type(arrow: pa.DataType) -> str:
    """The DuckDB type of an Arrow type that records use.

    >>> sql_type(pa.list_(pa.struct([("a", pa.int64())])))
    'STRUCT("a" BIGINT)[]'
    """
    if pa.types.is_list(arrow):
        return sql_type(arrow.value_type) + "[]"
    if pa.types.is_struct(arrow):
        return f"STRUCT({', '.join(f'{identifier(f.name)} {sql_type(f.type)}' for f in arrow)})"
    return {pa.string(): "VARCHAR", pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}[arrow]


def quoted(text: str) -> str:
    """A SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A SQL name, quoted."""
    return '"' + name.replace('"', '""') + '"'

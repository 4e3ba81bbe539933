"""The tables that are derived from others (`spans`, `fates`, `violations`, `label_counts`), computed once, when tables are written.

They answer nearly every question that is asked of a run by reading a few columns of one table: no query joins on ids. What is computed
of a chunk of units depends on the rows of these units alone, so more units leave what is there as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from voxmill.manifests.catalog_script import sql_file, table_schemas, tables_script
from voxmill.manifests.derived_records import DERIVED
from voxmill.manifests.ids import digest
from voxmill.manifests.schema import SCHEMA_VERSION, schema_of

INPUTS = frozenset(
    {"segments", "hypotheses", "consensus", "selections", "opinions", "labels", "units", "recordings", "samples", "unpacked"}
)
"""The tables that the derived ones are computed from, beside those of the user's own stages."""

RULES = digest(
    [str(SCHEMA_VERSION), sql_file("labels"), sql_file("derived"), *(str(schema_of(one)) for one in DERIVED.values())]
)
"""Changes whenever other rows would come of the same tables."""


def derive(con: Any, sources: Mapping[str, Any], own: Mapping[str, pa.Schema] | None = None) -> dict[str, Any]:
    """The derived tables of a chunk of units, as DuckDB relations by name, each in a fixed order of rows.

    `con` is a DuckDB connection (see `connect`) that is used for this alone: views and temporary tables are made in it, and what it made
    before is replaced, so read one answer before asking for the next. `sources` holds the relations of the chunk: `units`, the
    `recordings` of their parts (others do no harm), the `samples` and `unpacked` of their segments, and every table of their stages;
    a table that is missing has no rows. `own` holds the schemas of the tables of the user's own stages, which are in `sources` as well.
    """
    for name, relation in sources.items():
        relation.create_view(name, replace=True)
    missing = [name for name in table_schemas() if name not in sources and name not in DERIVED]
    con.execute(tables_script(dict.fromkeys(missing), own or {}))
    con.execute(sql_file("labels"))
    con.execute(sql_file("derived").replace("CREATE OR REPLACE VIEW", "CREATE OR REPLACE TEMP TABLE"))
    return {name: con.table(name) for name in DERIVED}


def derived_batches(name: str, relation: Any, rows: int = 100_000) -> Iterator[pa.Table]:
    """A derived table as Arrow tables of so many rows, with the schema of its records. The first has no rows: there is always one."""
    schema = schema_of(DERIVED[name])
    yield schema.empty_table()
    for batch in relation.to_arrow_reader(rows):
        yield pa.Table.from_batches([batch]).cast(schema)

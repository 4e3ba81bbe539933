"""Rows that an older version of voxmill wrote, beside rows of today: a run that goes on after an upgrade has both in one chunk."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from voxmill.manifests.schema import UNIT_INDEX, migrate, record_types


def newest_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The schema of the latest version among those of the tables of one chunk; the first one where they state none."""
    return max(schemas, key=lambda schema: int((schema.metadata or {}).get(b"voxmill.schema_version", b"0")))


def to_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of `schema`, migrated where an older version of its record wrote it; unchanged otherwise."""
    if table.schema.equals(schema):
        return table
    name = (table.schema.metadata or {}).get(b"voxmill.record", b"").decode()
    record = next((one for one in record_types() if one.__name__ == name), None)
    if record is None:  # of a stage of the user's own, which has versions of its own
        return table
    moved = migrate(table, record, f"a chunk of {name} records")
    return moved.append_column(schema.field(UNIT_INDEX), table[UNIT_INDEX]).select(schema.names)

"""One Arrow schema per record type, derived from its dataclass; and records to and from Arrow tables, strictly."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

from voxmill.manifests import records
from voxmill.manifests.errors import UserError

SCHEMA_VERSION = 4
"""Raised by one when a record changes; `MIGRATIONS` then says how an older table becomes a newer one."""

MIGRATIONS: dict[tuple[str, int], Callable[[pa.Table], pa.Table]] = {}
"""(record name, version it is migrated *from*) -> table of the next version. Records that did not change need no entry."""

UNIT_INDEX = "unit_index"
"""Column of a run's tables beside the fields of their records: the position of the unit (or group of items) in the run."""

Record = TypeVar("Record")
_SCALARS: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


class SchemaError(UserError):
    """A table does not hold the records it should; the message names the file, the difference and the fix."""


@cache
def schema_of(record: type) -> pa.Schema:
    """The Arrow schema of a record type. Fields that may be None are nullable; all others are not."""
    meta: dict[bytes | str, bytes | str] = {"voxmill.record": record.__name__, "voxmill.schema_version": str(SCHEMA_VERSION)}
    return pa.schema(_fields(record), metadata=meta)


def to_table(rows: Iterable[Any], record: type) -> pa.Table:
    """Records as a table of exactly `schema_of(record)`. Raises SchemaError where a value does not fit its type."""
    plain = [_plain(row) for row in rows]
    try:
        return pa.Table.from_pylist(plain, schema=schema_of(record))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SchemaError(f"a {record.__name__} does not fit its schema: {error}") from error


def from_table(table: pa.Table, record: type[Record], where: str = "table") -> list[Record]:
    """The records of a table. Raises SchemaError on a missing, unknown or differently typed field."""
    check_schema(table.schema, record, where)
    build: Callable[[Any], Record] = _builder(record)  # type: ignore[arg-type]
    return [build(row) for row in table.to_pylist()]


def check_schema(schema: pa.Schema, record: type, where: str) -> None:
    """Raises SchemaError, naming each difference, unless the schema is that of the record. `where` is for the message."""
    want = schema_of(record)
    if schema.equals(want, check_metadata=False):
        return
    names, wanted = set(schema.names), set(want.names)
    notes = [f"missing {sorted(wanted - names)}"] if wanted - names else []
    notes += [f"unknown {sorted(names - wanted)}"] if names - wanted else []
    notes += [
        f"{n} is {schema.field(n)}, expected {want.field(n)}"
        for n in sorted(names & wanted)
        if not schema.field(n).equals(want.field(n))
    ]
    raise SchemaError(f"{where} does not hold {record.__name__} records: {'; '.join(notes) or 'fields are in another order'}")


def migrate(table: pa.Table, record: type, where: str) -> pa.Table:
    """A table of an older schema version brought to this one, without the column `unit_index`; a newer version is refused."""
    meta = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    if UNIT_INDEX in table.column_names:
        table = table.drop_columns([UNIT_INDEX])
    name, version = meta.get("voxmill.record"), meta.get("voxmill.schema_version")
    if name is None or version is None:
        raise SchemaError(f"{where} was not written by voxmill (no schema version in its metadata)")
    if name != record.__name__:
        raise SchemaError(f"{where} holds {name} records, not {record.__name__}")
    for old in range(check_version(version, where), SCHEMA_VERSION):
        step = MIGRATIONS.get((name, old))
        table = step(table) if step else table
    return table


def check_version(stated: object, where: str) -> int:
    """Returns the version where it can be read. Raises SchemaError where a newer voxmill wrote it, or it is none."""
    try:
        version: int = int(stated)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        raise SchemaError(f"{where} does not say its schema version ({stated!r}): it is damaged, or not ours") from None
    if version > SCHEMA_VERSION:
        raise SchemaError(
            f"{where} has schema version {version}, this voxmill reads up to {SCHEMA_VERSION}: "
            "upgrade voxmill, or use a new run directory"
        )
    return version


def record_types() -> list[type]:
    """Every record type that is written to a file of its own."""
    return [
        records.Item, records.Recording, records.Segment, records.Hypothesis,
        records.Consensus, records.Labels, records.Pictures, records.Selection, records.Unit,
    ]  # fmt: skip


def _fields(record: type) -> list[pa.Field[Any]]:
    hints = get_type_hints(record)
    return [_field(f.name, hints[f.name]) for f in fields(record)]


def _field(name: str, hint: Any) -> pa.Field[Any]:
    inner, nullable = _optional(hint)
    return pa.field(name, _arrow_type(inner), nullable=nullable)


def _arrow_type(hint: Any) -> pa.DataType:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if get_origin(hint) is Literal:
        return pa.string()
    if get_origin(hint) is tuple:
        return pa.list_(_field("element", get_args(hint)[0]))
    if is_dataclass(hint):
        return pa.struct(_fields(hint))  # type: ignore[arg-type]
    raise TypeError(f"no Arrow type for {hint!r}")


def _optional(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, types.UnionType):
        inner = [a for a in get_args(hint) if a is not type(None)]
        if len(inner) != 1:
            raise TypeError(f"only `X | None` is allowed in a record, not {hint!r}")
        return inner[0], True
    return hint, False


def _plain(value: Any) -> Any:
    """Records to dicts, tuples to lists (dataclasses.asdict deep-copies and is several times slower)."""
    if isinstance(value, (str, int, float, type(None))):
        return value
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return {f: _plain(getattr(value, f)) for f in value.__dataclass_fields__}


def plain(row: Any) -> dict[str, Any]:
    """A record as nested dicts and lists, ready for JSON."""
    result: dict[str, Any] = _plain(row)
    return result


@cache
def _builder(hint: Any) -> Callable[[Any], Any]:
    """A function that turns Arrow's Python values back into what `hint` says."""
    inner, nullable = _optional(hint)
    if nullable:
        build = _builder(inner)
        return lambda value: None if value is None else build(value)
    if get_origin(inner) is tuple:
        each = _builder(get_args(inner)[0])
        return lambda value: tuple(map(each, value))
    if is_dataclass(inner):
        hints = get_type_hints(inner)
        parts = [(f.name, _builder(hints[f.name]), f.default is not MISSING) for f in fields(inner)]
        return lambda value: inner(  # type: ignore[operator]
            **{name: build(value[name]) for name, build, has_default in parts if not has_default or name in value}
        )
    return _same


def _same(value: Any) -> Any:
    return value


def from_plain(row: dict[str, Any], record: type[Record]) -> Record:
    """The inverse of `plain`. A field that came later takes its default. Raises KeyError where one without a default is missing."""
    result: Record = _builder(record)(row)  # type: ignore[arg-type]
    return result


def with_defaults(record: type) -> Callable[[pa.Table], pa.Table]:
    """A migration for a version that only added fields: they take their defaults. Columns beside the record's stay."""

    def fill(table: pa.Table) -> pa.Table:
        filled = to_table((from_plain(row, record) for row in table.to_pylist()), record)
        for name in set(table.column_names) - set(filled.column_names):
            filled = filled.append_column(name, table[name])
        return filled

    return fill


_GREW_IN_2 = (records.Segment, records.Labels, records.Consensus, records.Selection)
_GREW_IN_3 = (records.Recording,)
_GREW_IN_4 = (records.Item, records.Recording)
MIGRATIONS.update({(record.__name__, 1): with_defaults(record) for record in _GREW_IN_2})
MIGRATIONS.update({(record.__name__, 2): with_defaults(record) for record in _GREW_IN_3})
MIGRATIONS.update({(record.__name__, 3): with_defaults(record) for record in _GREW_IN_4})

__all__: Sequence[str] = (
    "SCHEMA_VERSION", "SchemaError", "check_schema", "check_version", "from_plain", "from_table",
    "migrate", "plain", "record_types", "schema_of", "to_table", "with_defaults",
)  # fmt: skip

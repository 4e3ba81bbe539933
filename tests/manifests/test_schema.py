from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.manifests import schema
from voxmill.manifests.records import Annotation, Hypothesis, Labels, Mark, Segment, Unit
from voxmill.manifests.schema import (
    MIGRATIONS,
    SCHEMA_VERSION,
    SchemaError,
    check_schema,
    check_version,
    from_plain,
    from_table,
    migrate,
    plain,
    record_types,
    schema_of,
    to_table,
)  # fmt: skip

from .strategies import records_of

GOLDEN = Path(__file__).parent / "golden"
SEGMENT = Segment("a-0000000000-0000016000", "a", 0, 16_000, 0.9)


@pytest.mark.parametrize("record", record_types(), ids=lambda r: r.__name__)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_records_survive_the_way_through_arrow(record: type, data: st.DataObject) -> None:
    rows = data.draw(st.lists(records_of(record), max_size=3))
    table = to_table(rows, record)
    assert table.schema.equals(schema_of(record), check_metadata=True)
    assert from_table(table, record) == rows


@pytest.mark.parametrize("record", record_types(), ids=lambda r: r.__name__)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_records_survive_the_way_through_json(record: type, data: st.DataObject) -> None:
    row = data.draw(records_of(record))
    assert from_plain(json.loads(json.dumps(plain(row))), record) == row


def test_unlabelled_is_not_labelled_empty() -> None:
    row = Labels("s", gender=None, sound_events=Annotation((), "tagger"), emotion=Annotation((Mark("calm"),), "tagger"))
    [back] = from_table(to_table([row], Labels), Labels)
    assert back.gender is None
    assert back.sound_events == Annotation((), "tagger")
    [silent, wordless] = from_table(
        to_table([Hypothesis("s", "e", "m", "", words=()), Hypothesis("s", "f", "m", "", words=None)], Hypothesis), Hypothesis
    )
    assert silent.words == ()
    assert wordless.words is None


@pytest.mark.parametrize("record", record_types(), ids=lambda r: r.__name__)
def test_golden_schema_and_line(record: type) -> None:
    """A schema or a record's JSON that changes is a new SCHEMA_VERSION with a migration; then `GOLDEN=1 pytest` and review."""
    line = json.dumps(plain(_example(record, "")), ensure_ascii=False, indent=1)
    text = f"version {SCHEMA_VERSION}\n\n" + "\n".join(_describe(schema_of(record), "")) + f"\n\n{line}\n"
    path = GOLDEN / f"{record.__name__}.txt"
    if os.environ.get("GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text
    assert from_plain(json.loads(line), record) == _example(record, "")


def _describe(fields: Any, indent: str) -> Iterator[str]:
    """One line per column and nested field, with `?` where it may be null."""
    for field in fields:
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        name = "struct" if pa.types.is_struct(kind) else str(kind)
        yield f"{indent}{field.name}: {'list of ' if kind is not field.type else ''}{name}{'?' if field.nullable else ''}"
        yield from _describe(kind if pa.types.is_struct(kind) else (), indent + "  ")


def _example(hint: Any, name: str) -> Any:
    """A record with every field filled, by name and type alone."""
    if get_origin(hint) is Literal:
        return get_args(hint)[0]
    if get_origin(hint) is tuple:
        return (_example(get_args(hint)[0], name),)
    if is_dataclass(hint):
        return hint(**{field: _example(kind, field) for field, kind in get_type_hints(hint).items()})  # type: ignore[operator]
    if hint in (str, int, float, bool):
        return {str: name, int: len(name), float: 0.5, bool: True}[hint]
    return _example(next(arg for arg in get_args(hint) if arg is not type(None)), name)


def test_only_optional_fields_are_nullable() -> None:
    found = {field.name: field.nullable for field in schema_of(Segment)}
    assert found == {
        "id": False,
        "recording_id": False,
        "start": False,
        "num_samples": False,
        "speech": True,
        "rejection": True,
        "kind": False,
    }
    part = schema_of(Unit).field("parts").type.value_field
    assert not part.nullable
    assert part.type.field("start").type == pa.int64()


def test_a_value_of_the_wrong_type_is_named() -> None:
    with pytest.raises(SchemaError, match="a Segment does not fit its schema"):
        to_table([Segment("a", "b", "soon", 1)], Segment)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["start"]), r"missing \['start'\]"),
        (lambda t: t.append_column("loudness", pa.array([1.0])), r"unknown \['loudness'\]"),
        (lambda t: t.set_column(2, "start", pa.array([0.0])), "start is .*double.* expected .*int64"),
        (lambda t: t.select(list(reversed(t.column_names))), "another order"),
    ],
    ids=["missing", "unknown", "typed otherwise", "another order"],
)
def test_a_table_that_differs_is_refused_and_the_difference_named(change: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message) as error:
        from_table(change(to_table([SEGMENT], Segment)), Segment, "here.parquet")
    assert "here.parquet does not hold Segment records" in str(error.value)


def test_a_newer_version_is_refused_with_the_way_out() -> None:
    with pytest.raises(SchemaError, match=rf"version {SCHEMA_VERSION + 1}, .* up to {SCHEMA_VERSION}: upgrade voxmill"):
        check_version(SCHEMA_VERSION + 1, "run.json")
    assert check_version(SCHEMA_VERSION, "run.json") == SCHEMA_VERSION
    newer = _stamped(to_table([SEGMENT], Segment), version=SCHEMA_VERSION + 1)
    with pytest.raises(SchemaError, match="upgrade voxmill"):
        migrate(newer, Segment, "there")


def test_an_older_version_goes_through_every_migration_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 1 called the span's length `length`; version 2 renamed it; version 3 counted samples instead of seconds."""
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 3)
    monkeypatch.setitem(MIGRATIONS, ("Segment", 1), lambda t: t.rename_columns({"length": "num_samples"}))
    monkeypatch.setitem(
        MIGRATIONS,
        ("Segment", 2),
        lambda t: t.set_column(
            3, schema_of(Segment).field("num_samples"), pa.array([v * 16_000 for v in t["num_samples"].to_pylist()])
        ),
    )
    old = to_table([Segment("a", "b", 0, 2)], Segment).rename_columns({"num_samples": "length"})
    [migrated] = from_table(migrate(_stamped(old, version=1), Segment, "old"), Segment)
    assert migrated == Segment("a", "b", 0, 32_000)
    [half] = from_table(migrate(_stamped(to_table([Segment("a", "b", 0, 2)], Segment), version=2), Segment, "old"), Segment)
    assert half.num_samples == 32_000


def test_labels_of_version_1_take_the_defaults_of_what_came_later() -> None:
    old = pa.Table.from_pylist(
        [{"segment_id": "s", "gender": {"marks": [{"value": "female"}], "source": "tagger"}, "age": None, "unit": "u"}]
    )
    stamp = {"voxmill.record": "Labels", "voxmill.schema_version": "1"}
    table = migrate(old.replace_schema_metadata(stamp), Labels, "old")
    assert table["unit"].to_pylist() == ["u"]
    assert from_table(table.drop_columns(["unit"]), Labels) == [Labels("s", gender=Annotation((Mark("female"),), "tagger"))]


def test_a_record_without_a_migration_did_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    table = _stamped(to_table([SEGMENT], Segment), version=SCHEMA_VERSION)
    assert from_table(migrate(table, Segment, "old"), Segment) == [SEGMENT]


def test_a_table_of_something_else_is_refused() -> None:
    with pytest.raises(SchemaError, match="holds Segment records, not Unit"):
        migrate(to_table([SEGMENT], Segment), Unit, "there")
    with pytest.raises(SchemaError, match="not written by voxmill"):
        migrate(pa.table({"id": ["a"]}), Segment, "there")
    with pytest.raises(SchemaError, match="there does not hold Segment"):
        check_schema(pa.schema([("id", pa.string())]), Segment, "there")


def _stamped(table: pa.Table, version: int) -> pa.Table:
    return table.replace_schema_metadata({"voxmill.record": "Segment", "voxmill.schema_version": str(version)})

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxmill.manifests import schema
from voxmill.manifests.parquet import read_records, read_table, records_bytes, table_bytes, write_records
from voxmill.manifests.records import Segment, Unit
from voxmill.manifests.schema import SCHEMA_VERSION, SchemaError, to_table
from voxmill.manifests.tables import RECORDS

from .factory import made_up_run
from .strategies import records_of

SEGMENT = Segment("a-0000000000-0000016000", "a", 0, 16_000, 0.9)


@pytest.mark.parametrize("name", RECORDS)
def test_what_is_written_is_read(name: str, tmp_path: Path) -> None:
    rows = list(made_up_run().tables[name])
    path = tmp_path / f"{name}.parquet"
    path.write_bytes(records_bytes(rows, RECORDS[name]))
    assert read_records(str(path), RECORDS[name]) == rows


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(records_of(Segment), max_size=4))
def test_any_segment_survives_a_file(rows: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "any.parquet"
    path.write_bytes(records_bytes(rows, Segment))
    assert read_records(str(path), Segment) == rows


def test_equal_records_are_equal_bytes() -> None:
    """Also where the table was put together from pieces, as compaction does."""
    rows = list(made_up_run().tables["hypotheses"])
    record = RECORDS["hypotheses"]
    pieces = pa.concat_tables([to_table([row], record) for row in rows]).combine_chunks()
    assert records_bytes(rows, record) == records_bytes(list(rows), record) == table_bytes(pieces)


def test_no_rows_are_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    path.write_bytes(records_bytes([], Unit))
    assert read_records(str(path), Unit) == []
    assert read_table(str(path), Unit).schema.names == ["id", "position", "generation", "parts"]


def test_buckets_are_read_like_folders() -> None:
    with fsspec.open("memory://run/units.parquet", "wb") as file:
        file.write(records_bytes([Unit("u", 0, 0)], Unit))
    assert read_records("memory://run/units.parquet", Unit) == [Unit("u", 0, 0)]


def test_compression_is_zstd_and_the_version_is_inside(tmp_path: Path) -> None:
    path = tmp_path / "one.parquet"
    path.write_bytes(records_bytes([SEGMENT], Segment))
    meta = pq.read_metadata(path)
    assert meta.row_group(0).column(0).compression == "ZSTD"
    assert pq.read_schema(path).metadata[b"voxmill.schema_version"] == str(SCHEMA_VERSION).encode()


def test_an_older_file_is_migrated_and_a_newer_one_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.parquet"
    path.write_bytes(records_bytes([SEGMENT], Segment))
    monkeypatch.setattr(schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    shift = schema_shift(1_000)
    monkeypatch.setitem(schema.MIGRATIONS, ("Segment", SCHEMA_VERSION), shift)
    assert read_records(str(path), Segment)[0].start == 1_000
    monkeypatch.setattr(schema, "SCHEMA_VERSION", SCHEMA_VERSION - 1)
    with pytest.raises(SchemaError, match="upgrade voxmill"):
        read_records(str(path), Segment)


def schema_shift(by: int) -> Any:
    def migration(table: pa.Table) -> pa.Table:
        starts = pa.array([int(start or 0) + by for start in table["start"].to_pylist()], pa.int64())
        return table.set_column(2, table.schema.field("start"), starts)

    return migration


def test_files_that_hold_something_else_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(SchemaError, match=r"other\.parquet is no readable Parquet file .*: delete it and run again"):
        read_records(str(path), Segment)
    pq.write_table(pa.table({"id": [1]}), path)
    with pytest.raises(SchemaError, match=r"other\.parquet was not written by voxmill"):
        read_records(str(path), Segment)
    path.write_bytes(records_bytes([SEGMENT], Segment))
    with pytest.raises(SchemaError, match=r"other\.parquet holds Segment records, not Unit"):
        read_records(str(path), Unit)
    with pytest.raises(FileNotFoundError):
        read_records(str(tmp_path / "none.parquet"), Segment)


def test_many_records_are_written_some_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They read the same, and those that fit at once give the same bytes as `records_bytes`."""
    rows = [Segment(f"s{n}", "r", n, 1) for n in range(25)]
    for size, count in ((10, 0), (10, 10), (10, 25), (100, 25)):
        monkeypatch.setattr("voxmill.manifests.parquet.GROUP", size)
        taken = iter(rows[:count])
        with (tmp_path / "many").open("wb") as file:
            write_records(file, taken, Segment)
        assert read_records(str(tmp_path / "many"), Segment) == rows[:count]
        if count <= size:
            assert (tmp_path / "many").read_bytes() == records_bytes(rows[:count], Segment)

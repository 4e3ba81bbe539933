"""A run that goes on after an upgrade: rows of before and of today in one chunk."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from factory import item
from voxmill.manifests.records import GivenSpan, Item
from voxmill.manifests.schema import SCHEMA_VERSION, UNIT_INDEX, from_table, schema_of, to_table
from voxmill.pipeline.state.chunks import ChunkReader, merge
from voxmill.pipeline.state.fragment import FragmentRows
from voxmill.pipeline.state.positions import Positions
from voxmill.pipeline.state.run_dir import RunDir

OLD, NEW = item("old"), item("new", given=(GivenSpan(0, 16_000, "words"),))


def rows(one: Item, position: int) -> FragmentRows:
    table = to_table([one], Item)
    table = table.append_column(pa.field(UNIT_INDEX, pa.int64(), nullable=False), pa.array([position], pa.int64()))
    return FragmentRows(table, None, Positions.of([position]))


def before(one: Item, position: int) -> FragmentRows:
    """As version 3 wrote them: without `given`."""
    table = rows(one, position).rows.drop_columns(["given"])
    meta = {**(schema_of(Item).metadata or {}), b"voxmill.schema_version": b"3"}
    return FragmentRows(table.replace_schema_metadata(meta), None, Positions.of([position]))


def read(root: Path, chunk: object, count: int) -> list[Item]:
    reader = ChunkReader(RunDir(str(root)), chunk)  # type: ignore[arg-type]
    assert reader.schema.metadata[b"voxmill.schema_version"] == str(SCHEMA_VERSION).encode()
    return [one for n in range(count) for one in from_table(reader.read(n), Item)]


def test_rows_of_today_join_a_chunk_of_before(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    old, notes = merge(run, "items/x", range(512), [], Positions(), [before(OLD, 0)])
    assert notes == []
    assert ChunkReader(run, old).schema.metadata[b"voxmill.schema_version"] == b"3"
    both, notes = merge(run, "items/x", range(512), [old], Positions.of([0]), [rows(NEW, 1), rows(OLD, 0)])
    assert notes == []  # the same unit in the form of today is no other one
    assert read(tmp_path, both, 2) == [OLD, NEW]
    other, notes = merge(run, "items/x", range(512), [old], Positions.of([0]), [rows(NEW, 0)])
    assert [note.partition(":")[0] for note in notes] == ["items unit 0"]
    assert read(tmp_path, other, 1) == [OLD]


def test_fragments_of_before_and_of_today_make_one_chunk(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    made, _ = merge(run, "items/x", range(512), [], Positions(), [before(OLD, 0), rows(NEW, 1)])
    again, _ = merge(run, "items/x", range(512), [], Positions(), [rows(NEW, 1), before(OLD, 0)])
    assert read(tmp_path, made, 2) == read(tmp_path, again, 2) == [OLD, NEW]

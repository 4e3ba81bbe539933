"""The run's tables: whole at every moment, and the same files whoever made what when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from factory import item, recording
from rows import listed, put
from voxmill.manifests import storage
from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.catalog_script import SAMPLES
from voxmill.manifests.parquet import read_batches, records_bytes
from voxmill.manifests.records import Recording
from voxmill.pipeline.state import table_writer
from voxmill.pipeline.state.listing import ITEMS, OUTCOMES, UNITS
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.units import UnitConfig, form_units

STAGES = [ITEMS, OUTCOMES, UNITS]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two generations of recordings, each with its listing and its units, and no stage."""
    run = Run(str(tmp_path))
    run.save({"buckets": 1, "config": {}})
    for g, names in enumerate((range(20), range(20, 25))):
        recordings = [recording(f"r{n}", seconds=10) for n in names]
        units = [unit for unit, _ in form_units(recordings, UnitConfig(seconds=30), position=g * 7, generation=g)]
        listed(run, groups=1, units=len(units), generation=g)
        put(run, ITEMS, f"g{g:07d}", [item(f"r{n}") for n in names])
        put(run, OUTCOMES, f"g{g:07d}", recordings)
        for unit in units:
            put(run, UNITS, unit.id, [unit])
    run.ledger.sweep()
    return run


@pytest.fixture
def events() -> Iterator[list[str]]:
    seen: list[str] = []
    storage.events.append(lambda event, uri: seen.append(f"{event} {uri.rsplit('/', 1)[-1]}"))
    yield seen
    storage.events.pop()


def test_a_stages_table_is_its_chunks(run: Run) -> None:
    files = table_writer.write_tables(run, STAGES, {})
    assert {name: len(files[name]) for name in ("items", "recordings", "units")} == {"items": 1, "recordings": 1, "units": 1}
    con = open_catalog(run.root)
    assert [con.execute(f"SELECT count(*) FROM {name}").fetchone() for name in ("items", "recordings", "units")] == [
        (25,), (25,), (9,)
    ]  # fmt: skip
    assert [id for (id,) in con.execute("SELECT id FROM recordings").fetchall()] == [recording(f"r{n}").id for n in range(25)]


def test_a_catalog_never_names_a_file_that_is_gone(run: Run, monkeypatch: pytest.MonkeyPatch, events: list[str]) -> None:
    def samples(n: int) -> list[pa.Table]:
        return [pa.Table.from_pylist([{"shard": f"{n}", "key": "k", "segment_id": "k"}], schema=SAMPLES)] * 3

    with monkeypatch.context() as patch:
        patch.setattr(table_writer, "FILE_BYTES", 1)
        assert len(table_writer.write_tables(run, STAGES, {"samples": samples(1)})["samples"]) == 3
    Path(run.uri("manifests", "notes.txt")).write_text("not ours")
    events.clear()
    now = table_writer.write_tables(run, STAGES, {"samples": samples(2)})
    catalog = events.index("committed catalog.sql")
    removed = [n for n, event in enumerate(events) if event.startswith("removed")]
    assert len(removed) == 2
    assert min(removed) > catalog
    files = {str(path.relative_to(run.root)) for path in Path(run.root, "manifests").rglob("*") if path.is_file()}
    assert files == {*(path for paths in now.values() for path in paths), "manifests/notes.txt"}


def test_records_come_in_batches_as_they_come_at_once(tmp_path: Path) -> None:
    rows = [recording(f"r{n}") for n in range(10)]
    (tmp_path / "a.parquet").write_bytes(records_bytes(rows, Recording))
    batches = list(read_batches(str(tmp_path / "a.parquet"), Recording, 4))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert [row for batch in batches for row in batch] == rows

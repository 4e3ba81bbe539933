"""The run's tables: cut into files, whole at every moment, and the same bytes whatever they are cut from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory import item, recording
from voxmill.manifests import storage as commit
from voxmill.manifests.parquet import read_batches, read_records, records_bytes
from voxmill.manifests.records import Item, Recording, Unit
from voxmill.manifests.storage import commit_bytes
from voxmill.pipeline.state import table_writer
from voxmill.pipeline.state.listing import ITEMS
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.units import UnitConfig, form_units


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two generations of recordings, each with its listing and its units, and no stage."""
    run = Run(str(tmp_path))
    for g, names in enumerate((range(20), range(20, 25))):
        recordings = [recording(f"r{n}", seconds=10) for n in names]
        units = form_units(recordings, UnitConfig(seconds=30), position=g * 7, generation=g)
        commit_bytes(run.ledger.fragment(ITEMS, f"g{g:04d}-000000"), records_bytes([item(f"r{n}") for n in names], Item))
        for name, rows, record in (("recordings", recordings, Recording), ("units", units, Unit)):
            commit_bytes(run.uri("ledger", "generations", f"{g:04d}.{name}.parquet"), records_bytes(rows, record))
        commit_bytes(run.uri("ledger", "generations", f"{g:04d}.json"), b'{"facts": {}, "sources": []}')
    return run


def files(run: Run) -> list[str]:
    return sorted(f"manifests/{path.name}" for path in Path(run.root, "manifests").iterdir())


@pytest.fixture
def events() -> Iterator[list[str]]:
    seen: list[str] = []
    commit.events.append(lambda event, uri: seen.append(f"{event} {uri.rsplit('/', 1)[-1]}"))
    yield seen
    commit.events.pop()


def test_listed_tables_are_cut_into_files_like_all_others(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = table_writer.write_tables(run, [], {}, {})
    assert whole["items"] == ["manifests/items-00000.parquet"]
    for name, record in (("items", Item), ("recordings", Recording), ("units", Unit)):
        (path,) = whole[name]
        rows = read_records(run.uri(path), record)
        assert Path(run.uri(path)).read_bytes() == records_bytes(rows, record)
        assert len(rows) == {"items": 25, "recordings": 25, "units": 9}[name]
    monkeypatch.setattr(table_writer, "FILE_BYTES", 1)
    cut = table_writer.write_tables(run, [], {}, {})
    assert len(cut["items"]) == len(cut["recordings"]) == len(cut["units"]) == 2
    assert [r.id for path in cut["recordings"] for r in read_records(run.uri(path), Recording)] == [
        recording(f"r{n}").id for n in range(25)
    ]


def test_a_catalog_never_names_a_file_that_is_gone(run: Run, monkeypatch: pytest.MonkeyPatch, events: list[str]) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(table_writer, "FILE_BYTES", 1)
        table_writer.write_tables(run, [], {}, {})
    Path(run.uri("manifests", "notes.txt")).write_text("not ours")
    events.clear()
    now = table_writer.write_tables(run, [], {}, {})
    catalog = events.index("committed catalog.sql")
    removed = [n for n, event in enumerate(events) if event.startswith("removed")]
    assert len(removed) == 3
    assert min(removed) > catalog
    assert files(run) == sorted([*(path for paths in now.values() for path in paths), "manifests/notes.txt"])


def test_records_come_in_batches_as_they_come_at_once(tmp_path: Path) -> None:
    rows = [recording(f"r{n}") for n in range(10)]
    (tmp_path / "a.parquet").write_bytes(records_bytes(rows, Recording))
    batches = list(read_batches(str(tmp_path / "a.parquet"), Recording, 4))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert [row for batch in batches for row in batch] == rows

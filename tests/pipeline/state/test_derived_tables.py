"""Derived tables by ranges of units: the same files however the run grew, and none is made twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from rows import listed
from samples import recording, sample
from stages import kind
from voxmill.manifests import storage
from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.catalog_script import SAMPLES
from voxmill.manifests.records import Part, Recording, Unit
from voxmill.manifests.storage import file_sha256
from voxmill.pipeline.stage import Resources, Stage, no_operator
from voxmill.pipeline.state import chunk_ranges
from voxmill.pipeline.state.journal import Chunk
from voxmill.pipeline.state.listing import ITEMS, OUTCOMES, RECORDINGS, UNITS, group_id
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.table_writer import write_tables
from voxmill.sharding.sample import Sample

NAMES = ("segment", "transcribe:whisperx", "transcribe:paraformer", "reconcile", "select")
STAGES = {n: Stage(n, no_operator, kind(n.partition(":")[0]), (), "v1", Resources()) for n in NAMES}
ALL = [ITEMS, OUTCOMES, UNITS, RECORDINGS, *STAGES.values()]
HALF = 4
"""Seconds of a unit; a recording has two units, of two segments each."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of four units, files of one at least."""
    monkeypatch.setattr(chunk_ranges, "UNITS", 4)
    monkeypatch.setattr(chunk_ranges, "LEAST", 1)


@pytest.fixture
def events() -> Iterator[list[str]]:
    seen: list[str] = []
    storage.events.append(lambda event, uri: seen.append(f"{event} {uri.rsplit('/', 1)[-1]}"))
    yield seen
    storage.events.pop()


def heard(position: int) -> tuple[Unit, Recording, list[Sample]]:
    """A unit, its recording and what was made of it."""
    of = recording(f"{position // 2}", 2 * HALF)
    first = position % 2 * HALF
    unit = Unit(f"u{position:07d}-x", position, 0, (Part(of.id, first * 16_000, HALF * 16_000),))
    made = [sample(of, first + second, 2, unit=position) for second in range(0, HALF, 2)]
    return unit, of, made


def grow(run: Run, first: int, end: int) -> None:
    """Units that are listed, heard and selected."""
    made = [heard(position) for position in range(first, end)]
    listed(run, groups=1, units=end - first, generation=run.listing.num_generations())
    recordings = list({of.id: of for _, of, _ in made}.values())
    run.ledger.write(OUTCOMES, [(group_id(run.listing.generations[-1].groups[0]), recordings)])
    run.ledger.write(UNITS, [(unit.id, [unit]) for unit, *_ in made])
    run.ledger.write(RECORDINGS, [(unit.id, [of]) for unit, of, _ in made])
    run.ledger.write(STAGES["segment"], [(unit.id, [s.segment for s in mine]) for unit, _, mine in made])
    for place, name in enumerate(NAMES[1:3]):
        run.ledger.write(STAGES[name], [(unit.id, [s.hypotheses[place] for s in mine]) for unit, _, mine in made])
    run.ledger.write(STAGES["reconcile"], [(unit.id, [s.consensus for s in mine]) for unit, _, mine in made])
    run.ledger.write(STAGES["select"], [(unit.id, [s.selection for s in mine]) for unit, _, mine in made])
    run.ledger.sweep()


def packed(keys: Sequence[tuple[str, int]]) -> pa.Table:
    return pa.Table.from_pylist([{"shard": "s", "key": k, "segment_id": k, "num_samples": n} for k, n in keys], schema=SAMPLES)


def keys(units: int) -> list[tuple[str, int]]:
    return [(s.segment.id, s.segment.num_samples) for n in range(units) for s in heard(n)[2]]


def write(run: Run, samples: Sequence[tuple[str, int]]) -> dict[str, list[str]]:
    return write_tables(run, ALL, {"samples": [packed(samples)]})


def new_run(root: Path) -> Run:
    run = Run(str(root))
    run.save({"buckets": 1, "config": {}})
    return run


def derived(run: Run) -> dict[str, str]:
    folder = Path(run.root, "manifests")
    return {path.name: file_sha256(path) for path in sorted(folder.glob("*.parquet")) if not path.name.startswith("samples")}


def written(events: list[str]) -> list[str]:
    """Derived files that were written, without their hashes."""
    names = [event.removeprefix("committed ") for event in events if event.startswith("committed ")]
    found = [name.rpartition("-")[0] for name in names if name.startswith(("spans", "fates", "violations", "label_counts"))]
    events.clear()
    return sorted(found)


def test_more_units_leave_what_is_there(tmp_path: Path, events: list[str]) -> None:
    run = new_run(tmp_path / "grown")
    grow(run, 0, 6)
    write(run, keys(6))
    assert written(events) == ["fates-00000", "fates-00001", "spans-00000", "spans-00001"]
    write(run, keys(6))
    assert written(events) == []
    grow(run, 6, 7)
    write(run, keys(7))
    assert written(events) == ["fates-00001-0002", "spans-00001-0002"]
    grow(run, 7, 8)
    write(run, keys(8))
    assert written(events) == ["fates-00001", "spans-00001"]
    at_once = new_run(tmp_path / "once")
    grow(at_once, 0, 8)
    write(at_once, keys(8))
    assert derived(run) == derived(at_once)
    con = open_catalog(run.root)
    assert con.execute("FROM violations").fetchall() == []
    assert con.execute("SELECT count(*), count(*) FILTER (kept), count(source) FROM timeline").fetchone() == (16, 16, 16)
    assert con.execute("SELECT rows_in, rows_kept, balanced FROM funnel WHERE stage = 'pack'").fetchall() == [(16, 16, True)]


def test_what_is_packed_otherwise_changes_its_range_alone(tmp_path: Path, events: list[str]) -> None:
    run = new_run(tmp_path)
    grow(run, 0, 7)
    write(run, keys(7))
    written(events)
    (lost, _), *others = keys(7)
    write(run, others)
    assert written(events) == ["fates-00000", "spans-00000", "violations-00000"]
    found = open_catalog(run.root, "violations").execute("FROM violations").fetchall()
    assert found == [("pack", lost, "packed samples of a kept segment", 1, 0)]
    write(run, keys(7))
    assert open_catalog(run.root, "violations").execute("FROM violations").fetchall() == []
    assert not list(Path(run.root, "manifests").glob("violations*"))


def test_a_sample_of_no_segment_is_named(tmp_path: Path, events: list[str]) -> None:
    run = new_run(tmp_path)
    grow(run, 0, 5)
    write(run, keys(5))
    written(events)
    stray = sample(recording("stray"), 0, 2).segment.id
    write(run, [*keys(5), (stray, 32_000)])
    assert written(events) == ["violations"]
    found = open_catalog(run.root, "violations").execute("FROM violations").fetchall()
    assert found == [("pack", stray, "kept segments of a packed sample", 1, 0)]
    write(run, keys(5))
    assert open_catalog(run.root, "violations").execute("FROM violations").fetchall() == []


@pytest.mark.parametrize("name", ["spans-00001", "fates-00000"])
def test_a_file_that_somebody_deleted_is_made_again(tmp_path: Path, name: str) -> None:
    run = new_run(tmp_path)
    grow(run, 0, 6)
    write(run, keys(6))
    before = derived(run)
    (gone,) = Path(run.root, "manifests").glob(f"{name}-*")
    gone.unlink()
    write(run, keys(6))
    assert derived(run) == before


def test_a_chunk_that_an_earlier_version_wrote_whole_is_one_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path / "before")
    with monkeypatch.context() as patch:
        patch.setattr(chunk_ranges, "LEAST", 4)
        grow(run, 0, 6)
        grow(run, 6, 7)
        write(run, keys(7))
        before = derived(run)
    whole = {name.rpartition("-")[0]: content for name, content in before.items()}
    assert list(whole) == ["fates-00000", "fates-00001", "spans-00000", "spans-00001"]
    assert [chunk.first for chunk in run.ledger.chunk_files(STAGES["segment"])] == [0, 4]
    write(run, keys(7))
    assert {name.rpartition("-")[0]: content for name, content in derived(run).items()} == whole
    grow(run, 7, 8)
    write(run, keys(8))
    assert open_catalog(run.root, "spans").execute("SELECT count(*) FROM spans").fetchone() == (16,)


def test_a_run_without_units_has_empty_tables(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    listed(run, groups=1, units=0)
    files = write_tables(run, ALL, {})
    assert [len(files[name]) for name in ("spans", "fates", "violations")] == [1, 0, 0]
    assert open_catalog(run.root, "timeline").execute("SELECT count(*) FROM timeline").fetchone() == (0,)


def test_a_chunk_says_which_units_it_may_hold() -> None:
    assert Chunk(4, 2, "a", 1, 1).end == 6
    assert replace(Chunk(4, 2, "a", 1, 1), costs="b").files == ("a", "b")

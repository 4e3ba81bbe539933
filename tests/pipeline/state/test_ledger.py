"""The ledger: the same tables whoever committed what when, and whatever was killed in between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factory import recording, segment
from stages import kind
from voxmill.manifests import storage
from voxmill.manifests.records import Segment
from voxmill.manifests.storage import file_sha256
from voxmill.pipeline.stage import Resources, Stage, no_operator
from voxmill.pipeline.state import chunk_ranges, chunks
from voxmill.pipeline.state.fragment import Cost, FragmentWriter, fragment_uri, read_fragment
from voxmill.pipeline.state.journal import RunState
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.positions import Positions
from voxmill.pipeline.state.run_dir import RunDir, RunError

STAGE = Stage("segment", no_operator, kind("segment"), (), "ab", Resources())
OTHER = Stage("later", no_operator, kind("segment"), ("segment",), "cd", Resources())
COUNT = 7


class Killed(BaseException):
    """Stands for a process that ends here."""


def unit(position: int) -> str:
    return f"u{position:07d}-x"


def rows(position: int) -> list[Segment]:
    """None for some units, many for others."""
    return [segment(recording(f"{position}"), start, 16000) for start in range(0, 16000 * (position % 4), 16000)]


def commit(run: RunDir, units: Sequence[int], *stages: Stage) -> list[dict[str, object]]:
    """One worker's fragment of these units, in this order."""
    writer = FragmentWriter(run)
    for position in units:
        for stage in stages or (STAGE, OTHER):
            writer.add(
                stage, unit(position), rows(position), Cost(unit(position), stage.kind, None, 1.0, 1.0, 1, "h", "cpu", 1)
            )
    return [info.to_json() for info in writer.flush()]


def tables(run: RunDir) -> dict[str, str]:
    root = Path(run.root, "manifests")
    return {str(path.relative_to(root)): file_sha256(path) for path in sorted(root.rglob("*.parquet"))}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    _make_small(monkeypatch)


def _make_small(patch: pytest.MonkeyPatch) -> None:
    """Chunks of four units, files of one at least, and row groups of two rows: every border is met."""
    patch.setattr(chunk_ranges, "UNITS", 4)
    patch.setattr(chunk_ranges, "LEAST", 1)
    patch.setattr(chunks, "ROWS", 2)
    patch.setattr(chunks, "_AT_ONCE", 3)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The tables of a run that did everything in order."""
    with pytest.MonkeyPatch.context() as patch:
        _make_small(patch)
        run = RunDir(str(tmp_path_factory.mktemp("run")))
        ledger = Ledger(run)
        ledger.append({"fragments": commit(run, range(COUNT))})
        ledger.fold()
        return tables(run)


orders = st.permutations(range(COUNT)).flatmap(
    lambda order: st.sets(st.integers(1, COUNT - 1)).map(
        lambda cuts: [order[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), COUNT], strict=True)]
    )
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders, st.sets(st.integers(0, COUNT)), st.lists(st.integers(0, COUNT - 1), max_size=4))
def test_tables_do_not_depend_on_who_made_what_when(
    tmp_path_factory: pytest.TempPathFactory,
    wanted: dict[str, str],
    groups: list[list[int]],
    folds: set[int],
    again: list[int],
) -> None:
    run = RunDir(str(tmp_path_factory.mktemp("run")))
    ledger = Ledger(run)
    for number, units in enumerate(groups):
        twice = [n for n in again if n not in units]  # what a worker that was thought dead commits as well
        ledger.append({"fragments": commit(run, [*units, *twice])})
        if number in folds:
            ledger.fold()
    assert dict(ledger.scan(STAGE)) == {n: rows(n) for n in range(COUNT)}, "wherever the rows still lie"
    ledger.fold()
    ledger.sweep()
    assert tables(run) == wanted
    assert ledger.state.notes == []
    assert dict(ledger.scan(STAGE)) == {n: rows(n) for n in range(COUNT)}


def test_rows_are_read_from_fragments_and_from_tables_alike(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    ledger = Ledger(run)
    ledger.append({"fragments": commit(run, [3, 1])})
    assert [Ledger(run).read(STAGE, unit(n)) for n in (1, 3)] == [rows(1), rows(3)]
    ledger.fold()
    assert [ledger.read(STAGE, n) for n in (1, 3)] == [rows(1), rows(3)]
    assert not Path(fragment_uri(run, "x")).parent.exists() or ledger.sweep() == 1
    with pytest.raises(FileNotFoundError, match="segment is not done for unit 2"):
        ledger.read(STAGE, unit(2))


def test_what_nobody_journalled_is_adopted_or_removed(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    ledger = Ledger(run)
    ledger.append({"fragments": commit(run, [0, 1])})
    commit(run, [1, 2])  # of use
    commit(run, [0])  # done already
    late = Ledger(run)
    late.adopt()
    assert late.done(STAGE).runs == [[0, 3]]
    assert len(list(Path(run.root, "ledger", "fragments").iterdir())) == 2


def test_a_unit_without_rows_is_done_all_the_same(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    ledger = Ledger(run)
    ledger.append({"fragments": commit(run, [0, 4])})  # neither has a row
    ledger.fold()
    assert (ledger.read(STAGE, 0), ledger.read(STAGE, 4), list(ledger.done(STAGE))) == ([], [], [0, 4])


def test_what_is_lost_is_made_again_and_the_rest_is_kept(tmp_path: Path, wanted: dict[str, str]) -> None:
    run = RunDir(str(tmp_path))
    ledger = Ledger(run)
    ledger.append({"fragments": commit(run, range(COUNT))})
    ledger.fold()
    assert [(chunk.first, chunk.end) for chunk in ledger.chunk_files(STAGE)] == [(0, 4), (4, 6), (6, 7)]
    gone = ledger.state.stages[STAGE.key].chunks[4]
    Path(run.uri(gone.rows)).unlink()
    ledger = Ledger(run)
    assert ledger.lost() == {STAGE.key: [gone]}
    ledger.forget(ledger.lost())
    assert ledger.done(STAGE).runs == [[0, 4], [6, COUNT]]
    assert Ledger(run).lost() == {}
    ledger.append({"fragments": commit(run, range(4, 6), STAGE)})
    ledger.fold()
    ledger.sweep()
    assert tables(run) == wanted


def test_one_unit_more_leaves_all_files_but_the_last_as_they_are(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    ledger = Ledger(run)
    before = set[str]()
    shared = []
    for n in range(COUNT):
        ledger.append({"fragments": commit(run, [n])})
        ledger.fold()
        ledger.sweep()
        shared.append([(c.first, c.end) for c in ledger.chunk_files(STAGE) if c.rows in before])
        before = {chunk.rows for chunk in ledger.chunk_files(STAGE)}
    assert shared == [[], [], [(0, 2)], [], [(0, 4)], [(0, 4)], [(0, 4), (4, 6)]]


def test_a_chunk_of_before_there_were_shorter_files_is_read_and_divided(tmp_path: Path, wanted: dict[str, str]) -> None:
    """As versions with one file for each chunk wrote it, in the journal and in the state beside it."""
    run = RunDir(str(tmp_path))
    ledger = Ledger(run)
    ledger.append({"fragments": commit(run, range(6))})
    info = next(iter(ledger.state.fragments))
    files: dict[str, dict[str, object]] = {}
    for stage in (STAGE, OTHER):
        held = read_fragment(run, info)[1][stage.key]
        for number in (0, 1):
            made, _ = chunks.merge(run, stage.key, range(4 * number, 4 * number + 4), [], Positions(), [held])
            told = {"rows": made.rows, "num_rows": made.num_rows, "num_bytes": made.num_bytes, "costs": made.costs}
            of_stage = files.setdefault(stage.key, {"files": {}, "done": [[0, 6]]})
            of_stage["files"][str(number)] = told  # type: ignore[index]
    ledger.append({"chunks": files, "folded": [info]})
    ledger = Ledger(run)
    assert [(chunk.first, chunk.end) for chunk in ledger.chunk_files(STAGE)] == [(0, 4), (4, 8)]
    assert dict(ledger.scan(STAGE)) == {n: rows(n) for n in range(6)}
    ledger.append({"fragments": commit(run, [6])})
    ledger.fold()
    ledger.sweep()
    assert tables(run) == wanted


def test_a_file_of_before_that_is_lost_loses_its_units_alone(tmp_path: Path) -> None:
    state = RunState()
    told = {"rows": "manifests/a/b/00000-x.parquet", "num_rows": 1, "num_bytes": 1, "costs": None}
    state.apply({"chunks": {STAGE.key: {"files": {"0": told, "1": told}, "done": [[0, 7]]}}})
    state.apply({"lost": {STAGE.key: [[4, 8]]}, "gone": {STAGE.key: [1]}})
    assert (list(state.stage(STAGE.key).chunks), state.done(STAGE.key).runs) == ([0], [[0, 4]])
    assert RunState.from_json(json.loads(json.dumps(state.to_json()))).stages == state.stages


def test_a_driver_that_was_overtaken_sweeps_nothing(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    away = Ledger(run)
    away.begin()
    away.append({"fragments": commit(run, [0])})
    away.fold()
    next_one = Ledger(run)
    next_one.begin()
    next_one.append({"fragments": commit(run, [1])})
    next_one.fold()
    there = tables(run)
    with pytest.raises(RunError, match="another driver has written"):
        away.sweep()
    assert tables(run) == there
    assert next_one.sweep() > 0


def _events() -> Iterator[int]:
    yield from range(200)


def test_killed_at_any_commit_the_next_driver_ends_with_the_same_tables(tmp_path: Path, wanted: dict[str, str]) -> None:
    """Every commit event of workers, journal, fold and sweep is an end; what is left is always continued."""
    for number in _events():
        run, seen = RunDir(str(tmp_path / str(number))), 0

        def die(event: str, uri: str, end: int = number) -> None:
            nonlocal seen
            seen += 1
            if seen > end:
                raise Killed

        storage.events.append(die)
        try:
            _whole(run)
            finished = True
        except Killed:
            finished = False
        finally:
            storage.events.remove(die)
        _whole(run)
        assert tables(run) == wanted, f"killed at event {number}"
        assert list(Path(run.root, "ledger", "fragments").iterdir()) == []
        if finished:
            assert number > 20
            return
    raise AssertionError("it never came to its end")


def _whole(run: RunDir) -> None:
    """What a driver and its workers do."""
    ledger = Ledger(run)
    ledger.adopt()
    ledger.fold()
    for units in ([5, 2, 0], [1, 3], [6, 4]):
        if missing := [n for n in units if n not in ledger.done(STAGE) or n not in ledger.done(OTHER)]:
            ledger.append({"fragments": commit(run, missing)})
        if units[0] == 6:
            ledger.fold()
    ledger.fold()
    ledger.sweep()

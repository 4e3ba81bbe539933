"""The journal: read back as it was written, folded at any point, and nobody's but the last driver's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.manifests.errors import DamagedError
from voxmill.pipeline.state.fragment import FragmentInfo
from voxmill.pipeline.state.journal import Chunk, Journal, RunState, chunks_entry
from voxmill.pipeline.state.positions import Positions
from voxmill.pipeline.state.run_dir import RunDir, RunError


def fragment(name: str, *units: int) -> dict[str, Any]:
    return FragmentInfo(name, {"segment/ab": Positions.of(units)}, 7).to_json()


ENTRIES: list[dict[str, Any]] = [
    {"generation": {"sources": ["a-1"], "facts": {"a": {"licence": None}}, "groups": [0, 2], "units": None}},
    {"fragments": [fragment("one", 0, 1)]},
    {"strikes": {"segment/ab u0000002-x": 1}},
    {"in_flight": ["segment/ab u0000002-x"]},
    {"begins": True},
    {"formed": {"generation": 0, "units": [0, 3]}},
    {"fragments": [fragment("two", 2)]},
    {
        "chunks": chunks_entry({"segment/ab": [Chunk(0, 512, "a", 3, 9, "b")]}, {"segment/ab": Positions([[0, 3]])}),
        "folded": ["one", "two"],
        "notes": ["unit 2 twice"],
    },
    {"lost": {"segment/ab": [[0, 512]]}},
    {"packed": "stamp"},
]


def files(run: RunDir) -> list[str]:
    return sorted(path.name for path in Path(run.root, "ledger", "journal").iterdir())


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, len(ENTRIES) - 1)), st.sets(st.integers(0, len(ENTRIES) - 1)))
def test_whoever_reads_it_finds_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, folds: set[int], reopens: set[int]
) -> None:
    run, plain = RunDir(str(tmp_path_factory.mktemp("run"))), RunState()
    journal = Journal(run)
    for number, entry in enumerate(ENTRIES):
        if number in reopens:
            journal = Journal(run)
        journal.append(entry)
        plain.follow(entry)
        if number in folds:
            journal.fold()
    plain.written_at, plain.writer, plain.beginnings = (
        journal.state.written_at,
        journal.state.writer,
        sorted({0, *reopens}),
    )
    assert Journal(run).state.to_json() == journal.state.to_json() == plain.to_json()
    if folds:
        assert len(files(run)) == len(ENTRIES) - max(folds) + sum(n <= max(folds) for n in plain.beginnings)
    assert RunState.from_json(plain.to_json()) == plain


def test_of_two_drivers_the_first_to_write_goes_on(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    one, two = Journal(run), Journal(run)
    one.append(ENTRIES[0])
    with pytest.raises(RunError, match="another driver has written"):
        two.append(ENTRIES[0])  # the same words, and not the same writer
    assert Journal(run).state.to_json() == one.state.to_json()


def test_a_driver_that_comes_back_after_a_fold_can_do_no_harm(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    late = Journal(run)
    late.append(ENTRIES[0])
    now = Journal(run)
    now.append(ENTRIES[1])
    now.append(ENTRIES[2])
    now.fold()
    with pytest.raises(RunError, match="another driver has written"):
        late.append(ENTRIES[6])  # its number stays taken
    assert Journal(run).state.to_json() == now.state.to_json()
    with pytest.raises(RunError, match="another driver has written"):
        late.fold()
    assert Journal(run).state.to_json() == now.state.to_json()


def test_a_gap_is_damage(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    journal = Journal(run)
    for entry in ENTRIES[:3]:
        journal.append(entry)
    Path(run.root, "ledger", "journal", f"{1:020d}.json").unlink()
    with pytest.raises(DamagedError, match=r"0001\.json is missing: restore it"):
        Journal(run)


@pytest.mark.parametrize("content", ["", "[]", '{"number": 3}', '{"number": 3, "stages": 1}'])
def test_a_damaged_state_is_named(tmp_path: Path, content: str) -> None:
    run = RunDir(str(tmp_path))
    journal = Journal(run)
    journal.append(ENTRIES[0])
    journal.fold()
    Path(run.root, "ledger", "journal", files(run)[-1]).write_text(content)
    with pytest.raises(DamagedError, match=r"state-0+\.json"):
        Journal(run)


def test_a_beginning_that_was_spoilt_is_told_of(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    for driver in range(3):
        journal = Journal(run)
        journal.append(ENTRIES[driver])
        journal.fold()
    assert files(run) == [f"{number:020d}.json" for number in range(3)] + [f"state-{2:020d}.json"]
    assert not Journal(run).damaged_beginnings()
    folder = Path(run.root, "ledger", "journal")
    (folder / f"{0:020d}.json").write_text('{"writ')
    (folder / f"{1:020d}.json").unlink()
    cut, gone = Journal(run).damaged_beginnings()
    assert f"{0:020d}.json" in cut
    assert gone.endswith(f"{1:020d}.json is missing")


def test_a_first_entry_that_arrives_after_its_number_was_folded_is_none(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    there = Journal(run)
    there.begin()
    late = Journal(run)
    there.append({"packed": "stamp"})
    there.fold()
    with pytest.raises(RunError, match="another driver has written"):
        late.begin()
    assert (Journal(run).state.packed, Journal(run).state.number) == ("stamp", 1)
    again = Journal(run)
    again.begin()
    assert (again.state.number, again.state.packed) == (2, "stamp")
    with pytest.raises(RunError, match="another driver has written"):
        there.append({"packed": "other"})


def test_a_fragment_of_an_earlier_journal_counts_by_the_size_of_its_file() -> None:
    told = {"name": "a", "num_bytes": 10, "stages": {"segment/ab": [[0, 3]]}}
    assert FragmentInfo.from_json(told) == FragmentInfo("a", {"segment/ab": Positions([(0, 3)])}, 40)

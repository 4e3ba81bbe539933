"""Units: nothing lost, nothing twice, nothing regrouped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factory import recording
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import SAMPLE_RATE, Recording, Unit
from voxmill.pipeline.state.units import UnitConfig, form_units


def formed(rows: list[Recording], config: UnitConfig, *, position: int = 0, generation: int = 0) -> list[Unit]:
    pairs = list(form_units(rows, config, position=position, generation=generation))
    for unit, mine in pairs:
        assert [r.id for r in mine] == list(dict.fromkeys(part.recording_id for part in unit.parts))
    return [unit for unit, _ in pairs]


durations = st.lists(st.integers(0, 100), max_size=12)


def recordings(seconds: list[int], first: int = 0) -> list[Recording]:
    return [recording(f"r{first + i}", float(s)) for i, s in enumerate(seconds) if s]


@given(durations, st.integers(1, 40))
def test_parts_tile_every_recording_and_units_are_bounded(seconds: list[int], limit: int) -> None:
    given_recordings = recordings(seconds)
    units = formed(given_recordings, UnitConfig(seconds=limit))
    assert all(0 < u.num_samples <= limit * SAMPLE_RATE for u in units)
    parts = [p for u in units for p in u.parts]
    for r in given_recordings:
        mine = [p for p in parts if p.recording_id == r.id]
        assert [p.start for p in mine] == [0, *(p.end for p in mine[:-1])]
        assert mine[-1].end == r.num_samples
    assert len({u.id for u in units}) == len(units)
    assert [u.position for u in units] == list(range(len(units)))


@given(durations, durations)
def test_a_later_generation_leaves_earlier_units_alone(early: list[int], late: list[int]) -> None:
    config = UnitConfig(seconds=30)
    first = formed(recordings(early), config)
    second = formed(recordings(late, first=len(early)), config, position=len(first), generation=1)
    assert formed(recordings(early), config) == first
    assert [u.position for u in first + second] == list(range(len(first) + len(second)))
    assert not {u.id for u in first} & {u.id for u in second}


def test_rejected_recordings_are_in_no_unit() -> None:
    bad = recording("bad", rejection=reject("decode.corrupt"))
    assert [p.recording_id for u in formed([bad, recording("good")], UnitConfig()) for p in u.parts] == [recording("good").id]

"""Units: nothing lost, nothing twice, nothing regrouped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factory import recording
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import SAMPLE_RATE, Recording
from voxmill.pipeline.state.units import UnitConfig, form_units, reject_duplicates

durations = st.lists(st.integers(0, 100), max_size=12)


def recordings(seconds: list[int], first: int = 0) -> list[Recording]:
    return [recording(f"r{first + i}", float(s)) for i, s in enumerate(seconds) if s]


@given(durations, st.integers(1, 40))
def test_parts_tile_every_recording_and_units_are_bounded(seconds: list[int], limit: int) -> None:
    given_recordings = recordings(seconds)
    units = form_units(given_recordings, UnitConfig(seconds=limit))
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
    first = form_units(recordings(early), config)
    second = form_units(recordings(late, first=len(early)), config, position=len(first), generation=1)
    assert form_units(recordings(early), config) == first
    assert [u.position for u in first + second] == list(range(len(first) + len(second)))
    assert not {u.id for u in first} & {u.id for u in second}


def test_rejected_recordings_are_in_no_unit() -> None:
    bad = recording("bad", rejection=reject("decode.corrupt"))
    assert [p.recording_id for u in form_units([bad, recording("good")], UnitConfig()) for p in u.parts] == [
        recording("good").id
    ]


def test_the_first_of_two_equal_files_wins() -> None:
    first = recording("a")
    again = recording("a", item_id="another item")
    rewrapped = recording("b", pcm_sha256=first.pcm_sha256)
    settled = reject_duplicates([first, again, rewrapped])
    assert [r.rejection and r.rejection.reason for r in settled] == [None, "crawl.duplicate", "decode.duplicate"]
    assert settled[1].rejection is not None
    assert settled[1].rejection.detail == first.id


def test_an_earlier_generation_always_wins() -> None:
    (again,) = reject_duplicates([recording("a", item_id="another item")], kept=[recording("a")])
    assert again.rejection is not None


def test_a_rejected_recording_makes_nothing_a_duplicate() -> None:
    bad = recording("a", rejection=reject("decode.corrupt"))
    assert reject_duplicates([bad, recording("a", item_id="x")])[1].rejection is None

"""Units: nothing lost, nothing twice, nothing regrouped."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from factory import recording
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import SAMPLE_RATE, GivenSpan, Recording, Unit
from voxmill.pipeline.state.units import UnitConfig, form_units


def formed(rows: list[Recording], config: UnitConfig, *, position: int = 0, generation: int = 0) -> list[Unit]:
    pairs = list(form_units(rows, config, position=position, generation=generation))
    for unit, mine in pairs:
        assert [r.id for r in mine] == list(dict.fromkeys(part.recording_id for part in unit.parts))
    return [unit for unit, _ in pairs]


@given(st.integers(1, 100), st.integers(1, 40), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=6))
def test_no_span_of_a_corpus_is_cut(seconds: int, limit: int, lengths: list[tuple[int, int]]) -> None:
    """Parts end before a span, and only a longer span makes a longer part."""
    spans, place = [], 0
    for gap, length in lengths:
        start, place = place + gap, place + gap + length
        if place <= seconds:
            spans.append(GivenSpan(start * SAMPLE_RATE, length * SAMPLE_RATE, "words"))
    units = formed([replace(recording("r", float(seconds)), given=tuple(spans))], UnitConfig(seconds=limit))
    parts = [part for unit in units for part in unit.parts]
    assert [part.start for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert parts[-1].end == seconds * SAMPLE_RATE
    for span in spans:
        end = span.start + (span.num_samples or 0)
        assert any(part.start <= span.start and end <= part.end for part in parts)
    longest = max([limit * SAMPLE_RATE, *(span.num_samples or 0 for span in spans)])
    assert all(part.num_samples <= longest for part in parts)


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

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from voxmill.manifests import records
from voxmill.manifests.records import SAMPLE_RATE, Part, Segment, Unit
from voxmill.manifests.schema import record_types

TYPES = [t for t in vars(records).values() if isinstance(t, type) and is_dataclass(t)]


@pytest.mark.parametrize("record", TYPES, ids=lambda r: r.__name__)
def test_records_are_frozen_and_hold_nothing_but_their_fields(record: type) -> None:
    row: object = object.__new__(record)
    with pytest.raises(FrozenInstanceError):
        setattr(row, fields(record)[0].name, None)
    assert not hasattr(row, "__dict__")


def test_spans_are_integers_and_seconds_are_for_people() -> None:
    segment = Segment("s", "r", start=SAMPLE_RATE, num_samples=SAMPLE_RATE // 2)
    assert segment.end == 24_000
    assert segment.seconds == 0.5
    assert Part("r", 10, 5).end == 15


def test_a_unit_is_as_long_as_its_parts() -> None:
    assert Unit("u", 0, 0).num_samples == 0
    assert Unit("u", 0, 0, (Part("a", 0, 3), Part("b", 5, 4))).num_samples == 7


def test_every_written_record_has_a_key_and_room_for_a_reason() -> None:
    for record in record_types():
        names = {f.name for f in fields(record)}
        assert names & {"id", "segment_id"}, record
        if record not in (records.Labels, records.Unit):
            assert "rejection" in names, record

"""Plans made bucket by bucket, from places that were put aside in files, are the plans made of all at once."""

from __future__ import annotations

import hashlib
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.manifests.ids import segment_id
from voxmill.pipeline.packing.partition import by_bucket
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.sample import Entry


def entry(recording: int, piece: int) -> Entry:
    ident = hashlib.sha256(str(recording).encode()).hexdigest()
    start = piece * 16000
    split = "dev" if recording % 5 == 0 else "train"
    return Entry(segment_id(ident, start, start + 16000), ident, start, 16000, split, "cc0-1.0", recording, 0, recording // 10)


@given(
    places=st.sets(st.tuples(st.integers(0, 20), st.integers(0, 5))),
    buckets=st.integers(1, 5),
    held=st.integers(1, 50),
)
def test_bucket_by_bucket_gives_the_same_shards(places: set[tuple[int, int]], buckets: int, held: int) -> None:
    entries = [entry(*place) for place in sorted(places)]
    piles = by_bucket(iter(entries), Entry, buckets, held)
    plans = chain.from_iterable(plan_shards(pile, buckets, 60_000) for _, pile in piles)
    assert sorted(plans, key=lambda plan: plan.name) == plan_shards(entries, buckets, 60_000)


@pytest.mark.parametrize("held", [1, 4, 100])
def test_a_bucket_keeps_the_order_of_its_entries(held: int) -> None:
    entries = [entry(recording, piece) for recording in range(4) for piece in range(3)]
    assert list(by_bucket(entries, Entry, 1, held)) == [(0, entries)]
    assert list(by_bucket([], Entry, 3, held)) == []

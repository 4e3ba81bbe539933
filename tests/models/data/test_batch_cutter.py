"""Batches are bounded, nothing is lost, and none is nearly empty."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.models.data.batch_cutter import BatchCutter, Cut, PlannedSample, cut_batches
from voxmill.models.data.sampler_config import SamplerConfig


def planned(*seconds: float) -> list[PlannedSample]:
    return [PlannedSample(str(i), round(16_000 * s), 1.0, "high") for i, s in enumerate(seconds)]


def fullness(batch: Cut, config: SamplerConfig) -> float:
    return max(len(batch) / config.batch_size, max(s.seconds for s in batch) * len(batch) / config.batch_seconds)


@given(st.lists(st.integers(1, 480_000), max_size=60), st.integers(1, 10))
def test_batches_lose_nothing_and_stay_within_their_bounds(lengths: list[int], size: int) -> None:
    config = SamplerConfig(batch_seconds=20, batch_size=size)
    samples = [PlannedSample(str(i), length, 1.0, "high") for i, length in enumerate(lengths)]
    batches = cut_batches(samples, config)
    assert Counter(p.key for batch in batches for p in batch) == Counter(p.key for p in samples)
    for batch in batches:
        assert len(batch) <= size
        assert len(batch) == 1 or max(p.num_samples for p in batch) / 16_000 * len(batch) <= 20
    for batch in BatchCutter(config).add(samples):
        assert max(p.num_samples for p in batch) <= min(p.num_samples for p in batch) * config.bucket_ratio + 1


@given(st.lists(st.floats(2.0, 6.0), min_size=20, max_size=120), st.integers(8, 64), st.sampled_from([20.0, 24.0]))
def test_no_batch_of_an_epoch_is_nearly_empty(seconds: list[float], size: int, batch_seconds: float) -> None:
    config = SamplerConfig(batch_seconds=batch_seconds, batch_size=size)
    assert (
        min(fullness(batch, config) for batch in cut_batches(planned(*seconds), config)) >= 0.25
    )  # of the most awkward lengths


@pytest.mark.parametrize(
    ("longest", "batch_seconds", "size"), [(30.0, 360.0, 128), (30.0, 60.0, 16), (25.0, 20.0, 6), (2.5, 8.0, 128)]
)
def test_batches_of_lengths_as_they_come_are_about_half_full_or_more(longest: float, batch_seconds: float, size: int) -> None:
    config, draw = SamplerConfig(batch_seconds=batch_seconds, batch_size=size), Random(0)
    for _ in range(40):
        batches = cut_batches(planned(*(draw.uniform(0.5, longest) for _ in range(draw.randint(60, 300)))), config)
        assert len(batches) == 1 or min(fullness(batch, config) for batch in batches) >= 0.4


def test_one_second_that_is_left_over_goes_with_the_batch_of_its_like() -> None:
    config = SamplerConfig(batch_seconds=12, batch_size=99)
    batches = cut_batches(planned(*[4.0] * 3, *[1.0] * 12, 1.0), config)
    assert sorted(len(batch) for batch in batches) == [3, 6, 7]
    assert all(len({sample.num_samples for sample in batch}) == 1 for batch in batches)


def test_what_is_left_of_a_window_waits_for_the_next() -> None:
    config, cutter = SamplerConfig(batch_seconds=10, batch_size=99), BatchCutter(SamplerConfig(batch_seconds=10, batch_size=99))
    assert list(cutter.add(planned(*[2.0] * 4))) == []
    (full,) = cutter.add(planned(*[2.0] * 2))
    assert (len(full), fullness(full, config)) == (5, 1.0)
    assert [len(batch) for batch in cutter.finish([])] == [1]
    assert cutter.finish([]) == []


@pytest.mark.parametrize(("seconds", "batches"), [((30.0,), 1), ((30.0, 30.0), 2), ((30.0, 1.0), 2)])
def test_a_sample_longer_than_a_batch_stands_alone(seconds: tuple[float, ...], batches: int) -> None:
    assert len(cut_batches(planned(*seconds), SamplerConfig(batch_seconds=20))) == batches

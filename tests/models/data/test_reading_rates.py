"""How often the samples of a group are read: shares by temperature and weights, whole over epochs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from voxmill.manifests.errors import UserError
from voxmill.models.data.reading_rates import MOST, ONCE, group_shares, most_read, reading_rates, times_read
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.usable_samples import GroupAmount, SampleGroup

HOUR = 3600 * 16_000
EN, CY, FR = SampleGroup(0, ("en",)), SampleGroup(0, ("cy",)), SampleGroup(1, ("fr",))
FOUND = {EN: GroupAmount(100, 81 * HOUR), CY: GroupAmount(10, 9 * HOUR), FR: GroupAmount(10, 10 * HOUR)}


def shares(**plan: Any) -> dict[str, float]:
    config = SamplerConfig(**plan)
    found = group_shares(FOUND, reading_rates(FOUND, config, 2), lambda group: group.values[0])
    assert sum(one.share for one in found) == pytest.approx(1)
    assert sum(one.rate * one.seconds for one in found) == pytest.approx(100 * 3600)  # an epoch is as much audio as there is
    return {one.name: round(one.share, 4) for one in found}


def test_shares_follow_hours_temperature_and_weights() -> None:
    by = ("language",)
    assert shares(sample={"by": by}) == {"en": 0.81, "cy": 0.09, "fr": 0.1}
    assert shares(sample={"by": by, "temperature": 0}) == {"en": 0.3333, "cy": 0.3333, "fr": 0.3333}
    root = 9 + 3 + 10**0.5
    assert shares(sample={"by": by, "temperature": 0.5})["cy"] == round(3 / root, 4)
    weights = {"language": {"en": 1, "cy": 2, "fr": 1}}
    assert shares(sample={"by": by, "temperature": 0, "weights": weights}) == {"en": 0.25, "cy": 0.5, "fr": 0.25}
    assert shares(sample={"by": by, "weights": {"language": {"cy": 2}}})["cy"] == round(18 / 109, 4)


def test_roots_have_their_shares_and_groups_theirs_within_them() -> None:
    assert shares(root_weights=(1, 3), sample={"by": ("language",)}) == {"en": 0.225, "cy": 0.025, "fr": 0.75}
    split = shares(root_weights=(1, 1), sample={"by": ("language",), "temperature": 0})
    assert split == {"en": 0.25, "cy": 0.25, "fr": 0.5}
    with pytest.raises(UserError, match="has 3 weights, and there are 2 folders"):
        shares(root_weights=(1, 1, 1))
    with pytest.raises(UserError, match="no sample of folder 2"):
        reading_rates({SampleGroup(0, ()): FOUND[EN]}, SamplerConfig(root_weights=(1, 1)), 2)


@given(st.integers(1, 5 * ONCE), st.integers(0, 2**64 - 1), st.integers(0, 1000))
def test_a_sample_has_its_turns_evenly(rate: int, number: int, epoch: int) -> None:
    times = [times_read(rate, epoch + more, number) for more in range(12)]
    assert all(rate // ONCE <= count <= most_read(rate) for count in times)
    assert abs(sum(times) - 12 * rate / ONCE) <= 1
    assert times_read(ONCE, epoch, number) == 1


def test_thinned_samples_are_all_read_once_in_as_many_epochs() -> None:
    numbers = range(0, 2**32, 2**27)
    read = Counter(n for epoch in range(4, 8) for n in numbers for _ in range(times_read(ONCE // 4, epoch, n)))
    assert read == Counter(numbers)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ({"temperature": 0.5}, "set `by`"),
        ({"by": ("tier",), "weights": {"language": {"en": 2}}}, "not in `by`"),
        ({"by": ("tier",), "weights": {"tier": {"high": 0}}}, "greater than 0"),
    ],
)
def test_what_makes_no_sense_is_refused(sample: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SamplerConfig(sample=sample)  # type: ignore[arg-type]


def test_a_group_of_seconds_is_not_read_for_hours() -> None:
    found = {SampleGroup(0, ("en",)): GroupAmount(1000, 3600 * 16000 * 1000), SampleGroup(0, ("la",)): GroupAmount(1, 160_000)}
    config = SamplerConfig.model_validate({"sample": {"by": ["language"], "temperature": 0.0}})
    assert reading_rates(found, config, 1)[SampleGroup(0, ("la",))] == MOST * ONCE

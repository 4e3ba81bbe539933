"""Samples are random, seeded, without repetition, and every source has its share of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory import item, provenance
from voxmill.manifests.errors import UserError
from voxmill.manifests.records import Item
from voxmill.pipeline.planning.population import OTHERS, draw_sample, population_of, scaled
from voxmill.pipeline.planning.sample_run import SampleSize, parse_size


def items(**counts: int) -> list[Item]:
    return [
        item(f"{source} {n}", kind="http", provenance=provenance(source=source, url=f"https://{source}.org:8443/{n}.mp3"))
        for source, count in counts.items()
        for n in range(count)
    ]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 5), st.integers(1, 130), st.integers(0, 2**31 - 1))
def test_a_sample_has_no_item_twice_and_something_of_every_stratum(a: int, b: int, c: int, count: int, seed: int) -> None:
    listed = items(a=a, b=b, c=c)
    population = population_of(listed, count)
    drawn = draw_sample(listed, population, count, seed=seed)
    assert len(set(drawn)) == len(drawn)
    rounded = len(population.strata)  # each stratum is rounded up
    assert min(count, len(listed)) <= len(drawn) <= max(min(count, len(listed)) + rounded, 2 * len(population.strata))
    source = {one.id: population.stratum(one.provenance.source) for one in listed}
    shares = Counter(source[name] for name in drawn)
    assert shares.keys() == population.strata.keys()
    for name, size in population.strata.items():
        assert shares[name] >= min(size, 2, count)
        assert shares[name] <= max(2, len(drawn) * size / len(listed) + len(population.strata))
    assert drawn == draw_sample(listed, population, count, seed=seed)


def test_another_seed_is_another_sample() -> None:
    listed = items(a=200)
    population = population_of(listed, 10)
    assert draw_sample(listed, population, 10, seed=0) != draw_sample(listed, population, 10, seed=1)


def test_sources_that_are_too_small_to_be_sampled_each_are_one_stratum() -> None:
    population = population_of(items(large=95, **{f"s{n}": 1 for n in range(5)}), 20)
    assert population.strata == {"large": 95, OTHERS: 5}
    assert population.stratum("s3") == OTHERS
    assert population.hosts["large.org:8443"] == 95


def test_sizes_count_where_all_of_a_source_are_files_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_bytes(bytes(1000))
    (tmp_path / "two.wav").write_bytes(bytes(500))
    files = [
        item(name, kind="file", provenance=provenance(source="files", url=(tmp_path / name).as_uri()))
        for name in ("one.wav", "two.wav", "gone.wav")
    ]
    population = population_of([*files, *items(web=30)], 20)
    assert population.num_bytes == {"files": 1500}
    assert sorted(population.sizes.values()) == [0, 500, 1000]
    assert "files" not in population.hosts


def test_a_whole_of_other_hours_is_as_many_times_as_large() -> None:
    population = scaled(population_of(items(a=10, b=30), 20), 2.5)
    assert (population.strata, population.hosts["b.org:8443"]) == ({"a": 25, "b": 75}, 75)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "99999999999999999999", "0h", "2d", "", "1000001", "nan"])
def test_a_size_of_a_sample_that_is_none(text: str) -> None:
    with pytest.raises(UserError, match="--sample"):
        parse_size(text)


def test_sizes_of_samples() -> None:
    assert parse_size("1000000") == SampleSize(1_000_000)
    assert parse_size("0.5h").hours == 0.5

"""Repeats among recordings: the first in listing order wins, and earlier generations always."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory import item, recording
from rows import put
from stages import kind
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Recording
from voxmill.operators.contract.unit_input import Operator
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.pipeline.stage import Resources, Stage
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.units import UnitConfig


def _nothing() -> Operator:
    raise AssertionError("no worker runs here")


CRAWL = Stage("crawl", _nothing, kind("crawl"), ("items",), "v1", Resources())
DECODE = Stage("decode", _nothing, kind("decode"), ("crawl",), "v1", Resources())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(str(tmp_path))


def arrived(run: Run, *rows: Recording) -> list[tuple[str | None, str | None]]:
    """One more generation, in which these were fetched; reason and detail of each."""
    generation = run.listing.num_generations()
    source = SourceConfig(name=f"s{generation}", url=f"https://example.org/{generation}")
    run.listing.extend([source], lambda _: [item(f"{generation} {n}") for n in range(len(rows))])
    for n, group in enumerate(run.listing.groups(generation)):
        put(run, CRAWL, group, rows[8 * n : 8 * n + 8])
        put(run, DECODE, group, [row for row in rows[8 * n : 8 * n + 8] if row.rejection is None])
    run.listing.make_units(generation, CRAWL, DECODE, UnitConfig(seconds=30))
    verdicts = [r.rejection for r in run.listing.each_recording()][-len(rows) :]
    return [(v.reason, v.detail) if v else (None, None) for v in verdicts]


def test_the_first_of_two_equal_files_wins(run: Run) -> None:
    first = recording("a")
    again, rewrapped = recording("a", item_id="another"), recording("b", pcm_sha256=first.pcm_sha256, item_id="third")
    assert arrived(run, first, again, rewrapped) == [
        (None, None), ("crawl.duplicate", first.id), ("decode.duplicate", first.id)
    ]  # fmt: skip


def test_an_earlier_generation_always_wins(run: Run) -> None:
    assert arrived(run, recording("a")) == [(None, None)]
    assert arrived(run, recording("b"), recording("a", item_id="another")) == [
        (None, None), ("crawl.duplicate", recording("a").id)
    ]  # fmt: skip


def test_a_rejected_recording_makes_nothing_a_duplicate(run: Run) -> None:
    bad = recording("a", rejection=reject("decode.corrupt"))
    assert [reason for reason, _ in arrived(run, bad, recording("a", item_id="x"))] == ["decode.corrupt", None]


def test_over_many_groups_the_order_is_that_of_the_listing(run: Run) -> None:
    rows = [recording(f"{n % 10}", item_id=f"{n}") for n in range(25)]
    assert [reason for reason, _ in arrived(run, *rows)] == [None] * 10 + ["crawl.duplicate"] * 15

"""The executor that counts what another one does."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from jobs import Raises, Touch
from voxmill.pipeline.execution.executor import Job, KeyOnly
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.execution.metered_executor import MeteredExecutor
from voxmill.pipeline.monitoring.metric_sinks import TextFileSink
from voxmill.pipeline.stage import Done, Resources


def chain(folder: Path, second: type[Touch]) -> list[Job]:
    jobs = [partial(Touch, str(folder), "one"), partial(second, str(folder), "two", "one")]
    keys = ("good", "bad")
    return [Job(name, partial(KeyOnly, make), keys, Resources()) for name, make in zip(("one", "two"), jobs, strict=True)]


def test_what_the_inner_executor_reports_is_counted_and_passed_on(tmp_path: Path) -> None:
    file, seen = tmp_path / "voxmill.prom", list[Done]()
    MeteredExecutor(LocalExecutor(in_process=True), TextFileSink(file), "run-1").run(chain(tmp_path, Touch), seen.append)
    assert [done.unit for done in seen] == ["good", "good", "bad", "bad"]
    text = file.read_text(encoding="utf-8")
    assert 'voxmill_units_total{run="run-1",stage="two"} 2.0' in text
    assert 'voxmill_units_waiting{run="run-1",stage="two"} 0.0' in text


def test_counts_are_handed_over_when_a_run_fails(tmp_path: Path) -> None:
    file = tmp_path / "voxmill.prom"
    with pytest.raises(ValueError, match="a bug"):
        MeteredExecutor(LocalExecutor(in_process=True), TextFileSink(file), "x").run(chain(tmp_path, Raises), lambda _: None)
    assert 'voxmill_units_total{run="x",stage="two"} 1.0' in file.read_text(encoding="utf-8")

"""What `voxmill verify` says of a run that was stopped on purpose, and what it does not take for that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from factory import item, recording, segment
from rows import put
from voxmill.manifests.storage import commit_bytes
from voxmill.pipeline.build import build
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.reports.proof import Report
from voxmill.pipeline.reports.verify_run import verify
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.run import Run

CONFIG = parse_config(
    {
        "sources": [{"name": "source", "path": "/nowhere/a.wav"}],
        "crawl": {"contact": "tests@example.org"},
        "transcribe": [{"kind": "moonshine", "name": "m", "model": "moonshine-tiny-en"}],
    }
)


class Stopped:
    """A run, brought as far as a test wants."""

    def __init__(self, root: Path) -> None:
        self.run = Run(str(root))
        self.stages = build(CONFIG, self.run, no_gate())
        self.run.save({"buckets": 8, "config": CONFIG.model_dump(mode="json"), "fingerprints": {}})
        self.listing, self.ledger = self.run.listing, self.run.ledger

    def listed(self) -> Stopped:
        self.listing.extend(CONFIG.sources, lambda source: [item("a"), item("b")])
        return self

    def crawled(self) -> Stopped:
        rows = [recording("a"), recording("b")]
        for row in rows:
            commit_bytes(self.run.uri("audio", f"{row.provenance.url[-1]}.wav"), b"x")
        for name in ("crawl", "decode"):
            self.commit(self.stages[name], self.listing.groups(0)[0], rows)
        units = CONFIG.units.model_copy(update={"seconds": 10})
        self.listing.make_units(0, self.stages["crawl"], self.stages["decode"], units)
        return self

    def segmented(self, units: int) -> Stopped:
        for unit in [*self.listing.each_unit()][:units]:
            (part,) = unit.parts
            names = {recording(name).id: name for name in "ab"}
            self.commit(self.stages["segment"], unit.id, [segment(recording(names[part.recording_id]))])
        return self

    def commit(self, stage: Stage, key: str, rows: Sequence[object]) -> None:
        put(self.run, stage, key, rows)

    def report(self) -> Report:
        return verify(self.run, self.stages)


@pytest.fixture
def stopped(tmp_path: Path) -> Stopped:
    return Stopped(tmp_path / "run")


def test_nothing_listed_is_no_proof_of_anything(stopped: Stopped) -> None:
    assert stopped.report().pending == ["list: no source was listed", "pack"]


def test_after_list_and_crawl_what_there_is_is_proved_and_the_rest_is_named(stopped: Stopped) -> None:
    report = stopped.listed().report()
    assert report.ok
    assert [waiting.split(":")[0] for waiting in report.pending] == ["crawl", "decode", "pack"]
    report = stopped.crawled().report()
    assert report.ok
    assert [waiting.rpartition(":")[0] for waiting in report.pending] == ["segment", "transcribe:m", "reconcile", "select", ""]
    assert {b.stage: b.rows_in for b in report.balances} == {"crawl": 2, "decode": 2}
    assert stopped.segmented(2).report().pending[0] == "transcribe:m: 2 units"


def test_a_stage_that_was_broken_off_is_a_problem(stopped: Stopped) -> None:
    report = stopped.listed().crawled().segmented(1).report()
    assert not report.ok
    assert "no result of segment" in report.problems[0]


def test_what_later_stages_had_is_lost_and_not_to_come(stopped: Stopped) -> None:
    stopped.listed().crawled().segmented(2)
    group = stopped.listing.groups(0)[0]
    (chunk,) = stopped.ledger.chunk_files(stopped.stages["crawl"])
    Path(stopped.run.uri(chunk.rows)).unlink()
    assert [p.split(":")[1] for p in stopped.report().problems] == [" crawl", f" crawl {group}"]
    Path(stopped.run.uri("audio", "a.wav")).unlink()
    assert any("the audio of recording" in problem for problem in stopped.report().problems)

"""`voxmill status`: what the journal says, with a driver and without one."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from factory import item, recording, segment
from rows import put, put_by_item
from stages import kind
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.pipeline.cli import app
from voxmill.pipeline.reports.status import status
from voxmill.pipeline.stage import Resources, Stage, no_operator
from voxmill.pipeline.state.driver_lease import Lease
from voxmill.pipeline.state.listing import UNITS
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.units import UnitConfig


def stage(name: str) -> Stage:
    return Stage(name, no_operator, kind(name.partition(":")[0]), (), "ab", Resources())


def halfway(root: Path) -> Run:
    """Three units, one of which is segmented and one of which a worker died of."""
    run = Run(str(root))
    names = ["crawl", "decode", "segment", "transcribe:m"]
    run.save({"buckets": 1, "config": {}, "fingerprints": dict.fromkeys(["items", "units", *names], "ab")})
    run.listing.extend([SourceConfig(name="s", url="https://example.org/s")], lambda _: [item("abc"[n]) for n in range(3)])
    rows = [recording("abc"[n], 10) for n in range(3)]
    for name in ("crawl", "decode"):
        put_by_item(run, stage(name), rows)
    run.listing.make_units(0, stage("crawl"), stage("decode"), UnitConfig(seconds=10))
    unit = next(run.listing.each_unit()).id
    put(run, stage("segment"), unit, [segment(rows[0])])
    run.ledger.append({"strikes": {f"segment/ab {[*run.listing.each_unit()][1].id}": 1}})
    run.ledger.append({"in_flight": [f"segment/ab {[*run.listing.each_unit()][2].id}"]})
    assert len(run.ledger.done(UNITS)) == 3
    return run


def test_of_a_run_that_nobody_works_on(tmp_path: Path) -> None:
    run = halfway(tmp_path / "run")
    found = status(Run(run.root))
    assert (found.driver, found.sources, found.to_fetch, found.packed) == (None, 1, 0, False)
    assert [(s.stage, s.done, s.total, s.struck) for s in found.stages] == [
        ("crawl", 2, 2, 0), ("decode", 2, 2, 0), ("segment", 1, 3, 1), ("transcribe:m", 0, 3, 0)
    ]  # fmt: skip
    order = ["transcribe:m", "crawl", "mine", "segment", "decode", "select"]
    run.save({**run.load(), "fingerprints": dict.fromkeys(sorted(order), "ab")})
    assert [s.stage for s in status(Run(run.root)).stages] == ["crawl", "decode", "segment", "transcribe:m", "mine", "select"]
    assert [name[:8] for name in found.in_flight] == ["u0000002"]
    assert found.idle_s is not None


def test_while_a_driver_holds_the_run(tmp_path: Path) -> None:
    run = halfway(tmp_path / "run")
    with Lease(run):
        said = CliRunner().invoke(app, ["status", run.root])
        told = json.loads(CliRunner().invoke(app, ["status", run.root, "--json"]).stdout)
    assert "works on it" in said.output
    assert "nobody" not in said.output
    assert "1/3" in said.output
    assert told["driver"].startswith("process ")
    assert told["stages"][2] == {"stage": "segment", "done": 1, "total": 3, "struck": 1}
    assert "nobody works on it" in CliRunner().invoke(app, ["status", run.root]).output


def test_of_no_run_it_says_so(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["status", str(tmp_path)])
    assert said.exit_code
    assert "no run at" in str(said.exception)

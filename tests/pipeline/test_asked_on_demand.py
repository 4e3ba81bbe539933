"""A run with an engine that is asked only where the others disagree: its books, its cost, and what changes when it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from speech.packaged import TWO_CITIES
from voxmill.manifests.catalog import open_catalog
from voxmill.pipeline.build import build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.host_limit_server import open_gate
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.load_config import ConfigError, parse_config
from voxmill.pipeline.reports.verify_run import verify
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("on demand")]


def engine(name: str, call: str = "Instant", **more: Any) -> dict[str, Any]:
    return {"kind": "python", "name": name, "call": f"benchmarks.instant:{call}", "version": "1", **more}


def config(*engines: dict[str, Any]) -> RunConfig:
    return parse_config({
        "sources": [{"name": "two-cities", "path": str(TWO_CITIES.path), "language": "en", "licence": "cc0-1.0"}],
        "crawl": {"contact": "tests@example.org"}, "transcribe": list(engines), "units": {"seconds": 25},
        "select": {"languages": [], "rate_fence": None}, "pack": {"buckets": 1, "shard_mb": 1},
    })  # fmt: skip


THIRD = engine("third", when="agreement < 0.8")


def stages(root: Path, settings: RunConfig) -> dict[str, Stage]:
    return build(settings, Run(str(root)))


def test_a_run_balances_its_books_and_pays_for_what_was_asked(tmp_path: Path) -> None:
    settings = config(THIRD, engine("one"), engine("two", "Careless"))  # whatever the order in the config
    run = Run(str(tmp_path / "run"))
    with open_gate("machine", run, settings.crawl) as gate:
        run_line(settings, run, LocalExecutor(in_process=True), gate, Progress(quiet=True))
    assert verify(run, build(settings, run)).problems == []
    con = open_catalog(run.root)
    asked = con.execute("SELECT engine, rejection.reason, count(*) FROM hypotheses GROUP BY ALL ORDER BY ALL").fetchall()
    counts = {(name, reason): number for name, reason, number in asked}
    segments = counts["one", None]
    assert 0 < counts["third", None] < segments
    assert counts["third", None] + counts["third", "transcribe.not_asked"] == segments
    funnel = dict(con.execute("SELECT stage, (rows_in, rows_rejected) FROM funnel").fetchall())
    assert funnel["transcribe:third"] == (counts["third", None], 0)
    assert funnel["reconcile"][0] == segments
    voters = con.execute("SELECT len(engines), count(*), min(agreement) FROM consensus GROUP BY 1 ORDER BY 1").fetchall()
    assert [row[:2] for row in voters] == [(2, segments - counts["third", None]), (3, counts["third", None])]
    assert voters[0][2] >= 0.8
    lost = con.execute("SELECT count(*) FROM rejections WHERE reason LIKE 'transcribe.%'").fetchone()
    assert lost == (0,)


def test_what_it_heard_depends_on_those_before_it_and_they_not_on_it(tmp_path: Path) -> None:
    one, two = engine("one"), engine("two", "Careless")
    plain, routed = stages(tmp_path / "a", config(one, two)), stages(tmp_path / "b", config(one, two, THIRD))
    for name in ("transcribe:one", "transcribe:two"):
        assert plain[name].fingerprint == routed[name].fingerprint
    assert list(routed).index("transcribe:third") > list(routed).index("transcribe:two")
    fingerprints = {
        stages(tmp_path / "c", config(first, two, third))["transcribe:third"].fingerprint
        for first, third in ((one, THIRD), ({**one, "version": "2"}, THIRD), (one, {**THIRD, "when": "agreement < 0.9"}))
    }
    assert len(fingerprints) == 3
    always = stages(tmp_path / "d", config(one, two, engine("third")))["transcribe:third"]
    assert always.fingerprint not in fingerprints
    assert "transcribe:one" not in always.reads


def test_two_engines_have_to_be_asked_always() -> None:
    with pytest.raises(ConfigError, match="at least two need to be asked always"):
        config(engine("one"), THIRD)

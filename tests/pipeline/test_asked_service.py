"""A run with a recognition service as one of its engines: books, price, the key, and a service that is away."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.instant import Instant
from recognition_server import Served, serving
from speech.packaged import TWO_CITIES
from voxmill.manifests.catalog import open_catalog
from voxmill.pipeline.build import build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.host_limit_server import open_gate
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.preflight import examine
from voxmill.pipeline.reports.stats import print_stats
from voxmill.pipeline.reports.verify_run import verify
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("service")]
KEY = "sk-3c9e5a7f1b2d4c6e8a0f"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("ASR_KEY", KEY)
    with serving(Instant(), key=KEY) as one:
        yield one


def config(url: str, **more: Any) -> RunConfig:
    service = {
        "kind": "openai", "name": "judge", "url": url, "served_model": "instant", "key_variable": "ASR_KEY", "in_flight": 2,
        "allow_private": ["127.0.0.1"], "requests_per_second": 1000, "backoff": 0.01, "retries": 1, "timeout": 5,
        "price_per_hour": 3.6, "price_per_request": 0.5, **more,
    }  # fmt: skip
    other = {"kind": "python", "name": "one", "call": "benchmarks.instant:Instant", "version": "1"}
    return parse_config({
        "sources": [{"name": "two-cities", "path": str(TWO_CITIES.path), "language": "en", "licence": "cc0-1.0"}],
        "crawl": {"contact": "tests@example.org"}, "transcribe": [other, service], "units": {"seconds": 25},
        "select": {"languages": [], "rate_fence": None}, "pack": {"buckets": 1, "shard_mb": 1},
    })  # fmt: skip


def made(run: Run, settings: RunConfig) -> None:
    with open_gate("machine", run, settings.crawl) as gate:
        run_line(settings, run, LocalExecutor(in_process=True), gate, Progress(quiet=True))


def test_books_price_and_key(served: Served, tmp_path: Path) -> None:
    served.faults = [400]
    settings, run = config(served.url), Run(str(tmp_path / "run"))
    made(run, settings)
    assert verify(run, build(settings, run)).problems == []
    con = open_catalog(run.root)
    counts = dict(
        con.execute("SELECT rejection.reason, count(*) FROM hypotheses WHERE engine = 'judge' GROUP BY ALL").fetchall()
    )
    assert counts["transcribe.no_answer"] == 1
    assert counts[None] + 1 == len(served.asked)
    (row,) = con.execute("SELECT num_segments, num_requests, num_unanswered, hours, price FROM service_cost").fetchall()
    (seconds,) = con.execute("SELECT sum(num_samples) / 16000 FROM segments WHERE rejection IS NULL").fetchone()
    assert row[:3] == (len(served.asked), len(served.asked), 1)
    assert row[3] == pytest.approx(seconds / 3600)
    assert row[4] == pytest.approx(seconds / 1000 + 0.5 * len(served.asked))
    said = io.StringIO()
    print_stats(run.root, console=Console(file=said, width=160))
    assert f"judge was asked {len(served.asked)} times" in said.getvalue()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not [path for path in written if KEY.encode() in path.read_bytes()]
    asked = len(served.asked)
    made(run, settings)
    assert len(served.asked) == asked  # nothing is asked twice


def test_where_it_is_and_what_it_costs_change_nothing_and_its_version_does(served: Served, tmp_path: Path) -> None:
    def fingerprint(**more: Any) -> str:
        settings = config(**{"url": served.url, **more})
        return build(settings, Run(str(tmp_path / "run")))["transcribe:judge"].fingerprint

    same = fingerprint()
    for change in (
        {"url": "https://asr.example.org/v1"},
        {"timeout": 9},
        {"price_per_hour": 1.0},
        {"retries": 7},
        {"in_flight": 1},
    ):
        assert fingerprint(**change) == same
    assert len({same, fingerprint(version="2"), fingerprint(served_model="other"), fingerprint(word_times=False)}) == 4
    assert build(config(served.url), Run(str(tmp_path / "run")))["transcribe:judge"].resources.workers == 1


def test_a_service_that_is_away_stops_the_run_which_goes_on_later(served: Served, tmp_path: Path) -> None:
    run = Run(str(tmp_path / "run"))
    with pytest.raises(StageError, match=r"127.0.0.1:9 cannot be reached"):
        made(run, config("http://127.0.0.1:9/v1"))
    settings = config(served.url)
    made(run, settings)
    assert verify(run, build(settings, run)).problems == []
    assert len(served.asked) > 3


def test_a_key_that_is_not_set_is_said_before_the_run(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [issue for issue in examine(config(served.url)) if "ASR_KEY" in str(issue)]
    monkeypatch.delenv("ASR_KEY")
    (issue,) = [issue for issue in examine(config(served.url)) if "ASR_KEY" in str(issue)]
    assert str(issue) == "engine judge, key_variable: ASR_KEY is not set in the environment: export ASR_KEY=…"
    assert issue.external

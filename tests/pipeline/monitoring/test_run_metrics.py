"""Counts of finished units, under the names of the table, with bounded numbers of series."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from voxmill.manifests.records import Hypothesis, Part, Rejection, Segment
from voxmill.manifests.storage.request_count import count_request
from voxmill.operators.contract.meter import Meter
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.pipeline.monitoring.metric_sinks import FILE_VARIABLE, TextFileSink, open_sink
from voxmill.pipeline.monitoring.metric_table import METRICS
from voxmill.pipeline.monitoring.run_metrics import MAX_HOSTS, RunMetrics
from voxmill.pipeline.monitoring.store_counts import StoreCounts
from voxmill.pipeline.monitoring.unit_counts import unit_counts
from voxmill.pipeline.stage import Done
from voxmill.pipeline.stages import KINDS

KIND = {kind.name: kind for kind in KINDS}
Samples = dict[tuple[str, str], float]


def read(path: Path, label: str = "stage") -> Samples:
    """(name, value of one label) -> value."""
    families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
    return {(one.name, one.labels.get(label, "")): one.value for family in families for one in family.samples}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "voxmill.prom"


def test_a_finished_unit_is_counted_under_the_names_of_the_table(file: Path) -> None:
    metrics = RunMetrics(TextFileSink(file), "one")
    metrics.expect([("segment", 3), ("select", 3)])
    unit = Done("segment", "u", 4, 2, 60.0, 1.5, 1.0, kept_s=40.0, reasons=(("segment.no_speech", 2, 20.0),))
    metrics.finished(unit)
    metrics.finished(Done("segment", "v", skipped=True))
    metrics.finished(Done("segment", "w", worker="another machine:1"))
    metrics.tick()
    seen = read(file)
    assert seen["voxmill_units_total", "segment"] == 2, "a skipped unit is none that was done"
    assert seen["voxmill_audio_seconds_total", "segment"] == 60.0
    assert seen["voxmill_kept_seconds_total", "segment"] == 40.0
    assert read(file, "reason")["voxmill_rejected_seconds_total", "segment.no_speech"] == 20.0
    assert read(file, "reason")["voxmill_rejected_rows_total", "segment.no_speech"] == 2
    assert seen["voxmill_unit_duration_seconds_sum", "segment"] == 1.5
    assert seen["voxmill_workers", "segment"] == 2
    assert {run for _, run in read(file, "run")} == {"one"}


def test_every_name_of_the_table_is_in_the_file(file: Path) -> None:
    TextFileSink(file).flush()
    text = file.read_text(encoding="utf-8")
    assert all(f"# TYPE {metric.exposed} {metric.kind}\n" in text for metric in METRICS)


def test_the_queue_of_a_stage_is_what_the_stage_before_has_handed_over(file: Path) -> None:
    metrics = RunMetrics(TextFileSink(file), "one")
    metrics.expect([("segment", 10), ("select", 12)])  # two units had been heard before
    for unit in "abc":
        metrics.finished(Done("segment", unit))
    metrics.finished(Done("select", "a"))
    metrics.tick()
    seen = read(file)
    assert seen["voxmill_units_waiting", "segment"] == 7
    assert seen["voxmill_units_waiting", "select"] == 4
    assert seen["voxmill_units_expected", "select"] == 12
    assert seen["voxmill_units_left", "select"] == 11


def test_hosts_beyond_a_few_share_a_series(file: Path) -> None:
    metrics = RunMetrics(TextFileSink(file), "one")
    for number in range(500):
        metrics.finished(Done("crawl", str(number), waits=((f"h{number}.org", 1.0 + number),)))
    metrics.tick()
    metrics.finished(Done("crawl", "more", waits=(("h499.org", 1.0), ("h0.org", 1.0))))
    metrics.tick()
    hosts = {host: s for (name, host), s in read(file, "host").items() if name == "voxmill_host_wait_seconds_total"}
    assert len(hosts) == MAX_HOSTS + 1
    assert hosts["h499.org"] == 501.0
    assert sum(hosts.values()) == sum(range(1, 501)) + 2


def test_seconds_of_a_unit_are_those_of_its_rows_or_of_the_segments_they_are_about() -> None:
    no = Rejection("segment.no_speech")
    tiles = [Segment("a", "r", 0, 16000), Segment("b", "r", 16000, 32000, None, no), Segment("c", "r", 48000, 16000, None, no)]
    unit = UnitInput("u", parts=(Part("r", 0, 64000),))
    counts = unit_counts(KIND["segment"], unit, tiles)
    assert (counts["kept_s"], counts["reasons"]) == (1.0, (("segment.no_speech", 2, 3.0),))
    heard = UnitInput("u", segments=(tiles[0], Segment("d", "r", 64000, 8000)))
    hypotheses = [Hypothesis("a", "e", "", ""), Hypothesis("d", "e", "", "", rejection=Rejection("transcribe.failed"))]
    counts = unit_counts(KIND["transcribe"], heard, hypotheses)
    assert (counts["kept_s"], counts["reasons"]) == (1.0, (("transcribe.failed", 1, 0.5),))


def test_requests_of_driver_and_workers_are_told_apart_and_taken_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxmill.pipeline.monitoring.run_metrics.STORE_COUNTS", counts := StoreCounts())
    counts.take()  # what this process had sent before
    metrics = RunMetrics(TextFileSink(file), "one")
    for again in (False, True, False):
        count_request("get", again=again)
    metrics.finished(Done("segment", "u", requests=(7, 2)))
    metrics.finished(Done("segment", "v", skipped=True, requests=(1, 0)))
    metrics.tick()
    metrics.tick()
    seen = read(file, "by")
    assert (seen["voxmill_store_requests_total", "driver"], seen["voxmill_store_retries_total", "driver"]) == (3, 1)
    assert (seen["voxmill_store_requests_total", "worker"], seen["voxmill_store_retries_total", "worker"]) == (8, 2)


def test_waits_are_taken_once() -> None:
    meter = Meter()
    meter.waited("a.org", 1.0)
    meter.waited("a.org", 0.5)
    assert meter.take_waits() == {"a.org": 1.5}
    assert meter.take_waits() == {}


def test_without_ray_and_without_a_file_nothing_is_counted(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    assert open_sink("local") is None
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    assert isinstance(open_sink("local"), TextFileSink)

"""Every metric that a run exports, once: name, kind, meaning, labels. Documentation, dashboard and alerts are made from this table.

Ray's exporter puts `ray_` before every name and adds labels of its own (session, node). All metrics of a run come from its driver: workers
hand their counts over with each finished unit (`Done`), so that the number of time series does not grow with the number of workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MetricKind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. Its values also carry the label `run`, the last part of the run's place."""

    name: str
    """Without the suffix `_total` of counters and without Ray's prefix."""
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets."""

    @property
    def exposed(self) -> str:
        """The name that Prometheus sees, without Ray's prefix; of a histogram the part before `_bucket`, `_sum` and `_count`."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


METRICS = (
    Metric("voxmill_units", "counter", "Units (groups of items, shards) that a stage finished in this run of the command", ("stage",)),
    Metric("voxmill_units_expected", "gauge", "Units that a stage had to do when it began", ("stage",)),
    Metric("voxmill_units_left", "gauge", "Units that a stage has still to do", ("stage",)),
    Metric("voxmill_units_waiting", "gauge", "Units that the stage before has finished and this stage has not: its queue", ("stage",)),
    Metric("voxmill_audio_seconds", "counter", "Seconds of audio that went into a stage", ("stage",)),
    Metric("voxmill_kept_seconds", "counter", "Seconds of audio that a stage kept", ("stage",)),
    Metric("voxmill_rejected_seconds", "counter", "Seconds of audio that a stage rejected, by reason", ("stage", "reason")),
    Metric("voxmill_kept_rows", "counter", "Rows (recordings, segments, samples) that a stage kept", ("stage",)),
    Metric("voxmill_rejected_rows", "counter", "Rows that a stage rejected, by reason", ("stage", "reason")),
    Metric("voxmill_busy_seconds", "counter", "Seconds that workers spent on units of a stage", ("stage",)),
    Metric("voxmill_cpu_seconds", "counter", "CPU seconds that workers spent on units of a stage", ("stage",)),
    Metric("voxmill_unit_duration_seconds", "histogram", "How long a worker took for one unit (s)", ("stage",),
           (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)),
    Metric("voxmill_workers", "gauge", "Workers that finished a unit of a stage in the last ten minutes", ("stage",)),
    Metric("voxmill_store_requests", "counter", "Requests to the run's store, by who made them (driver, worker)", ("by",)),
    Metric("voxmill_store_retries", "counter", "Requests to the run's store that had to be made again", ("by",)),
    Metric("voxmill_host_wait_seconds", "counter", "Seconds that fetches waited for their turn at a host; hosts after the first "
           "20 are `other`", ("host",)),
)  # fmt: skip
"""In the order in which dashboard and documentation list them."""

METRIC_BY_NAME = {metric.name: metric for metric in METRICS}

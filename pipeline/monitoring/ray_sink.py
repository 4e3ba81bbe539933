"""Metrics through Ray's own exporter: every node serves those of its processes, and Ray writes the list of nodes for Prometheus.

See https://docs.ray.io/en/latest/cluster/metrics.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from voxmill.pipeline.monitoring.metric_table import METRICS


class RaySink:
    """Says nothing while this process is not connected to Ray. Ray forgets a gauge that is not set again for 20 s."""

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """See `MetricSink.count`."""
        if _connected():
            _metrics()[name].inc(value, dict(labels))

    def gauge(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """See `MetricSink.gauge`."""
        if _connected():
            _metrics()[name].set(value, dict(labels))

    def observe(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """See `MetricSink.observe`."""
        if _connected():
            _metrics()[name].observe(value, dict(labels))

    def flush(self) -> None:
        """Ray sends what it has every 10 s by itself."""


def _connected() -> bool:
    """An executor joins or starts Ray when it has something to do, not before."""
    import ray

    return bool(ray.is_initialized())


@cache
def _metrics() -> dict[str, Any]:
    """Once a process: a metric that is registered twice counts twice."""
    from ray.util.metrics import Counter, Gauge, Histogram

    made: dict[str, Any] = {}
    for metric in METRICS:
        labels = (*metric.labels, "run")
        if metric.kind == "histogram":
            made[metric.name] = Histogram(metric.name, metric.help, boundaries=list(metric.buckets), tag_keys=labels)
        else:
            made[metric.name] = (Counter if metric.kind == "counter" else Gauge)(metric.name, metric.help, tag_keys=labels)
    return made

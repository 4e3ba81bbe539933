"""Where metrics go: Ray's own exporter, or a text file for the node exporter of Prometheus."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from voxmill.pipeline.monitoring.metric_table import METRICS

FILE_VARIABLE = "VOXMILL_METRICS_FILE"
"""Environment variable that names the text file, for runs without Ray or without its exporter."""


class MetricSink(Protocol):
    """Takes values under names of the table, each with all labels of its metric and `run`."""

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Adds `value` > 0 to a counter."""

    def gauge(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Sets a gauge."""

    def observe(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Adds an observation to a histogram."""

    def flush(self) -> None:
        """Called every few seconds, and at the end of each chain of stages."""


def open_sink(kind: str) -> MetricSink | None:
    """The sink of an executor of this kind: the file that `VOXMILL_METRICS_FILE` names, else Ray's exporter on `ray`, else None."""
    if path := os.environ.get(FILE_VARIABLE):
        return TextFileSink(path)
    if kind == "ray":
        from voxmill.pipeline.monitoring.ray_sink import RaySink  # loads Ray

        return RaySink()
    return None


class TextFileSink:
    """Prometheus' text format in one file, replaced atomically at every flush; see node exporter's textfile collector."""

    def __init__(self, path: str | Path) -> None:
        """Raises UserError where prometheus_client is not installed."""
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError:
            from voxmill.manifests.errors import UserError

            raise UserError(f"{FILE_VARIABLE} needs the package prometheus-client: pip install prometheus-client") from None
        self._path, self._registry = str(path), CollectorRegistry()
        made: dict[str, Any] = {}
        for metric in METRICS:
            labels = (*metric.labels, "run")
            if metric.kind == "histogram":
                made[metric.name] = Histogram(metric.name, metric.help, labels, registry=self._registry, buckets=metric.buckets)
            else:
                make = Counter if metric.kind == "counter" else Gauge
                made[metric.name] = make(metric.name, metric.help, labels, registry=self._registry)
        self._metrics = made

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """See `MetricSink.count`."""
        self._metrics[name].labels(**labels).inc(value)

    def gauge(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """See `MetricSink.gauge`."""
        self._metrics[name].labels(**labels).set(value)

    def observe(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """See `MetricSink.observe`."""
        self._metrics[name].labels(**labels).observe(value)

    def flush(self) -> None:
        """See `MetricSink.flush`."""
        from prometheus_client import write_to_textfile

        write_to_textfile(self._path, self._registry)

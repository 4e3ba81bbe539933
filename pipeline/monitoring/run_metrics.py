"""Counts what a run does, under the names of the table: from jobs, from finished units, and from this process's own requests."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from voxmill.pipeline.monitoring.metric_sinks import MetricSink
from voxmill.pipeline.monitoring.store_counts import STORE_COUNTS
from voxmill.pipeline.stage import Done

MAX_HOSTS = 20
"""Hosts with a time series of their own; the rest are `other`. A crawl may meet a hundred thousand hosts, and no Prometheus wants them."""


SEEN_S = 600.0
"""A worker counts for so long after its last unit."""


@dataclass(slots=True)
class _Stage:
    expected: int
    before: _Stage | None
    done: int = 0

    @property
    def left(self) -> int:
        return max(0, self.expected - self.done)

    @property
    def waiting(self) -> int:
        """What the stage before still has will come later; the rest of what is left is here."""
        return max(0, self.left - self.before.left) if self.before else self.left


@dataclass(slots=True)
class RunMetrics:
    """One chain of stages. `finished` and `tick` may be called from different threads."""

    sink: MetricSink
    run: str
    """Label of every value: the last part of the run's place."""
    _stages: dict[str, _Stage] = field(default_factory=dict)
    _seen: dict[tuple[str, str], float] = field(default_factory=dict)
    """When a worker last finished a unit of a stage."""
    _waits: dict[str, float] = field(default_factory=dict)
    _hosts: set[str] = field(default_factory=set)
    _sums: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)
    """Counted since the last `tick`: an addition here costs a tenth of a call of Ray's."""
    _lock: Lock = field(default_factory=Lock)

    def expect(self, jobs: Sequence[tuple[str, int]]) -> None:
        """The stages of a chain in their order, with how many units each has to do."""
        with self._lock:
            self._stages, before = {}, None
            for name, units in jobs:
                before = self._stages[name] = _Stage(units, before)

    def finished(self, done: Done) -> None:
        """Counts one unit of one stage; one that was done before only shortens the queue."""
        with self._lock:
            self._seen[done.stage, done.worker] = time.monotonic()
            if stage := self._stages.get(done.stage):
                stage.done += 1
            for host, seconds in done.waits:
                self._waits[host] = self._waits.get(host, 0.0) + seconds
        self.requests("worker", *done.requests)
        if done.skipped:
            return
        labels = {"stage": done.stage}
        self._count("voxmill_units", 1, labels)
        self._count("voxmill_audio_seconds", done.seconds, labels)
        self._count("voxmill_kept_rows", done.kept, labels)
        self._count("voxmill_kept_seconds", done.kept_s, labels)
        self._count("voxmill_busy_seconds", done.wall_s, labels)
        self._count("voxmill_cpu_seconds", done.cpu_s, labels)
        self.sink.observe("voxmill_unit_duration_seconds", done.wall_s, self._labelled(labels))
        for reason, rows, seconds in done.reasons:
            self._count("voxmill_rejected_rows", rows, {**labels, "reason": reason})
            self._count("voxmill_rejected_seconds", seconds, {**labels, "reason": reason})

    def requests(self, by: str, requests: int, retries: int) -> None:
        """Requests to the store since the last call, of which so many were repeated; `by` is `driver` or `worker`."""
        self._count("voxmill_store_requests", requests, {"by": by})
        self._count("voxmill_store_retries", retries, {"by": by})

    def tick(self) -> None:
        """Sets every gauge anew (Ray forgets one that is not), and hands over what was gathered since the last call."""
        with self._lock:
            stages = {name: (stage.expected, stage.left, stage.waiting) for name, stage in self._stages.items()}
            waits, self._waits = self._waits, {}
            self._seen = {key: at for key, at in self._seen.items() if time.monotonic() - at < SEEN_S}
            workers = Counter(stage for stage, _ in self._seen)
        for name, (expected, left, waiting) in stages.items():
            self.sink.gauge("voxmill_units_expected", expected, self._labelled({"stage": name}))
            self.sink.gauge("voxmill_units_left", left, self._labelled({"stage": name}))
            self.sink.gauge("voxmill_units_waiting", waiting, self._labelled({"stage": name}))
        for name, number in workers.items():
            self.sink.gauge("voxmill_workers", number, self._labelled({"stage": name}))
        for host, seconds in sorted(waits.items(), key=lambda wait: -wait[1]):
            if len(self._hosts) < MAX_HOSTS:
                self._hosts.add(host)
            self._count("voxmill_host_wait_seconds", seconds, {"host": host if host in self._hosts else "other"})
        self.requests("driver", *STORE_COUNTS.take())
        with self._lock:
            sums, self._sums = self._sums, {}
        for (metric, labels), value in sums.items():
            self.sink.count(metric, value, self._labelled(dict(labels)))
        self.sink.flush()

    def _count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        if value > 0:
            key = name, tuple(labels.items())
            with self._lock:
                self._sums[key] = self._sums.get(key, 0.0) + value

    def _labelled(self, labels: Mapping[str, str]) -> dict[str, str]:
        return {**labels, "run": self.run}

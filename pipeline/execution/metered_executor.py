"""An executor that tells Prometheus what the one inside it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread

from voxmill.pipeline.execution.executor import NO_BOOKS, Books, Executor, Job, Report
from voxmill.pipeline.monitoring.metric_sinks import MetricSink, open_sink
from voxmill.pipeline.monitoring.run_metrics import RunMetrics
from voxmill.pipeline.stage import Done

EVERY_S = 5.0
"""Ray hands metrics on every 10 s and forgets a gauge after 20."""


def metered(executor: Executor, kind: str, root: str) -> Executor:
    """The executor, with metrics where its kind has any; `root` is the run's place, whose last part is the label `run`."""
    sink = open_sink(kind)
    return MeteredExecutor(executor, sink, root.rstrip("/").rsplit("/", 1)[-1]) if sink else executor


class MeteredExecutor:
    """Runs jobs like the executor inside, and counts."""

    def __init__(self, inner: Executor, sink: MetricSink, run: str) -> None:
        self._inner, self._metrics = inner, RunMetrics(sink, run)

    def run(self, jobs: Sequence[Job], report: Report, books: Books = NO_BOOKS) -> None:
        """See `Executor.run`."""

        def counted(done: Done) -> None:
            self._metrics.finished(done)
            report(done)

        if not any(len(job.keys) for job in jobs):
            return
        self._metrics.expect([(job.name, len(job.keys)) for job in jobs])
        with self._ticking():
            self._inner.run(jobs, counted, books)

    @contextmanager
    def _ticking(self) -> Iterator[None]:
        stop = Event()

        def tick() -> None:
            while not stop.wait(EVERY_S):
                self._metrics.tick()

        self._metrics.tick()
        thread = Thread(target=tick, daemon=True, name="metrics")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self._metrics.tick()

"""One worker of one stage: reads a unit's fragments, runs the operator, commits its fragment. The same on every executor.

Retry-safe by construction: a committed unit is skipped, an attempt leaves a marker before it starts, and a unit that has
already cost two attempts is taken apart to find the member that does it (`quarantine.py`).
"""

from __future__ import annotations

import os
import platform
import resource
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from voxmill.manifests.records import Consensus, Hypothesis, Item, Labels, Recording, Segment, Unit
from voxmill.operators.work import Operator, Work
from voxmill.pipeline.ledger import Ledger
from voxmill.pipeline.quarantine import insert
from voxmill.pipeline.run import Run
from voxmill.pipeline.stage import Done, Stage

MAX_ATTEMPTS = 2
"""Attempts at a unit (then at each member alone) before it is suspected (then quarantined)."""

MAX_DEADLY = 6
"""Members of one unit that may kill their worker before its other members are given up untried: each costs two workers."""


class StageError(Exception):
    """A stage fails on every member of a unit: a broken set-up, not bad data. The run stops and nothing is lost."""


class Worker:
    """`Worker(root, stage, reads)(unit) -> Done`. The operator is built at the first unit that needs it, then kept."""

    def __init__(self, root: str, stage: Stage, reads: Sequence[Stage], session: str = "") -> None:
        self._run, self._stage, self._reads = Run(root), stage, tuple(reads)
        self._ledger = Ledger(self._run, session)
        self._operator: Operator | None = None

    def __call__(self, unit: str) -> Done:
        stage, ledger = self._stage, self._ledger
        if ledger.is_done(stage, unit):
            return Done(stage.name, unit, skipped=True)
        work = self._load(unit)
        operator = self._build()
        wall, cpu = time.monotonic(), time.process_time()
        strikes = ledger.strikes(stage, unit)
        bad = self._isolate(unit, work) if strikes >= MAX_ATTEMPTS else {}
        if strikes >= 2 * MAX_ATTEMPTS and not bad:
            bad = dict.fromkeys(work.members(), "the worker died on this unit, though on none of its members alone")
        attempt = ledger.begin(stage, unit)
        try:
            try:
                rows = list(operator(work.without(bad)))
            except Exception:  # noqa: BLE001 - the one boundary where an operator's error becomes an outcome
                bad = self._isolate(unit, work)
                rows = list(operator(work.without(bad)))
        except (KeyboardInterrupt, SystemExit):
            ledger.withdraw(stage, unit)  # stopped on purpose: no mark against this unit
            raise
        rows = [self._portable(row) for row in (insert(stage, work, rows, bad) if work.members() else rows)]
        done = _summary(stage, unit, work, rows, time.monotonic() - wall, time.process_time() - cpu)
        ledger.commit(stage, unit, rows, _cost(done, attempt))
        return done

    def replay(self, unit: str, only: str | None = None) -> list[Any]:
        """The rows that the stage makes of a unit, or of one member of it; nothing is marked or written."""
        work = self._load(unit)
        return list(self._build()(work.only(only) if only else work))

    def _build(self) -> Operator:
        if self._operator is None:
            try:
                self._operator = self._stage.make()
            except ImportError as error:
                hint = "install the extra that holds it, e.g. pip install 'voxmill[all]'"
                raise StageError(f"stage {self._stage.name} cannot start: {error}; {hint}") from error
        return self._operator

    def _load(self, unit: str) -> Work:
        fields: dict[str, Any] = {"unit": unit}
        for stage in self._reads:
            rows = self._ledger.read(stage, unit)
            if stage.writes is Unit:
                fields["parts"] = rows[0].parts
                continue
            name = _FIELD[stage.writes]
            if stage.writes in (Recording, Segment):
                rows = [r for r in rows if r.rejection is None]
            fields[name] = fields.get(name, ()) + tuple(rows)
        fields["recordings"] = tuple(openable(self._run, r) for r in fields.get("recordings", ()))
        return Work(**fields)

    def _portable(self, row: Any) -> Any:
        """A recording's audio inside the run is stored relative to it, so that a run can be moved or copied."""
        prefix = self._run.uri("")
        if isinstance(row, Recording) and row.audio and row.audio.startswith(prefix):
            return replace(row, audio=row.audio[len(prefix) :])
        return row

    def _isolate(self, unit: str, work: Work) -> dict[str, str]:
        """Which members die or fail alone, with why. Their results are thrown away: only the whole unit's count.

        A member is bad when it raises, or when two attempts at it alone began and none ended. After `MAX_DEADLY` of the second
        kind every member that has not been tried is bad.
        Raises StageError where every one of several members fails in the same way.
        """
        stage, ledger, bad = self._stage, self._ledger, dict[str, str]()
        operator, errors, deadly = self._build(), list[BaseException](), 0
        for key in work.members():
            verdict = ledger.verdict(stage, unit, key)
            if verdict is None and ledger.strikes(stage, unit, key) >= MAX_ATTEMPTS:
                verdict = f"the worker died on this {MAX_ATTEMPTS} times; reproduce: {self._repro(unit, key)}"
                deadly += 1
            elif verdict is None and deadly >= MAX_DEADLY:
                verdict = f"not tried: the worker died on {deadly} others of unit {unit}; reproduce: {self._repro(unit, key)}"
            if verdict is None:
                ledger.begin(stage, unit, key)
                verdict = ""
                try:
                    operator(work.only(key))
                except (KeyboardInterrupt, SystemExit):
                    ledger.withdraw(stage, unit, key)
                    raise
                except Exception as error:  # noqa: BLE001
                    errors.append(error)
                    verdict = f"{_last_frame(error)}; reproduce: {self._repro(unit, key)}"
                ledger.end(stage, unit, key, verdict)
            if verdict:
                bad[key] = verdict
        if len(errors) == len(work.members()) > 1 and len({repr(e) for e in errors}) == 1:
            raise StageError(f"stage {stage.name} fails on every member of unit {unit}: {errors[0]!r}") from errors[0]
        return bad

    def _repro(self, unit: str, key: str) -> str:
        return f"voxmill replay {self._run.root} --stage {self._stage.name} --unit {unit} --only {key}"


_FIELD: dict[type, str] = {
    Item: "items", Recording: "recordings", Segment: "segments",
    Hypothesis: "hypotheses", Consensus: "consensus", Labels: "labels",
}  # fmt: skip


def openable(run: Run, recording: Recording) -> Recording:
    """The recording with `audio` as a URI that can be opened from here, wherever the run lies."""
    uri = recording.audio
    return recording if uri is None or "://" in uri or os.path.isabs(uri) else replace(recording, audio=run.uri(uri))


def _last_frame(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({os.path.basename(frame.filename)}:{frame.lineno} {frame.name})"


def _summary(stage: Stage, unit: str, work: Work, rows: Sequence[Any], wall: float, cpu: float) -> Done:
    rejected = sum(row.rejection is not None for row in rows if not isinstance(row, Labels))
    parts = work.segments or work.parts or work.recordings
    return Done(stage.name, unit, len(rows) - rejected, rejected, sum(p.num_samples for p in parts) / 16000, wall, cpu)


def _cost(done: Done, attempts: int) -> dict[str, Any]:
    return {
        "wall_s": round(done.wall_s, 4),
        "cpu_s": round(done.cpu_s, 4),
        "max_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,  # Linux counts in KiB
        "host": platform.node(),
        "device": os.environ.get("CUDA_VISIBLE_DEVICES", "cpu") or "cpu",
        "attempts": attempts,
    }

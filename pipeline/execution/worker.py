"""One step of a worker: takes a unit's rows, runs the operator of one stage, hands its rows on. The same on every executor.

Rows of the stages before come along from whoever made them just now, else from the ledger. Safe to repeat: a unit that is done is skipped,
and one that has already cost two workers is taken apart to find the member that does it (`bisect.py`, `quarantine.py`).
"""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from voxmill.manifests.records import Pictures, Recording, Segment, Unit
from voxmill.manifests.storage import emit
from voxmill.manifests.tables import TABLE_OF
from voxmill.operators.contract.meter import METER
from voxmill.operators.contract.unit_input import Operator, UnitInput
from voxmill.pipeline.execution.activity import Reporter
from voxmill.pipeline.execution.bisect import MAX_ATTEMPTS, describe, isolate
from voxmill.pipeline.execution.cpu_type import cpu, refuses_to_pin, used
from voxmill.pipeline.execution.executor import Buffer
from voxmill.pipeline.execution.infra_errors import StageError, blamed
from voxmill.pipeline.execution.log_redaction import be_discreet
from voxmill.pipeline.execution.probe_input import plain_work
from voxmill.pipeline.execution.quarantine import insert
from voxmill.pipeline.monitoring.unit_counts import unit_counts
from voxmill.pipeline.stage import Done, Stage
from voxmill.pipeline.state.fragment import Cost, FragmentWriter
from voxmill.pipeline.state.member_marks import MemberMarks
from voxmill.pipeline.state.positions import position_of
from voxmill.pipeline.state.run import Run

COMPARED = 3
"""Other units that are asked whether a stage works at all, where one of its first units fails on all its members."""


class Worker:
    """The step of one stage (`PoolStep`). Its operator is built at the first unit that needs it."""

    def __init__(self, root: str, stage: Stage, reads: Sequence[Stage], session: str = "") -> None:
        be_discreet()
        self._run, self._stage, self._reads = Run(root, session), stage, tuple(reads)
        self._ledger = self._run.ledger
        self._reporter = Reporter(session)
        self._operator: Operator | None = None
        self._worked: UnitInput | None = None
        """Something that the stage could do, to be asked again where it fails."""
        self._apart = False
        """Whether the unit in hand is taken apart: then there are marks of it."""

    def __call__(self, key: str, carried: dict[str, Any], buffer: Buffer, strikes: int = 0) -> Done:
        """Does one unit: puts its rows into `carried`, for the stages after it, and leaves them to `buffer`, to be committed.

        Raises StageError where the stage or the machine fails, not the data.
        """
        stage = self._stage
        assert isinstance(buffer, FragmentWriter)
        if self._ledger.is_done(stage, key):
            return Done(stage.name, key, skipped=True)
        emit("began", f"{stage.key}/{key}")
        with blamed(f"stage {stage.name} stopped at unit {key}"):
            work = self._input(key, carried)
            if self._operator is None:
                with self._reporter.doing(stage.name, loading=True):
                    self._build()
            with self._reporter.doing(stage.name, _seconds(work)):
                rows, done = self._do(key, work, strikes)
        carried[stage.name] = buffer.add(stage, key, rows, _cost(done, strikes + 1))
        if strikes or self._apart:
            self._marks(key).clear()
            self._apart = False
        return done

    def _input(self, unit: str, carried: Mapping[str, list[Any]]) -> UnitInput:
        try:
            return self._load(unit, carried)
        except FileNotFoundError:  # committed since this worker has last looked
            self._ledger.refresh()
            return self._load(unit, carried)

    def _do(self, unit: str, work: UnitInput, strikes: int) -> tuple[list[Any], Done]:
        stage = self._stage
        wall, cpu = time.monotonic(), time.process_time()
        bad: Mapping[str, str] = self._isolate(unit, work, strikes) if strikes >= MAX_ATTEMPTS else {}
        if strikes >= 2 * MAX_ATTEMPTS and not bad:
            bad = dict.fromkeys(work.members(), "the worker died on this unit, though on none of its members alone")
        try:
            rows = self._apply(work.without(bad))
        except StageError:
            raise
        except Exception:  # noqa: BLE001 - the one boundary where an operator's error becomes an outcome
            bad = self._isolate(unit, work, strikes)
            rows, bad = self._apply_to_the_rest(work, bad)
        if good := next((key for key in work.members() if key not in bad), None):
            self._worked = work.only(good)
        rows = [self._portable(row) for row in (insert(stage, work, rows, bad) if work.members() else rows)]
        return rows, _summary(stage, unit, work, rows, time.monotonic() - wall, time.process_time() - cpu)

    def _apply_to_the_rest(self, work: UnitInput, bad: Mapping[str, str]) -> tuple[list[Any], Mapping[str, str]]:
        """(Rows without the bad members, those): of members that fail together, though none of them alone, all are bad."""
        try:
            return self._apply(work.without(bad)), bad
        except StageError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            why = f"{describe(error, self._run.root)}, though on none of its members alone"
            bad = {**dict.fromkeys(work.members(), why), **bad}
            return self._apply(work.without(bad)), bad

    def replay(self, unit: str, only: str | None = None) -> list[Any]:
        """The rows that the stage makes of a unit, or of one member of it; nothing is marked or written."""
        work = self._load(unit, {})
        return list(self._build()(work.only(only) if only else work))

    def _build(self) -> Operator:
        if self._operator is None:
            if refusal := refuses_to_pin():
                raise StageError(refusal)
            self._operator = self._stage.make()
        return self._operator

    def _apply(self, work: UnitInput) -> list[Any]:
        with blamed(f"stage {self._stage.name} stopped at unit {work.unit}", web=self._stage.kind == "crawl"):
            return list(self._build()(work))

    def _load(self, unit: str, carried: Mapping[str, list[Any]], position: int | None = None) -> UnitInput:
        fields: dict[str, Any] = {"unit": unit}
        for stage in self._reads:
            known = carried.get(stage.name)
            rows = self._ledger.read(stage, unit if position is None else position) if known is None else known
            if stage.writes is Unit:
                fields["parts"] = rows[0].parts
                continue
            if stage.writes in (Recording, Segment):
                rows = [r for r in rows if r.rejection is None]
            if name := TABLE_OF.get(stage.writes):
                fields[name] = fields.get(name, ()) + tuple(rows)
            else:
                fields["other"] = {**fields.get("other", {}), stage.name: tuple(rows)}
        fields["recordings"] = tuple(openable(self._run, r) for r in fields.get("recordings", ()))
        return UnitInput(**fields, by_part=self._stage.of.rows == "parts")

    def _portable(self, row: Any) -> Any:
        """A file inside the run is named relative to it, so that a run can be moved or copied."""
        prefix = self._run.uri("")
        if isinstance(row, Recording) and row.audio and row.audio.startswith(prefix):
            return replace(row, audio=row.audio[len(prefix) :])
        if isinstance(row, Pictures) and row.file and row.file.startswith(prefix):
            return replace(row, file=row.file[len(prefix) :])
        return row

    def _isolate(self, unit: str, work: UnitInput, strikes: int) -> dict[str, str]:
        """Which members die or fail alone, with why. Raises StageError where it is not the members that are at fault."""
        self._apart = True
        found = isolate(self._marks(unit), work.members(), lambda key: self._apply(work.only(key)))
        if found.worked:
            self._worked = work.only(found.worked)
        if found.errors:
            self._doubt(unit, list(found.errors.values()), strikes, work)
        return found.bad

    def _doubt(self, unit: str, errors: list[Exception], strikes: int, work: UnitInput) -> None:
        """Members failed: is it the stage? It is not if it still does what it did before, or works on anything else.

        Before anything has worked, a stage that hears is asked to hear a plain sound: inputs that fail alike prove nothing, they may
        be few, or odd in the same way. A crawler's errors are those of addresses, but for the machine's, which have names. Other
        stages are given members of other units: two or more that all fail with the same type of error, and none that works, are
        a broken set-up. A unit that has cost a worker is compared with nothing else, lest that cost more.
        """
        if self._worked is None and self._stage.kind == "crawl":
            return
        language = next((r.language for r in work.recordings), None)
        with plain_work(self._stage.of, language) as plain:
            known = self._worked or plain
            others = [known] if known else self._others(unit) if strikes < MAX_ATTEMPTS else []
            for other in others:
                try:
                    self._apply(other)
                except StageError:
                    raise
                except Exception as error:  # noqa: BLE001 - it is the answer
                    errors = [*errors, error]
                else:
                    self._worked = None if other is plain else other
                    return
        if known or (len(errors) > 1 and len({type(e) for e in errors}) == 1):
            tried = "what it could do before" if self._worked else "a plain sound" if known else f"all of {len(errors)} inputs"
            raise StageError(
                f"stage {self._stage.name} fails on unit {unit} and on {tried}: {describe(errors[-1], self._run.root)}"
            ) from errors[-1]

    def _others(self, unit: str) -> list[UnitInput]:
        """One member each of a few other units, those first that the stage has done."""
        if not self._reads:
            return []
        first, *rest = (self._ledger.done(stage) for stage in self._reads)
        done, here = self._ledger.done(self._stage), position_of(unit)
        ready = (n for n in first if n != here and all(n in other for other in rest))
        near = list(islice(ready, 8 * COMPARED))
        found: list[UnitInput] = []
        for position in sorted(near, key=lambda n: (n not in done, n))[:COMPARED]:
            work = self._load(unit, {}, position)
            found += [work.only(key) for key in work.members()[:1]]
        return found

    def _marks(self, unit: str) -> MemberMarks:
        return MemberMarks(self._run, self._stage, unit, self._run.session)


def openable(run: Run, recording: Recording) -> Recording:
    """The recording with `audio` as a URI that can be opened from here, wherever the run lies."""
    uri = recording.audio
    return recording if uri is None or "://" in uri or os.path.isabs(uri) else replace(recording, audio=run.uri(uri))


def _summary(stage: Stage, unit: str, work: UnitInput, rows: Sequence[Any], wall: float, cpu: float) -> Done:
    rejected = sum(row.rejection is not None for row in rows) if stage.of.can_reject else 0
    counts, waits = unit_counts(stage.of, work, rows), tuple(METER.take_waits().items())
    return Done(stage.name, unit, len(rows) - rejected, rejected, _seconds(work), wall, cpu, waits=waits, **counts)


def _seconds(work: UnitInput) -> float:
    """Audio in a unit, as far as it is known."""
    return sum(p.num_samples for p in work.segments or work.parts or work.recordings) / 16000


def _cost(done: Done, attempts: int) -> Cost:
    kind, _, engine = done.stage.partition(":")
    return Cost(
        unit=done.unit,
        stage=kind,
        engine=engine or None,
        wall_s=round(done.wall_s, 4),
        cpu_s=round(done.cpu_s, 4),
        max_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,  # Linux counts in KiB
        host=platform.node(),
        device=os.environ.get("CUDA_VISIBLE_DEVICES", "cpu") or "cpu",
        attempts=attempts,
        cpu=cpu(),
        isa=used(),
    )

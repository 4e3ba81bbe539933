"""The driver's loop: the dispatcher decides, a crew carries out, until every key is committed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from voxmill.pipeline.execution.crew import Crew
from voxmill.pipeline.execution.dispatcher import Dispatcher
from voxmill.pipeline.execution.executor import Books, Report
from voxmill.pipeline.execution.resize import homeless
from voxmill.pipeline.execution.team import Team

LOOK_S = 0.5
"""How long the driver waits for its workers at most before it looks after them (s)."""

IN_FLIGHT_S = 30.0
"""How often the driver tells which keys are in the hands of workers (s)."""

PATIENCE_S = 5.0
"""How long the first worker may wait for a place before the screen says so (s), where no machine can hold it."""

LONG_S = 30.0
"""The same where a machine can: it may be starting."""


def drive(teams: Sequence[Team], crew: Crew, report: Report, books: Books, commit_seconds: float) -> None:
    """Every key through every pool. However it ends, workers are ended, and what they have flushed until then is told to `books.committed`.

    Raises WorkerDied, and what a step has raised.
    """
    dispatcher = Dispatcher(teams, report, books, commit_seconds)
    told, told_at, waits = list[str](), time.monotonic(), False
    try:
        while not dispatcher.over:
            now = time.monotonic()
            for action in dispatcher.act(now, crew.rooms()):
                crew.carry_out(action)
            for event in crew.wait(LOOK_S):
                for action in dispatcher.take(event, time.monotonic()):
                    crew.carry_out(action)
            if now - told_at > IN_FLIGHT_S:
                told_at, before, told = now, told, dispatcher.in_flight()
                if told != before:
                    books.in_flight(told)
            pool = homeless(teams, PATIENCE_S, now)
            if pool is None:
                waits = False
            elif not waits and (line := crew.missing(pool, homeless(teams, LONG_S, now) == pool)):
                books.say(line)
                waits = True
    finally:
        flushed = list[Any]()
        try:
            for handled in crew.stop():
                flushed += handled.flushed
        finally:
            dispatcher.end(flushed)

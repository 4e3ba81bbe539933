"""How long a store that is away is waited for, and who is told.

A request that fails for the moment (no connection, no answer in time, HTTP 429, 500, 502, 503 or 504, `SlowDown`) is sent again, because
models are loaded and a store usually comes back. The pauses double from 0.1 s to 15 s and are drawn at random below that bound (full
jitter, "Exponential backoff and jitter", AWS Architecture Blog 2015), so that a thousand workers do not come back at the same moment.
A request that was refused (permission, no such bucket, no room) is not: waiting would not help.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from voxmill.manifests.attended import is_attended
from voxmill.manifests.errors import Unavailable, UserError

WAIT = "VOXMILL_STORE_WAIT"
"""Environment variable: seconds for which a store that does not answer is waited for."""

DEFAULT_WAIT_S = 600.0
FIRST_ANSWER_S = 15.0
"""A store that has not answered once is rather mistyped than away: a command waits for it no longer than this. Its workers know that there
is a store, and wait."""
SILENT_S = 10.0
"""A store that is away for less than this is no news."""

FIRST_S, LONGEST_S = 0.1, 15.0
"""Bounds of the first pause and of the longest."""

TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP answers after which the same request may well succeed."""

outage_listeners: list[Callable[[str], None]] = []
"""Who is told in one line that a store is away: the last of them. Without one it is a warning in the log `voxmill.store`, where it
also says when the store is back."""

_LOG = logging.getLogger("voxmill.store")
_limit: ContextVar[float | None] = ContextVar("_limit", default=None)


class StoreError(Unavailable):
    """A store cannot be used: it did not come back in time, or has no such bucket. The message says what to do; nothing is lost."""


@contextmanager
def wait_at_most(seconds: float) -> Iterator[None]:
    """Requests made in the block wait for a store no longer than this, whatever the environment says: somebody is waiting for the answer."""
    token = _limit.set(seconds)
    try:
        yield
    finally:
        _limit.reset(token)


def wait_seconds() -> float:
    """How long a store is waited for (s): `wait_at_most`, else VOXMILL_STORE_WAIT, else ten minutes. Raises UserError."""
    if (limit := _limit.get()) is not None:
        return limit
    given = os.environ.get(WAIT, "")
    try:
        seconds = float(given) if given else DEFAULT_WAIT_S
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"{WAIT}={given}: not a number of seconds: give one from 0, or leave it out for {DEFAULT_WAIT_S:.0f}")
    return seconds


class StoreHealth:
    """Whether one store answers, as far as this process knows."""

    def __init__(self, name: str) -> None:
        self.name = name
        """For people, such as `the store at https://host:port`."""
        self._met = False
        """It has answered once."""
        self._away_since: float | None = None
        self._told = False

    def answered(self) -> None:
        """It gave an answer, even a refusal."""
        self._met = True
        if self._away_since is None:
            return
        away, told = time.monotonic() - self._away_since, self._told
        self._away_since, self._told = None, False
        if told:  # a fault is one line on the screen, and that it is over shows: work goes on
            _LOG.info("%s answers again after %.0f s", self.name, away)

    def pause(self, why: str, attempt: int, since: float, name: str = "") -> float:
        """Seconds until the next try of a request that failed.

        `attempt` counts its tries from 1, `since` is the `time.monotonic` of its first failure, `name` what it asked for. Raises StoreError where it was tried long enough.
        """
        now, limit = time.monotonic(), wait_seconds()
        if is_attended() and not self._met and not os.environ.get(WAIT):
            limit = min(limit, FIRST_ANSWER_S)
        if self._away_since is None:
            self._away_since = now
        left = limit - (now - since)
        if left <= 0:
            self._away_since, self._told = None, False
            raise StoreError(
                f"{self.name} did not answer for {now - since:.0f} s ({why}{name and f', asked for {name}'}): check that it runs and can be reached"
                + ("" if _limit.get() is not None else f"; {WAIT}=SECONDS waits longer")
            )
        if not self._told and now - self._away_since >= SILENT_S:
            self._told = True
            _tell(f"{self.name} does not answer ({why}): waiting up to {_span(limit)} for it; nothing is lost")
        return min(left, random.uniform(0, min(LONGEST_S, FIRST_S * 2.0 ** min(attempt, 32))))


def _tell(line: str) -> None:
    if outage_listeners:
        outage_listeners[-1](line)
    else:
        _LOG.warning(line)


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"

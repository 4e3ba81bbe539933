"""How many requests this process sent to object stores. A store bills each of them, and a run of millions of units is made of them."""

from __future__ import annotations

import os
from typing import NamedTuple


class RequestCount(NamedTuple):
    """Requests of one kind."""

    sent: int
    """All of them, those that were sent again included."""
    again: int
    """Those that were sent again because the one before failed for the moment."""


_counted: dict[str, list[int]] = {}


def requests() -> dict[str, RequestCount]:
    """Requests since this process began, by kind: `get`, `head`, `list`, `put` (parts of an upload too), `delete`, `other`.

    Each try counts, as it does on the bill. A disk has no requests. A fork begins at nothing.
    """
    return {kind: RequestCount(*numbers) for kind, numbers in sorted(_counted.items())}


def count_request(kind: str, *, again: bool) -> None:
    """Counts one try of a request. Called from the one thread in which fsspec talks to stores, so nothing is locked."""
    numbers = _counted.setdefault(kind, [0, 0])
    numbers[0] += 1
    numbers[1] += again


os.register_at_fork(after_in_child=_counted.clear)

"""Every step of a commit that a crash can separate from the next one is announced, so that a test can kill the process there.

`staged`: the bytes are safe, the name does not exist yet. `committed`: the name exists. `removed`: it is gone for good.
Workers announce `began` for each unit of each stage.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import cache

Event = Callable[[str, str], None]
"""Called with the name of the event and the URI that it is about."""

events: list[Event] = []
"""Listeners of this process. Worker processes are reached by VOXMILL_ON_COMMIT=module:function in their environment."""


def emit(event: str, uri: str) -> None:
    """Calls every listener, those of VOXMILL_ON_COMMIT included."""
    for listener in (*events, *_listeners_from(os.environ.get("VOXMILL_ON_COMMIT", ""))):
        listener(event, uri)


@cache
def _listeners_from(spec: str) -> tuple[Event, ...]:
    """`module:function` -> that function; nothing -> nobody."""
    if not spec:
        return ()
    module, _, name = spec.partition(":")
    return (getattr(importlib.import_module(module), name),)

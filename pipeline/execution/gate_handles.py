"""Handles to a gate in another process: what workers are given. Every method of `HostGate` is one call."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.managers import BaseManager
from typing import Any

from voxmill.operators.crawl.policy.host_limit import GateMessage, GateReply, Refused

METHODS = ("exchange", "report", "recall", "remember")
"""The methods of `HostGate`."""


class GateHandle:
    """A gate elsewhere, reached by `_call`."""

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def exchange(self, message: GateMessage) -> GateReply:
        """See `HostGate.exchange`."""
        reply: GateReply = self._call("exchange", message)
        return reply

    def report(
        self, host: str, status: int, *, retry_after: float | None = None, bot_page: str | None = None
    ) -> Refused | None:
        """See `HostGate.report`."""
        refused: Refused | None = self._call("report", host, status, retry_after=retry_after, bot_page=bot_page)
        return refused

    def recall(self, origin: str, name: str) -> str | None:
        """See `HostGate.recall`."""
        value: str | None = self._call("recall", origin, name)
        return value

    def remember(self, origin: str, name: str, value: str, seconds: float) -> None:
        """See `HostGate.remember`."""
        self._call("remember", origin, name, value, seconds)


class _Manager(BaseManager):
    pass


_Manager.register("gate", exposed=METHODS)


class ProcessGate(GateHandle):
    """Reaches the driver's gate from another process of this machine; connects at the first call.

    All calls come from one thread: a manager's proxy opens a connection for each thread that uses it, and the driver serves each with another.
    """

    def __init__(self, address: Any, key: bytes) -> None:
        self._address, self._key = address, key
        self._thread = ThreadPoolExecutor(1, "gate")
        self._proxy: Any = None

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._thread.submit(self._ask, method, args, kwargs).result()

    def _ask(self, method: str, args: Any, kwargs: Any) -> Any:
        if self._proxy is None:
            manager = _Manager(self._address, self._key)
            manager.connect()
            self._proxy = manager.gate()  # type: ignore[attr-defined]
        return getattr(self._proxy, method)(*args, **kwargs)

    def __reduce__(self) -> tuple[Callable[..., ProcessGate], tuple[Any, bytes]]:
        return ProcessGate, (self._address, self._key)


class ActorGate(GateHandle):
    """Reaches the actor that holds the gate, from anywhere in the cluster."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        import ray

        return ray.get(getattr(self._actor, method).remote(*args, **kwargs))

"""One gate for a whole run, however many workers: held in one place, reached through a handle that travels to workers.

Its state (breakers, Retry-After, robots verdicts) is persisted in `RUN/hosts.json`, so that a host that said stop is not
asked again by the next command.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.managers import BaseManager
from threading import Event, Thread
from typing import Any, Literal

from voxmill.manifests.storage import commit_bytes
from voxmill.manifests.user_input import json_object
from voxmill.operators.crawl.policy.host_limit import GateAnswer, GateSettings, HostGate, LocalGate, Refused
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import exists, read_bytes

SAVE_EVERY_S = 5.0

Reach = Literal["machine", "cluster"]

METHODS = ("acquire", "report", "release", "recall", "remember")


@contextmanager
def open_gate(reach: Reach, run: Run, rules: GateSettings) -> Iterator[HostGate]:
    """The run's gate, for workers on this machine, Ray's or ours, or anywhere on the cluster that Ray is connected to."""
    uri = run.uri("hosts.json")
    fix = "delete it: hosts that said stop are then asked once more"
    saved = json_object(read_bytes(uri), uri, fix) if exists(uri) else None
    opened = _cluster_gate if reach == "cluster" else _machine_gate
    with opened(rules, saved) as (gate, state):
        stop = Event()
        saver = Thread(target=_save_now_and_then, args=(uri, state, stop), daemon=True)
        saver.start()
        try:
            yield gate
        finally:
            stop.set()
            saver.join()


def no_gate() -> HostGate:
    """For commands that fetch nothing: refuses every request."""
    return _Closed()


class _Closed:
    def acquire(self, host: str, min_interval: float = 0.0) -> GateAnswer:
        return Refused("crawl.blocked", "this command fetches nothing")

    def report(
        self, host: str, status: int, *, retry_after: float | None = None, bot_page: str | None = None
    ) -> Refused | None:
        return None

    def release(self, host: str, lease: str, num_bytes: int) -> None: ...

    def recall(self, origin: str, name: str) -> str | None:
        return None

    def remember(self, origin: str, name: str, value: str, seconds: float) -> None: ...


class _Handle:
    """A gate elsewhere: every method of `HostGate` is one call."""

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def acquire(self, host: str, min_interval: float = 0.0) -> GateAnswer:
        answer: GateAnswer = self._call("acquire", host, min_interval)
        return answer

    def report(
        self, host: str, status: int, *, retry_after: float | None = None, bot_page: str | None = None
    ) -> Refused | None:
        refused: Refused | None = self._call("report", host, status, retry_after=retry_after, bot_page=bot_page)
        return refused

    def release(self, host: str, lease: str, num_bytes: int) -> None:
        self._call("release", host, lease, num_bytes)

    def recall(self, origin: str, name: str) -> str | None:
        value: str | None = self._call("recall", origin, name)
        return value

    def remember(self, origin: str, name: str, value: str, seconds: float) -> None:
        self._call("remember", origin, name, value, seconds)


class _Manager(BaseManager):
    pass


_Manager.register("gate", exposed=METHODS)


class _ProcessGate(_Handle):
    """Reaches the driver's gate from its worker processes; connects at the first call."""

    def __init__(self, address: Any, key: bytes) -> None:
        self._address, self._key = address, key
        self._proxy: Any = None

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if self._proxy is None:
            manager = _Manager(self._address, self._key)
            manager.connect()
            self._proxy = manager.gate()  # type: ignore[attr-defined]
        return getattr(self._proxy, method)(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _ProcessGate, (self._address, self._key)


class _ActorGate(_Handle):
    """Reaches the actor that holds the gate, from anywhere in the cluster."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        import ray

        return ray.get(getattr(self._actor, method).remote(*args, **kwargs))


Opened = tuple[HostGate, Callable[[], dict[str, Any]]]


@contextmanager
def _machine_gate(rules: GateSettings, saved: dict[str, Any] | None) -> Iterator[Opened]:
    gate = LocalGate(rules, saved)

    class Served(BaseManager):
        pass

    Served.register("gate", callable=lambda: gate, exposed=METHODS)
    key = secrets.token_bytes(16)
    server = Served(authkey=key).get_server()
    thread = Thread(target=_serve, args=(server,), daemon=True)
    thread.start()
    try:
        yield _ProcessGate(server.address, key), gate.state
    finally:
        server.stop_event.set()  # type: ignore[attr-defined]
        thread.join(5)


def _serve(server: Any) -> None:
    try:
        server.serve_forever()
    except SystemExit:
        return  # how a manager's server ends


@contextmanager
def _cluster_gate(rules: GateSettings, saved: dict[str, Any] | None) -> Iterator[Opened]:
    import ray

    # max_concurrency 1: the actor is the lock. Without restarts a lost gate means no fetch, never an unguarded one.
    actor = ray.remote(num_cpus=0, max_restarts=0)(_Held).remote(rules, saved)
    try:
        yield _ActorGate(actor), lambda: dict(ray.get(actor.state.remote()))
    finally:
        ray.kill(actor)


class _Held:
    """What the actor holds: Ray needs a class that it can build itself."""

    def __init__(self, rules: GateSettings, saved: dict[str, Any] | None) -> None:
        self._gate = LocalGate(rules, saved)

    def acquire(self, host: str, min_interval: float) -> GateAnswer:
        return self._gate.acquire(host, min_interval)

    def report(self, host: str, status: int, **details: Any) -> Refused | None:
        return self._gate.report(host, status, **details)

    def release(self, host: str, lease: str, num_bytes: int) -> None:
        self._gate.release(host, lease, num_bytes)

    def recall(self, origin: str, name: str) -> str | None:
        return self._gate.recall(origin, name)

    def remember(self, origin: str, name: str, value: str, seconds: float) -> None:
        self._gate.remember(origin, name, value, seconds)

    def state(self) -> dict[str, Any]:
        return self._gate.state()


def _save_now_and_then(uri: str, state: Callable[[], dict[str, Any]], stop: Event) -> None:
    """What has not changed is not written: a driver that the lease turns away must not undo what the living one has saved."""
    last = json.dumps(state(), sort_keys=True).encode()
    while True:
        ended = stop.wait(SAVE_EVERY_S)
        now = json.dumps(state(), sort_keys=True).encode()
        if now != last:
            commit_bytes(uri, now, replace=True)
            last = now
        if ended:
            return

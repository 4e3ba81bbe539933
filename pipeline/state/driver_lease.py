"""One driver at a time: a lease inside the run, renewed while the driver lives, taken over when it is gone.

Clocks of two machines are never compared to refuse a run: whoever finds a lease that may be somebody's watches it by a clock of his own
that only counts seconds. One that changes meanwhile is a living driver's, one that stays as it is for as long as was promised is nobody's,
whatever date it bears.

A driver that was away for longer than its lease (a laptop asleep, a stopped process, a store out of reach) may come back to a run that
is another's: it looks as soon as it notices, before it renews, and stops itself.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import time
import uuid
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil

from voxmill.manifests.storage import StoreError, commit_bytes, remove
from voxmill.pipeline.state.run_dir import RunDir, RunError, read_bytes

EXPIRES_S = 60.0
"""A lease that did not change for this long belongs to nobody. On the same machine a dead process frees it at once."""

_LOOKS = 60
"""How often a lease is looked at while it is watched, and the own one's clock while it is held."""


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)


class Lease:
    """`with Lease(run): …`. Raises RunError where another living driver holds the run, or has taken it over meanwhile.

    Where it takes a while to find out, `say` is told. Two drivers that slip past each other still do no harm: fragments are
    deterministic and never overwritten.
    """

    def __init__(self, run: RunDir, say: Callable[[str], None] = _warn) -> None:
        self._uri = run.uri("lease.json")
        self._root = run.root
        self._say = say
        self._token = uuid.uuid4().hex
        self._renewals = 0
        self._stop = Event()
        self._lost = False
        self._thread = Thread(target=self._renew, daemon=True)

    def refuse(self) -> None:
        """Raises RunError where a driver of this machine is known to hold the run; takes nothing, and waits for nothing."""
        lease = self._read()
        if lease and _here(lease) and not _dead(lease) and _fresh(lease):
            raise self._in_use(lease)

    def __enter__(self) -> Lease:
        self.refuse()
        lease = self._read()
        if lease and not _dead(lease):
            self._wait_for(lease)
        self._write()
        if not self._is_ours():
            raise RunError(f"{self._root} was taken by another driver at the same moment: try again")
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._stop.set()
            self._thread.join()
        except KeyboardInterrupt:  # our own, come late
            if not self._lost:
                raise
        if self._lost:
            raise RunError(
                f"{self._root} was not renewed for {EXPIRES_S:.0f} s and may be another driver's now: this one stopped. "
                "What it committed stays; run again when the other one has ended"
            ) from None
        if self._is_ours():
            remove(self._uri)

    def _wait_for(self, lease: dict[str, Any]) -> None:
        """Returns when a lease is nobody's. Raises RunError as soon as it is seen to be somebody's."""
        # A date that is long gone is a hint, and a living driver renews four times as often as it must.
        patience = EXPIRES_S if _age(lease) <= EXPIRES_S else EXPIRES_S / 3
        self._say(
            f"{self._root} has a lease of {_holder(lease)}: watching for up to {patience:.0f} s whether that driver is still there"
        )
        began = time.monotonic()
        while time.monotonic() - began < patience:
            time.sleep(EXPIRES_S / _LOOKS)
            now = self._read()
            if not now or _dead(now):
                return
            if now != lease:
                raise self._in_use(now)

    def _in_use(self, lease: dict[str, Any]) -> RunError:
        return RunError(
            f"{self._root} is in use by {_holder(lease)}: wait for it, or stop it; "
            f"a dead driver's lease ends by itself after {EXPIRES_S:.0f} s"
        )

    def _read(self) -> dict[str, Any]:
        """Empty where there is none that could be read as one."""
        try:
            lease = json.loads(read_bytes(self._uri))
        except (ValueError, FileNotFoundError):
            return {}
        return lease if isinstance(lease, dict) else {}

    def _write(self) -> None:
        self._renewals += 1
        lease = {
            "token": self._token,
            "pid": os.getpid(),
            "started": _started(os.getpid()),
            "host": platform.node(),
            "boot": _machine(),
            "renewed": time.time(),
            "renewals": self._renewals,  # so that it changes, even if a clock stands still or is set back
        }
        commit_bytes(self._uri, json.dumps(lease).encode(), replace=True)

    def _is_ours(self) -> bool:
        return bool(self._read().get("token") == self._token)

    def _renew(self) -> None:
        """Renews four times as often as it must, and at once after a sleep."""
        renewed = tried = _clock()
        while not self._stop.wait(EXPIRES_S / _LOOKS):
            if _clock() - tried < EXPIRES_S / 4:
                continue
            tried = _clock()
            with suppress(OSError, StoreError):  # a store may be back later; whose lease it is then is looked at first
                if not self._is_ours():
                    break
                self._write()
                renewed = _clock()
            if _clock() - renewed > EXPIRES_S:
                break
        else:
            return
        self._lost = True
        _interrupt()


def _clock() -> float:
    """Seconds that pass, those of a machine asleep included where the system counts them. No date, and nothing sets it."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


def _machine() -> str:
    """This boot of this machine, and the space in which a process id means something (a container has one of its own)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return str(int(psutil.boot_time()))


def _started(pid: int) -> str:
    """When a process started, in a measure that no clock's jump changes where there is one; empty for one that is no more."""
    try:
        state, *_, ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:20]
        return "" if state in ("Z", "X") else ticks
    except (OSError, ValueError):
        pass
    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.Error:
        return ""


def _here(lease: dict[str, Any]) -> bool:
    return bool(lease.get("host") == platform.node() and lease.get("boot") == _machine())


def _dead(lease: dict[str, Any]) -> bool:
    """Whether a lease is of a process of this machine that is no more. Of another machine nobody can tell."""
    return _here(lease) and (not str(lease.get("pid")).isdigit() or _started(int(lease["pid"])) != lease.get("started"))


def _holder(lease: dict[str, Any]) -> str:
    return f"process {lease.get('pid', '?')} on {lease.get('host', 'an unknown machine')}"


def holder_of(run: RunDir) -> str | None:
    """Who holds a run, as far as its lease says: of this machine a process that lives, of another one that may. None: nobody."""
    try:
        lease = json.loads(read_bytes(run.uri("lease.json")))
    except (ValueError, FileNotFoundError):
        return None
    return _holder(lease) if isinstance(lease, dict) and not _dead(lease) else None


def _age(lease: dict[str, Any]) -> float:
    """Seconds since it was renewed, if its clock and ours agree; below zero where they cannot."""
    renewed = lease.get("renewed")
    return time.time() - renewed if isinstance(renewed, (int, float)) else 0.0


def _fresh(lease: dict[str, Any]) -> bool:
    return 0 <= _age(lease) <= EXPIRES_S


def _interrupt() -> None:
    """Ends this process as Ctrl-C does; where that is ignored, as in the background of a script, as `kill` does."""
    ignored = signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None)
    os.kill(os.getpid(), signal.SIGTERM if ignored else signal.SIGINT)

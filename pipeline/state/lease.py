"""One driver at a time: a lease inside the run, renewed while the driver lives, taken over when it is gone.

A driver that was away for longer than its lease (a laptop asleep, a store out of reach) may come back to a run that is another's:
it looks before it renews, and stops itself.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import time
import uuid
from contextlib import suppress
from threading import Event, Thread

import psutil
from fsspec.core import url_to_fs

from voxmill.manifests.commit import commit_bytes
from voxmill.pipeline.state.run import Run, RunError, exists, read_bytes

EXPIRES_S = 60.0
"""A lease that was not renewed for this long belongs to nobody. On the same machine a dead process frees it at once."""


class Lease:
    """`with Lease(run): …`. Raises RunError where another living driver holds the run, or has taken it over meanwhile.

    Two drivers that slip past each other still do no harm: fragments are deterministic and never overwritten.
    """

    def __init__(self, run: Run) -> None:
        self._uri = run.uri("lease.json")
        self._root = run.root
        self._token = uuid.uuid4().hex
        self._stop = Event()
        self._lost = False
        self._thread = Thread(target=self._renew, daemon=True)

    def refuse(self) -> None:
        """Raises RunError where another living driver holds the run; takes nothing."""
        holder = self._holder()
        if holder is not None:
            raise RunError(
                f"{self._root} is in use by process {holder['pid']} on {holder['host']}: wait for it, or stop it; "
                f"a dead driver's lease ends by itself after {EXPIRES_S:.0f} s"
            )

    def __enter__(self) -> Lease:
        self.refuse()
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
            fs, path = url_to_fs(self._uri)
            fs.rm(path)

    def _holder(self) -> dict[str, object] | None:
        lease = self._read()
        if not lease or time.time() - float(str(lease["renewed"])) > EXPIRES_S:
            return None
        here = lease["host"] == platform.node() and lease["boot"] == int(psutil.boot_time())
        return None if here and not _alive(int(str(lease["pid"])), float(str(lease["started"]))) else lease

    def _read(self) -> dict[str, object]:
        if not exists(self._uri):
            return {}
        try:
            lease: dict[str, object] = json.loads(read_bytes(self._uri))
        except (json.JSONDecodeError, FileNotFoundError):
            return {}
        return lease

    def _write(self) -> None:
        me = psutil.Process()
        lease = {
            "token": self._token,
            "pid": os.getpid(),
            "started": me.create_time(),
            "host": platform.node(),
            "boot": int(psutil.boot_time()),
            "renewed": time.time(),
        }
        commit_bytes(self._uri, json.dumps(lease).encode(), replace=True)

    def _is_ours(self) -> bool:
        return self._read().get("token") == self._token

    def _renew(self) -> None:
        renewed = time.monotonic()
        while not self._stop.wait(EXPIRES_S / 4):
            with suppress(OSError):  # a store that does not answer may be back before the lease has expired
                if not self._is_ours():
                    break
                self._write()
                renewed = time.monotonic()
            if time.monotonic() - renewed > EXPIRES_S:
                break
        else:
            return
        self._lost = True
        _interrupt()


def _interrupt() -> None:
    """Ends this process as Ctrl-C does; where that is ignored, as in the background of a script, as `kill` does."""
    ignored = signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None)
    os.kill(os.getpid(), signal.SIGTERM if ignored else signal.SIGINT)


def _alive(pid: int, started: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - started) < 2
    except psutil.NoSuchProcess:
        return False

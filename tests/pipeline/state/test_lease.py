"""One driver at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from voxmill.pipeline.state.lease import EXPIRES_S, Lease
from voxmill.pipeline.state.run import Run, RunError


def test_a_second_driver_is_refused_and_told_who_holds_the_run(tmp_path: Path) -> None:
    with Lease(Run(str(tmp_path))), pytest.raises(RunError, match="in use by process"):
        Lease(Run(str(tmp_path))).__enter__()
    with Lease(Run(str(tmp_path))):
        assert (tmp_path / "lease.json").exists()
    assert not (tmp_path / "lease.json").exists()


def test_a_dead_driver_on_this_machine_holds_nothing(tmp_path: Path) -> None:
    code = f"from voxmill.pipeline.state.lease import Lease; from voxmill.pipeline.state.run import Run; import os; Lease(Run({str(tmp_path)!r})).__enter__(); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert (tmp_path / "lease.json").exists()
    with Lease(Run(str(tmp_path))):
        pass


@pytest.mark.parametrize(("age", "held"), [(EXPIRES_S / 2, True), (EXPIRES_S * 2, False)])
def test_a_driver_elsewhere_holds_the_run_until_its_lease_expires(tmp_path: Path, age: float, held: bool) -> None:
    lease = {
        "token": "x",
        "pid": 1,
        "started": 0.0,
        "host": "elsewhere",
        "boot": int(psutil.boot_time()),
        "renewed": time.time() - age,
    }
    (tmp_path / "lease.json").write_text(json.dumps(lease))
    try:
        with Lease(Run(str(tmp_path))):
            assert not held
    except RunError:
        assert held


def drive(run: Run, meanwhile: Callable[[], object]) -> None:
    """A driver at work for ten seconds, unless it is stopped."""
    with Lease(run):
        meanwhile()
        time.sleep(10)
        pytest.fail("it went on")


def test_a_driver_that_lost_its_lease_stops_and_leaves_the_new_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxmill.pipeline.state.lease.EXPIRES_S", 0.2)
    lease, other = tmp_path / "lease.json", json.dumps({"token": "other"})
    with pytest.raises(RunError, match="another driver's now"):
        drive(Run(str(tmp_path)), lambda: lease.write_text(other))  # as a second driver does while this one is paused
    assert lease.read_text() == other


def test_a_lease_that_cannot_be_renewed_is_given_up_when_it_has_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(self: Lease) -> None:
        raise OSError("no answer")

    monkeypatch.setattr("voxmill.pipeline.state.lease.EXPIRES_S", 0.2)
    began = time.monotonic()
    with pytest.raises(RunError, match="another driver's now"):
        drive(Run(str(tmp_path)), lambda: monkeypatch.setattr(Lease, "_write", unreachable))
    assert time.monotonic() - began > 0.2


def test_ctrl_c_is_still_ctrl_c(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Lease(Run(str(tmp_path))):
        raise KeyboardInterrupt
    assert not (tmp_path / "lease.json").exists()

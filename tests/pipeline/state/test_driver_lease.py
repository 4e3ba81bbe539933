"""One driver at a time."""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest

from voxmill.manifests.storage import commit_bytes
from voxmill.pipeline.state.driver_lease import Lease
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError


def test_a_second_driver_is_refused_and_told_who_holds_the_run(tmp_path: Path) -> None:
    with Lease(Run(str(tmp_path))), pytest.raises(RunError, match="in use by process"):
        Lease(Run(str(tmp_path))).__enter__()
    with Lease(Run(str(tmp_path))):
        assert (tmp_path / "lease.json").exists()
    assert not (tmp_path / "lease.json").exists()


def test_a_dead_driver_on_this_machine_holds_nothing(tmp_path: Path) -> None:
    code = f"from voxmill.pipeline.state.driver_lease import Lease; from voxmill.pipeline.state.run import Run; import os; Lease(Run({str(tmp_path)!r})).__enter__(); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert (tmp_path / "lease.json").exists()
    with Lease(Run(str(tmp_path))):
        pass


DAYS = 86_400.0
QUICK = 0.3


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """Ctrl-C is heeded, as in a terminal: a background shell, or a test before this one, may have set it to be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    if before is not None:
        signal.signal(signal.SIGINT, before)


def elsewhere(**changes: object) -> dict[str, object]:
    return {"token": "x", "pid": 1, "started": "1", "host": "elsewhere", "boot": "b", "renewed": time.time(), **changes}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxmill.pipeline.state.driver_lease.EXPIRES_S", QUICK)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("ahead", [3 * DAYS, 0.1, 0.0, -QUICK / 2, -2 * QUICK, -3 * DAYS, float("nan"), float("inf")])
def test_a_lease_that_does_not_change_is_taken_over_whatever_its_date(tmp_path: Path, ahead: float) -> None:
    (tmp_path / "lease.json").write_text(json.dumps(elsewhere(renewed=time.time() + ahead)))
    said = list[str]()
    with Lease(Run(str(tmp_path)), said.append):
        assert json.loads((tmp_path / "lease.json").read_text())["host"] == platform.node()
    assert "process 1 on elsewhere" in said[0]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("ahead", [3 * DAYS, 0.0, -3 * DAYS])
def test_a_living_driver_elsewhere_holds_the_run_however_wrong_its_clock(tmp_path: Path, ahead: float) -> None:
    path, stop = tmp_path / "lease.json", Event()
    renewed = time.time() + ahead
    path.write_text(json.dumps(elsewhere(renewed=renewed, renewals=0)))

    def live() -> None:
        number = 0
        while not stop.wait(QUICK / 8):
            number += 1
            commit_bytes(
                path, json.dumps(elsewhere(renewed=renewed, renewals=number)).encode(), replace=True
            )  # its clock stands still

    thread = Thread(target=live)
    thread.start()
    try:
        with pytest.raises(RunError, match="in use by process 1 on elsewhere"):
            Lease(Run(str(tmp_path)), lambda _: None).__enter__()
    finally:
        stop.set()
        thread.join()


@pytest.mark.usefixtures("quick")
def test_a_lease_that_goes_away_while_it_is_watched_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    path.write_text(json.dumps(elsewhere(renewed=time.time() + DAYS)))
    began = time.monotonic()
    with Lease(Run(str(tmp_path)), lambda _: path.unlink()):
        assert time.monotonic() - began < QUICK


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("lease", ["[]", "{}", "no json", '{"renewed": "soon"}', '{"host": 1, "pid": []}', "null"])
def test_a_lease_that_nobody_could_have_written_holds_nothing_for_good(tmp_path: Path, lease: str) -> None:
    (tmp_path / "lease.json").write_text(lease)
    with Lease(Run(str(tmp_path)), lambda _: None):
        pass


def test_the_clock_of_this_machine_may_jump_under_a_living_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(str(tmp_path))
    with Lease(run):
        monkeypatch.setattr(psutil, "boot_time", lambda: 1.0)  # what psutil makes of a process's start moves with the clock
        with pytest.raises(RunError, match="in use by process"):
            Lease(run).__enter__()


@pytest.mark.usefixtures("quick")
def test_a_driver_whose_clock_is_set_back_is_still_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, now = Run(str(tmp_path)), time.time
    with Lease(run):
        monkeypatch.setattr("voxmill.pipeline.state.driver_lease.time.time", lambda: now() - 3 * DAYS)
        with pytest.raises(RunError, match="in use by process"):
            Lease(run, lambda _: None).__enter__()


@pytest.mark.usefixtures("quick")
def test_a_driver_that_slept_looks_at_its_lease_before_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's sleep is a jump of the clock that counts it: the lease is looked at then, not a quarter of its time later."""
    monkeypatch.setattr("voxmill.pipeline.state.driver_lease.EXPIRES_S", 60.0)
    monkeypatch.setattr("voxmill.pipeline.state.driver_lease._LOOKS", 6000)
    lease, clock = tmp_path / "lease.json", time.monotonic

    def sleep() -> None:
        lease.write_text(json.dumps({"token": "other"}))
        monkeypatch.setattr("voxmill.pipeline.state.driver_lease._clock", lambda: clock() + 10**6)

    began = time.monotonic()
    with pytest.raises(RunError, match="another driver's now"):
        drive(Run(str(tmp_path)), sleep)
    assert time.monotonic() - began < 10


def drive(run: Run, meanwhile: Callable[[], object]) -> None:
    """A driver at work for ten seconds, unless it is stopped."""
    with Lease(run):
        meanwhile()
        time.sleep(10)
        pytest.fail("it went on")


def test_a_driver_that_lost_its_lease_stops_and_leaves_the_new_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxmill.pipeline.state.driver_lease.EXPIRES_S", 0.2)
    lease, other = tmp_path / "lease.json", json.dumps({"token": "other"})
    with pytest.raises(RunError, match="another driver's now"):
        drive(Run(str(tmp_path)), lambda: lease.write_text(other))  # as a second driver does while this one is paused
    assert lease.read_text() == other


def test_a_lease_that_cannot_be_renewed_is_given_up_when_it_has_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(self: Lease) -> None:
        raise OSError("no answer")

    monkeypatch.setattr("voxmill.pipeline.state.driver_lease.EXPIRES_S", 0.2)
    began = time.monotonic()
    with pytest.raises(RunError, match="another driver's now"):
        drive(Run(str(tmp_path)), lambda: monkeypatch.setattr(Lease, "_write", unreachable))
    assert time.monotonic() - began > 0.2


def test_ctrl_c_is_still_ctrl_c(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Lease(Run(str(tmp_path))):
        raise KeyboardInterrupt
    assert not (tmp_path / "lease.json").exists()

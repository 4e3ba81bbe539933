"""One driver at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from voxmill.pipeline.lease import EXPIRES_S, Lease
from voxmill.pipeline.run import Run, RunError


def test_a_second_driver_is_refused_and_told_who_holds_the_run(tmp_path: Path) -> None:
    with Lease(Run(str(tmp_path))), pytest.raises(RunError, match="in use by process"):
        Lease(Run(str(tmp_path))).__enter__()
    with Lease(Run(str(tmp_path))):
        assert (tmp_path / "lease.json").exists()
    assert not (tmp_path / "lease.json").exists()


def test_a_dead_driver_on_this_machine_holds_nothing(tmp_path: Path) -> None:
    code = f"from voxmill.pipeline.lease import Lease; from voxmill.pipeline.run import Run; import os; Lease(Run({str(tmp_path)!r})).__enter__(); os._exit(9)"
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

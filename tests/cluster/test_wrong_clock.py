"""The wrong date that the check of faults gives a machine: only the date is wrong, and it can be set meanwhile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.wrong_clock import DAY_S, clock_of, set_clock

TELL = """
import datetime, sys, time
for _ in sys.stdin:
    began = time.monotonic()
    time.sleep(0.01)
    print(time.mktime(time.localtime()), datetime.datetime.now().timestamp(), began, time.monotonic() - began, flush=True)
"""


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler: apt-get install gcc libc6-dev")
def test_only_the_date_is_wrong_and_it_can_be_set(tmp_path: Path) -> None:
    environment = os.environ | clock_of(tmp_path / "clock", DAY_S)
    with subprocess.Popen(
        [sys.executable, "-c", TELL], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        for off in (DAY_S, -DAY_S, 0):
            set_clock(tmp_path / "clock", off)
            time.sleep(0.6)
            process.stdin.write("\n")
            process.stdin.flush()
            date, now, began, slept = map(float, process.stdout.readline().split())
            assert date - time.time() == pytest.approx(off, abs=30)
            assert now == pytest.approx(date, abs=30)
            assert began == pytest.approx(time.monotonic(), abs=30)
            assert 0.01 <= slept < 30

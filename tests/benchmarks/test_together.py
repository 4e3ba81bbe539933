"""Several trainings at a time, each case in a process of its own: what forks must not have the threads of other tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAD = """
import os, signal, sys, time
from pathlib import Path
from benchmarks.experiments.together import together
from benchmarks.experiments.trainings import OutOfTime
os.sched_getaffinity = lambda _: {0, 1}
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background is started with interrupts ignored
place = Path(sys.argv[1])
"""
ALL = "together([lambda name=name: (place / name).write_text('done') for name in 'abc'])"
OUT_OF_TIME = """
def out_of_time():
    raise OutOfTime
def saves():
    time.sleep(0.5)
    (place / "saved").write_text("done")
try:
    together([out_of_time, saves, out_of_time])
except OutOfTime:
    (place / "raised").write_text("done")
"""
HANGS = """
def hangs():
    (place / str(os.getpid())).write_text("hangs")
    signal.pause()
together([hangs, hangs])
"""


def program(code: str, folder: Path) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-c", HEAD + code, str(folder)], env=env, stderr=subprocess.PIPE)


@pytest.mark.parametrize(("code", "left"), [(ALL, {"a", "b", "c"}), (OUT_OF_TIME, {"raised", "saved"})])
def test_every_task_runs_and_what_one_raises_is_raised_after_the_others_have_saved(
    code: str, left: set[str], tmp_path: Path
) -> None:
    ran = program(code, tmp_path)
    _, said = ran.communicate(timeout=120)
    assert (ran.returncode, {path.name for path in tmp_path.iterdir()}) == (0, left), said.decode()


def test_an_interrupt_does_not_wait_for_what_hangs(tmp_path: Path) -> None:
    ran = program(HANGS, tmp_path)
    while ran.poll() is None and len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.05)
    ran.send_signal(signal.SIGINT)
    _, said = ran.communicate(timeout=120)
    assert b"KeyboardInterrupt" in said
    for path in tmp_path.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name), 0)

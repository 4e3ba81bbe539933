"""Several trainings at a time, each case in a process of its own: what forks must not have the threads of other tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

FORKS = """
import json, os, signal, sys, time
from pathlib import Path
from benchmarks.experiments.together import together
from benchmarks.experiments.trainings import OutOfTime
os.sched_getaffinity = lambda _: {0, 1}
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background is started with interrupts ignored
for line in sys.stdin:
    code, place = json.loads(line)
    if child := os.fork():
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    else:
        os.dup2(os.open(place + ".said", os.O_CREAT | os.O_WRONLY), 2)
        signal.alarm(120)
        place = Path(place)
        exec(code)
        sys.exit()  # as every program ends: it must not wait there either
"""
"""Runs the code of each line in a process of its own, which need not import torch: that costs more than all that is done here."""
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


@dataclass(frozen=True)
class Forks:
    process: subprocess.Popen[str]

    def start(self, code: str, folder: Path) -> int:
        """Runs a code on a folder, and returns the number of its process."""
        folder.mkdir()
        print(json.dumps([code, str(folder)]), file=self.process.stdin, flush=True)
        return self._said()

    def ended(self, folder: Path) -> tuple[int, str]:
        """Its exit code, and what it said."""
        return self._said(), Path(f"{folder}.said").read_text()

    def _said(self) -> int:
        assert self.process.stdout
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", FORKS], env=env, stdin=-1, stdout=-1, text=True) as process:
        yield Forks(process)


@pytest.mark.parametrize(("code", "left"), [(ALL, {"a", "b", "c"}), (OUT_OF_TIME, {"raised", "saved"})])
def test_every_task_runs_and_what_one_raises_is_raised_after_the_others_have_saved(
    forks: Forks, code: str, left: set[str], tmp_path: Path
) -> None:
    folder = tmp_path / "place"
    forks.start(code, folder)
    ended, said = forks.ended(folder)
    assert (ended, {path.name for path in folder.iterdir()}) == (0, left), said


def test_an_interrupt_does_not_wait_for_what_hangs(forks: Forks, tmp_path: Path) -> None:
    folder, limit = tmp_path / "place", time.monotonic() + 60
    process = forks.start(HANGS, folder)
    while len(list(folder.iterdir())) < 2 and time.monotonic() < limit:
        time.sleep(0.05)
    os.kill(process, signal.SIGINT)
    ended, said = forks.ended(folder)
    assert ended != 0
    assert "KeyboardInterrupt" in said
    assert len(list(folder.iterdir())) == 2
    for path in folder.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name), 0)

"""Ctrl-C reaches every process of the terminal's group: what those of a run do with it while they are still starting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SLOWLY = """
import multiprocessing, pathlib, time
if multiprocessing.current_process().name != "MainProcess":  # in a worker: as long as an engine's packages take
    pathlib.Path("importing").touch()
    time.sleep(60)
class Work:
    def __call__(self, key):
        return None
"""

RUN = """
import slowly
from functools import partial
from voxmill.pipeline.execution.executor import Job, KeyOnly
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.stage import Resources
if __name__ == "__main__":
    try:
        LocalExecutor(workers=1).run([Job("slow", partial(KeyOnly, slowly.Work), ("key",), Resources(workers=1, cpus=0.2))], print)
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""


def test_a_worker_that_is_stopped_while_it_imports_prints_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "slowly.py").write_text(SLOWLY)
    (tmp_path / "run.py").write_text(RUN)
    heeding = ["env", "--default-signal=INT"]  # a shell's background jobs ignore it, and so would ours
    process = subprocess.Popen(
        [*heeding, sys.executable, "run.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "importing").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert output.splitlines() == ["stopped"]

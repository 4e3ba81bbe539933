"""Ray on this machine is started anew, whatever cluster was here before, and leaves the screen to us."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

START = "from voxmill.pipeline.execution.ray_executor import start_ray; start_ray(None); import ray; print(len(ray.nodes()))"

DEATH = """
import time
from voxmill.pipeline.execution.ray_executor import start_ray
start_ray(None)
import os, ray
@ray.remote(max_retries=0)
def die():
    os.kill(os.getpid(), 9)
try:
    ray.get(die.remote())
except ray.exceptions.WorkerCrashedError:
    print("it has died", flush=True)
time.sleep(4)
"""


@pytest.mark.ray
def test_what_ray_says_of_a_dead_worker_is_not_on_the_screen() -> None:
    done = subprocess.run([sys.executable, "-c", DEATH], capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stdout) == (0, "it has died\n"), done.stderr[-500:]


@pytest.mark.ray
def test_a_cluster_that_is_no_more_is_not_waited_for(tmp_path: Path) -> None:
    """`ray start` notes its cluster in a file, which stays there when it is killed."""
    folder = Path("/tmp") / f"vm-{os.getpid()}"
    folder.mkdir()
    (folder / "ray_current_cluster").write_text("127.0.0.1:1")
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {"RAY_TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", START], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr[-500:]

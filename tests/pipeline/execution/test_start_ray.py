"""Ray on this machine is started anew, whatever cluster was here before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

START = "from voxmill.pipeline.execution.ray_executor import start_ray; start_ray(None); import ray; print(len(ray.nodes()))"


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

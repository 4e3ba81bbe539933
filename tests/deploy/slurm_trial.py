"""The batch script for SLURM: real Ray on machines out of namespaces, started by the script through `srun`. Needs root and a quiet machine.

pytest tests/deploy/slurm_trial.py      not part of `make test`
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.machines import machines, missing, slurm_environment

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "slurm" / "voxmill.sbatch"
BIN = Path(sys.executable).parent

DRIVER = """#!{python}
# In the place of `voxmill`: waits until every machine has joined, and says what there is.
import os, sys, time, ray
ray.init(address=sys.argv[sys.argv.index("--address") + 1], log_to_driver=False)
while len(alive := [n for n in ray.nodes() if n["Alive"]]) < int(os.environ["SLURM_JOB_NUM_NODES"]):
    time.sleep(0.5)
print(sys.argv[1:4], sorted((n["NodeManagerAddress"], n["Resources"]["CPU"]) for n in alive), flush=True)
try:
    time.sleep(600 if sys.argv[3] == "for-ever" else 0)
except KeyboardInterrupt:
    sys.exit(130)
sys.exit(int(sys.argv[3] == "fails") * 7)
"""


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    file = tmp_path / "bin" / "voxmill"
    file.parent.mkdir()
    file.write_text(DRIVER.replace("{python}", sys.executable))
    file.chmod(0o755)
    return file


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[str]]:
    if reason := missing():
        pytest.skip(reason)
    with machines(2) as names:
        yield names


def start(tmp_path: Path, nodes: list[str], job: int, *arguments: str) -> subprocess.Popen[str]:
    environment = slurm_environment(tmp_path / "bin", nodes, job, str(BIN))
    command = ["ip", "netns", "exec", nodes[0], "bash", str(SCRIPT), "run", *arguments]
    return subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def processes(job: int) -> list[str]:
    """Processes of the job's Ray that are still there."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in listed if f"/tmp/ray-{job}/" in line]


@pytest.mark.slow
@pytest.mark.ray
def test_ray_runs_on_every_node_and_is_gone_afterwards(tmp_path: Path, nodes: list[str], driver: Path) -> None:
    job = start(tmp_path, nodes, 4711, "-c", "fails")
    said = job.communicate(timeout=500)[0]
    assert "['run', '-c', 'fails'] [('10.213.7.1', 1.0), ('10.213.7.2', 2.0)]" in said, "the first machine's driver has a core"
    assert job.returncode == 7, "the driver's own exit code"
    assert processes(4711) == []
    assert not Path("/tmp/ray-4711").exists()
    calls = (driver.parent / "calls").read_text()
    assert "requeue" not in calls


@pytest.mark.slow
@pytest.mark.ray
def test_at_the_end_of_its_time_a_run_is_stopped_and_queued_again(tmp_path: Path, nodes: list[str], driver: Path) -> None:
    job = start(tmp_path, nodes, 4712, "-c", "for-ever")
    assert job.stdout is not None
    seen = next(line for line in job.stdout if "for-ever" in line)
    assert "10.213.7.2" in seen
    script = subprocess.run(["pgrep", "-f", f"^bash {SCRIPT}"], capture_output=True, text=True, check=True).stdout.split()[0]
    time.sleep(1)
    subprocess.run(["kill", f"-{signal.SIGUSR1.value}", script], check=True)
    said = job.communicate(timeout=300)[0]
    assert job.returncode == 130, said
    assert "queued again" in said
    assert "scontrol requeue 4712" in (driver.parent / "calls").read_text()
    assert processes(4712) == []


@pytest.mark.slow
@pytest.mark.ray
def test_a_head_that_dies_ends_the_job(tmp_path: Path, nodes: list[str], driver: Path) -> None:
    job = start(tmp_path, nodes, 4713, "-c", "for-ever")
    assert job.stdout is not None
    next(line for line in job.stdout if "for-ever" in line)
    gcs = subprocess.run(["pgrep", "-f", "gcs_server.*ray-4713"], capture_output=True, text=True, check=True).stdout.split()[0]
    subprocess.run(["kill", "-KILL", gcs], check=True)
    said = job.communicate(timeout=300)[0]
    assert job.returncode == 137, said
    assert "Ray has ended on vxs1" in said
    assert processes(4713) == []

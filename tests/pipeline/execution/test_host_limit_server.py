"""What workers tell the gate of a run, and what a driver that is turned away leaves of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

import jobs
from voxmill.operators.crawl.policy.host_limit import Ask, GateMessage, GateSettings, Refused
from voxmill.pipeline.execution.executor import Job, KeyOnly
from voxmill.pipeline.execution.host_limit_server import Reach, open_gate
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.stage import Resources
from voxmill.pipeline.state.run import Run


def test_a_gate_that_learned_nothing_writes_nothing(tmp_path: Path) -> None:
    run = Run(str(tmp_path))
    with open_gate("machine", run, GateSettings()) as gate, open_gate("machine", run, GateSettings()):
        gate.report("host.example", 429, retry_after=1000.0)
    saved = (tmp_path / "hosts.json").read_text()
    assert "host.example" in saved
    with open_gate("machine", run, GateSettings()):  # as a second driver does before the lease turns it away
        (tmp_path / "hosts.json").write_text("what the first one saved meanwhile")
    assert (tmp_path / "hosts.json").read_text() == "what the first one saved meanwhile"


def told(reach: Reach, run: Run, kind: str) -> None:
    """Two workers, each with its own host that said stop; the driver sees both, and the run remembers them."""
    from voxmill.pipeline.execution.ray_executor import RayExecutor

    executor = RayExecutor() if kind == "ray" else LocalExecutor()
    with open_gate(reach, run, GateSettings()) as gate:
        executor.run(
            [
                Job(
                    "refusal",
                    partial(KeyOnly, partial(jobs.Refusal, gate)),
                    ("a.example", "b.example"),
                    Resources(workers=2, cpus=0.2),
                )
            ],
            print,
        )
        answers = gate.exchange(GateMessage(asks=(Ask("a.example"), Ask("b.example")))).answers
        assert all(isinstance(answer, Refused) for answer in answers)
    saved = Path(run.uri("hosts.json")).read_text()
    assert "a.example" in saved
    assert "b.example" in saved


def test_workers_of_ours_reach_the_gate_of_this_machine(tmp_path: Path) -> None:
    told("machine", Run(str(tmp_path)), "local")


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("reach", ["machine", "cluster"])
def test_workers_of_ray_reach_either_gate(reach: Reach, tmp_path: Path) -> None:
    told(reach, Run(str(tmp_path)), "ray")

"""What a driver that is turned away leaves of a run."""

from __future__ import annotations

from pathlib import Path

from voxmill.operators.crawl.gate import GateSettings
from voxmill.pipeline.execution.gates import open_gate
from voxmill.pipeline.state.run import Run


def test_a_gate_that_learned_nothing_writes_nothing(tmp_path: Path) -> None:
    run = Run(str(tmp_path))
    with open_gate("local", run, GateSettings()) as gate, open_gate("local", run, GateSettings()):
        gate.report("host.example", 429, retry_after=1000.0)
    saved = (tmp_path / "hosts.json").read_text()
    assert "host.example" in saved
    with open_gate("local", run, GateSettings()):  # as a second driver does before the lease turns it away
        (tmp_path / "hosts.json").write_text("what the first one saved meanwhile")
    assert (tmp_path / "hosts.json").read_text() == "what the first one saved meanwhile"

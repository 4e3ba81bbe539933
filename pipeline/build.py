"""A config to the stages of a run, with what each reads, its fingerprint and its cost. What there is to build is in `stages.py`."""

from __future__ import annotations

from dataclasses import replace

from voxmill.operators.crawl.policy.host_limit import HostGate
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.stage_builder import StageBuilder
from voxmill.pipeline.stages import ENTRIES
from voxmill.pipeline.state.run import Run


def build(config: RunConfig, run: Run, gate: HostGate | None = None) -> dict[str, Stage]:
    """Every stage of the line by name, in order. Without a `gate` nothing can be fetched.

    `run` may be new; where it is not, `select` also depends on what was stated of its sources since they were listed.
    Raises WeightsMissing for models that are not here, UserCodeError for code of the user's that cannot be used.
    """
    line = StageBuilder(config, run, gate or no_gate())
    for entry in ENTRIES:
        entry.add(line, entry.kind)
    return line.stages


def as_written(run: Run) -> tuple[RunConfig, dict[str, Stage]]:
    """The config and stages that a run was last brought up to: a newer voxmill may give the same stages other fingerprints, or have more."""
    state = run.written()
    config = parse_config(state["config"], run.uri("run.json"))
    written: dict[str, str] = state.get("fingerprints", {})
    stages = build(config, run)
    if not written:
        return config, stages
    return config, {name: replace(stage, fingerprint=written[name]) for name, stage in stages.items() if name in written}

"""`voxmill revote`: reconcile, select and pack again under changed settings; no engine runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voxmill.manifests.overrides import override
from voxmill.pipeline.build import as_written, build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.executor import Executor
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.preflight.run_inputs import check_rerun
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress

PARTS = ("reconcile", "select")
"""Sections of the config that a revote may change; any other would need the audio again."""


@dataclass
class Revoted:
    """What a revote changed."""

    segments: int = 0
    texts: int = 0
    """Segments whose text changed."""
    tiers: int = 0
    """Segments whose tier changed."""
    before: Counter[str] = field(default_factory=Counter)
    """Segments by tier."""
    after: Counter[str] = field(default_factory=Counter)


def changed_config(state: Mapping[str, Any], changes: Sequence[str], where: str) -> RunConfig:
    """The config of `run.json`, which lies at `where`, with `changes` (`reconcile.vote.alpha=0.5`; values are YAML).

    Raises ConfigError, UserError.
    """
    changed = "".join(f" --set {change}" for change in changes)
    return parse_config(override(state["config"], changes, RunConfig, PARTS), where + (f" with{changed}" if changed else ""))


def revote(run: Run, config: RunConfig, executor: Executor, progress: Progress, text: str | None = None) -> Revoted:
    """Reconciles, selects and packs again under `config`, which becomes the run's config; `text` is that as its user may edit it.

    Raises RunError if an engine would have to run, because the run is unfinished or its weights or versions differ now.
    """
    check_rerun(run, config)
    _, old = as_written(run)
    new = build(config, run, no_gate())
    run_line(config, run, executor, no_gate(), progress, text=text)
    return _compare(run.ledger, old, new)


def _compare(ledger: Ledger, old: Mapping[str, Stage], new: Mapping[str, Stage]) -> Revoted:
    """One unit's rows in memory at a time."""
    found = Revoted()
    for unit, rows in ledger.scan(new["reconcile"]):
        known = unit in ledger.done(old["reconcile"]) and unit in ledger.done(old["select"])
        texts: dict[str, str] = {row.segment_id: row.text for row in ledger.read(old["reconcile"], unit)} if known else {}
        tiers: dict[str, str] = {row.segment_id: row.tier for row in ledger.read(old["select"], unit)} if known else {}
        found.before.update(tiers.values())
        for consensus in rows:
            found.segments += 1
            found.texts += texts.get(consensus.segment_id, "") != consensus.text
        for selection in ledger.read(new["select"], unit):
            found.after[selection.tier] += 1
            found.tiers += tiers.get(selection.segment_id) != selection.tier
    return found

"""What a run would do: its sources, and what of each stage is done and to do."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from voxmill.pipeline.build import build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.gates import no_gate
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.listing import Listing
from voxmill.pipeline.state.run import Run


def print_dry_run(config: RunConfig, run: Run, out: Console) -> None:
    """Nothing is fetched or written."""
    stages = build(config, run, no_gate())
    table = Table("source", "kind", "what", "licence", box=None)
    for source in config.sources:
        table.add_row(source.name, source.kind, ", ".join(source.addresses)[:80], source.licence or "as the source says")
    out.print(table)
    listing, ledger = Listing(run), Ledger(run)
    units = {u.id for u in listing.units()}
    steps = Table("stage", "fingerprint", "reads", "done", "to do", box=None)
    for stage in stages.values():
        if stage.kind in ("segment", "transcribe", "reconcile", "label", "select"):
            done = len(units & ledger.done(stage))
            steps.add_row(stage.name, stage.fingerprint, ", ".join(stage.reads), str(done), str(len(units) - done))
    out.print(steps)
    out.print(f"nothing was fetched or written; run again without --dry-run to fill {run.root}", highlight=False)

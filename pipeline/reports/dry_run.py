"""What a run would do: its sources, and what of each stage is done and to do."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from voxmill.manifests.public_form import public_address
from voxmill.pipeline.build import build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.preflight.issues import Issue, print_issues
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.table import Column, number, print_table, prose


def print_dry_run(config: RunConfig, run: Run, out: Console, issues: Sequence[Issue] = ()) -> None:
    """Nothing is fetched or written. `issues` are what a look ahead found: weights that are not here have no fingerprint."""
    sources = [
        (s.name, s.kind, ", ".join(map(public_address, s.addresses)), s.licence or "as the source says") for s in config.sources
    ]
    print_table(out, ("source", "kind", prose("what"), prose("licence")), sources)
    out.print()
    if bad := print_issues(issues, out):
        out.print(f"{bad} thing{'s' * (bad > 1)} would stop this run; nothing was fetched or written", soft_wrap=True)
        return
    stages = build(config, run, no_gate())
    units, ledger = run.listing.num_units, run.ledger
    steps, listed = [], bool(units)
    for stage in stages.values():
        if not stage.of.of_items and stage.reads:
            done = len(ledger.done(stage))
            steps.append(
                (stage.name, stage.fingerprint, ", ".join(stage.reads), str(done), str(units - done) if listed else "?")
            )
    out.print()
    print_table(out, ("stage", Column("fingerprint", spare=1), prose("reads"), number("done"), number("to do")), steps)
    if not listed:
        out.print("how much there is to do is known when the sources have been listed and fetched", soft_wrap=True)
    out.print(f"nothing was fetched or written; run again without --dry-run to fill {run.root}", soft_wrap=True)

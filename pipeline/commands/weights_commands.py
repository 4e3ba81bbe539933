"""`voxmill models` (list, fetch and verify weights) and `voxmill doctor` (what is installed, what is missing)."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from voxmill.pipeline.commands import complete, options
from voxmill.pipeline.terminal.output import console


def list_() -> None:
    """List the weights that voxmill knows, and which are here."""
    from voxmill.operators.weights import registry as weights
    from voxmill.pipeline.preflight.models import size
    from voxmill.pipeline.terminal.table import Column, print_table, prose

    rows = []
    for row in weights.status():
        here = f"yes, {(row.num_bytes or 0) / 1e6:.0f} MB" if row.ready else f"no, {size(row.megabytes)}"
        rows.append((row.name, row.engine, here, row.licence, row.about, row.source))
    print_table(console(), ("name", "engine", "here", Column("licence", spare=3), prose("what", 1), prose("source", 2)), rows)


def fetch(
    names: Annotated[list[str], typer.Argument(help="Names from `voxmill models list`.", autocompletion=complete.weights)],
) -> None:
    """Fetch weights into the cache and verify them. Example: `voxmill models fetch whisper-base moonshine-tiny-en`"""
    from voxmill.operators.weights import registry as weights
    from voxmill.pipeline.terminal.display import Display

    out = console()
    weights.check_known(names)
    for name in names:
        with Display() as display:
            display.phase(f"fetching {name}")
            folder = weights.fetch(name)
        problems = weights.verify(name)
        out.print(f"{name}: {folder}" + "".join(f"\n  {p}" for p in problems), soft_wrap=True)


def verify(names: Annotated[list[str], typer.Argument(help="Names or directories.", autocompletion=complete.weights)]) -> None:
    """Compare weights with their known hashes. Exits with 1 where they differ."""
    from voxmill.operators.weights import registry as weights

    out, bad = console(), False
    weights.check_known(names)
    for name in names:
        problems = weights.verify(name)
        bad |= any(not p.startswith("unpinned") for p in problems)
        out.print(f"{name}: {'; '.join(problems) or 'all hashes match'}", soft_wrap=True)
    sys.exit(1 if bad else 0)


def doctor(
    config: Annotated[str | None, typer.Option("--config", "-c", help="Check what this config needs.")] = None,
    change: options.Set = None,
) -> None:
    """Show what is installed, which weights are here, what is missing, and how to get it.

    Example:

        voxmill doctor -c demo
    """
    from voxmill.manifests.errors import UserError
    from voxmill.pipeline.load_config import load_config
    from voxmill.pipeline.reports.doctor import examine

    if change and config is None:
        raise UserError("--set changes a config: name one with --config")
    sys.exit(0 if examine(load_config(config, change or ()) if config else None, console()) else 1)

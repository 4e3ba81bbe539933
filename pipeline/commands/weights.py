"""What engines and labellers need to be here: `voxmill models` gets it, `voxmill doctor` says what is missing."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def list_() -> None:
    """Which weights voxmill knows, and which are here."""
    from voxmill.operators import weights

    table = Table("name", "engine", "here", "what", "source", box=None)
    for row in weights.status():
        here = f"yes, {(row.num_bytes or 0) / 1e6:.0f} MB" if row.ready else "no"
        table.add_row(row.name, row.engine, here, row.about, row.source)
    Console().print(table)


def fetch(names: Annotated[list[str], typer.Argument(help="Names from `voxmill models list`.")]) -> None:
    """Fetch weights into the cache and verify them. Example: `voxmill models fetch whisper-base moonshine-tiny-en`"""
    from voxmill.operators import weights

    out = Console(highlight=False)
    for name in names:
        with out.status(f"fetching {name}"):
            folder = weights.fetch(name)
        problems = weights.verify(name)
        out.print(f"{name}: {folder}" + "".join(f"\n  {p}" for p in problems))


def verify(names: Annotated[list[str], typer.Argument(help="Names or directories.")]) -> None:
    """Compare weights with their known hashes. Exits with 1 where they differ."""
    from voxmill.operators import weights

    out, bad = Console(highlight=False, soft_wrap=True), False
    for name in names:
        problems = weights.verify(name)
        bad |= any(not p.startswith("unpinned") for p in problems)
        out.print(f"{name}: {'; '.join(problems) or 'every byte is what it should be'}")
    sys.exit(1 if bad else 0)


def doctor(
    config: Annotated[str | None, typer.Option("--config", "-c", help="Check what this config needs.")] = None,
) -> None:
    """What is installed, which weights are here, what is missing, and how to get it.

    Example:

        voxmill doctor -c demo
    """
    from voxmill.pipeline.config import load_config
    from voxmill.pipeline.reports.doctor import examine

    sys.exit(0 if examine(load_config(config) if config else None, Console()) else 1)

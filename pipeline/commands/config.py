"""`voxmill config`: start, show and check what a run is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from voxmill.pipeline.commands import options


def init(
    recipe: Annotated[str, typer.Argument(help="demo, english, mandarin, perception, vote or cluster.")] = "english",
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("voxmill.yaml"),
) -> None:
    """Write a recipe to start from. Example: `voxmill config init mandarin -o mine.yaml`"""
    from voxmill.pipeline.config import RECIPES, ConfigError, recipe_names

    if recipe not in recipe_names():
        raise ConfigError(f"no recipe `{recipe}`; there are {', '.join(recipe_names())}")
    if out.exists():
        raise ConfigError(f"{out} exists: give another name with --out")
    out.write_text((RECIPES / f"{recipe}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    said = f"{out}: now edit `sources` and `crawl.contact`, then `voxmill config check -c {out}`"
    Console().print(said, highlight=False)


def show(config: options.Config) -> None:
    """Print the resolved config, every default written out."""
    from voxmill.pipeline.config import dump_config, load_config

    print(dump_config(load_config(config)), end="")


def check(config: options.Config) -> None:
    """Check a config: unknown keys, wrong values, missing weights."""
    from voxmill.operators import weights
    from voxmill.pipeline.config import load_config
    from voxmill.pipeline.reports.doctor import weights_of

    out, settings = Console(), load_config(config)
    wanted = weights_of(settings)
    missing = [row for row in weights.status() if row.name in wanted and not row.ready]
    for row in missing:
        out.print(f"[yellow]weights {row.name} are not here[/yellow]: {row.fix}", highlight=False)
    if settings.crawl.contact == "you@example.org":
        out.print("[yellow]crawl.contact is the recipe's placeholder[/yellow]: put your own address there before you crawl")
    out.print(f"{config}: valid, {len(settings.sources)} sources, engines {', '.join(e.name for e in settings.transcribe)}")
    sys.exit(1 if missing else 0)

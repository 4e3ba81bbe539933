"""The generated parts of the README: commands, settings and reasons, taken from the code that holds them.

`cog -r README.md` writes them, `tests/test_readme.py` proves that they are current.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import typer
from pydantic import BaseModel

from voxmill.manifests.reasons import REASONS
from voxmill.pipeline.cli import app
from voxmill.pipeline.config import RunConfig, recipe_names


def commands() -> None:
    """Every command with the first line of its help."""
    group = typer.main.get_command(app)
    print("\n| command | what it does |\n|---|---|")
    for name, command in _leaves(group, "voxmill"):
        print(f"| `{name}` | {(command.help or '').strip().splitlines()[0]} |")
    print()


def _leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    for child_name, child in sorted(getattr(command, "commands", {}).items()):
        if hasattr(child, "commands"):
            yield from _leaves(child, f"{name} {child_name}")
        else:
            yield f"{name} {child_name}", child


def reasons() -> None:
    print("\n| reason | what it means | what to do |\n|---|---|---|")
    for reason in REASONS.values():
        print(f"| `{reason.name}` | {reason.meaning} | {reason.advice} |")
    print()


def settings() -> None:
    """The top of the config tree; `voxmill config show` prints all of it."""
    print("\n| part | keys |\n|---|---|")
    for name, info in RunConfig.model_fields.items():
        models = [m for m in (info.annotation, *get_args(info.annotation)) if isinstance(m, type) and issubclass(m, BaseModel)]
        keys = ", ".join(f"`{key}`" for model in models for key in model.model_fields) or "one entry per engine"
        print(f"| `{name}` | {keys} |")
    print(f"\nRecipes: {', '.join(f'`{name}`' for name in recipe_names())}.\n")

"""The generated parts of the README: commands, settings and reasons, taken from the code that holds them.

`cog -r README.md` writes them, `tests/test_readme.py` proves that they are current.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import typer
from pydantic import BaseModel

from voxmill.manifests.reasons import REASONS
from voxmill.operators.label.label import LabellerConfig
from voxmill.pipeline.cli import app
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.load_config import recipe_names


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


def labellers() -> None:
    """Every labeller with what it can be asked, what it looks at and the weights it takes where none are named."""
    print("\n| `kind` | labels | from | weights |\n|---|---|---|---|")
    for model in get_args(get_args(LabellerConfig)[0]):
        fields = model.model_fields
        tasks = get_args(fields["task"].annotation) if "task" in fields else model.tasks(None)
        looks = (*(["the audio"] if model.hears else []), *model.reads) or ("metadata",)
        default = fields["model"].default if "model" in fields else None
        weights = f"`{default}`" if isinstance(default, str) else "yours" if "model" in fields else "none needed"
        said = f"one of {', '.join(f'`{t}`' for t in tasks)}" if "task" in fields else ", ".join(f"`{t}`" for t in tasks)
        print(f"| `{fields['kind'].default}` | {said} | {', '.join(looks)} | {weights} |")
    print()


_EACH = {"sources": "source", "transcribe": "engine", "label": "labeller"}


def settings() -> None:
    """The top of the config tree; `voxmill config show` prints all of it."""
    print("\n| part | keys |\n|---|---|")
    for name, info in RunConfig.model_fields.items():
        models = [m for m in (info.annotation, *get_args(info.annotation)) if isinstance(m, type) and issubclass(m, BaseModel)]
        keys = ", ".join(f"`{key}`" for model in models for key in model.model_fields) or f"one entry per {_EACH[name]}"
        print(f"| `{name}` | {keys} |")
    print(f"\nRecipes: {', '.join(f'`{name}`' for name in recipe_names())}.\n")

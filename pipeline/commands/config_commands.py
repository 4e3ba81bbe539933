"""`voxmill config`: write a recipe, show a resolved config, print the JSON Schema, check a config."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from voxmill.pipeline.commands import complete, modelling, options
from voxmill.pipeline.terminal.output import amount, console

Training = Annotated[bool, typer.Option("--training", help="The config of `voxmill train` instead of a run's.")]


def init(
    recipe: Annotated[
        str,
        typer.Argument(help="demo, english, light, mandarin, perception, vote or cluster.", autocompletion=complete.recipes),
    ] = "english",
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("voxmill.yaml"),
) -> None:
    """Write a recipe to start from. Example: `voxmill config init mandarin -o mine.yaml`"""
    from voxmill.manifests.storage import commit_bytes
    from voxmill.manifests.user_input import new_file
    from voxmill.pipeline.load_config import RECIPES, ConfigError, recipe_names

    if recipe not in recipe_names():
        raise ConfigError(f"no recipe `{recipe}`; there are {', '.join(recipe_names())}")
    if out.exists() or out.is_symlink():
        raise ConfigError(f"{out} exists: give another name with --out")
    commit_bytes(new_file(out), (RECIPES / f"{recipe}.yaml").read_bytes())
    message = f"{out}: now edit `sources` and `crawl.contact`, then `voxmill config check -c {out}`"
    console().print(message, soft_wrap=True)


def show(config: options.Config, change: options.Set = None, training: Training = False) -> None:
    """Print the resolved config with every default, and the description of each key above it.

    Examples:

        voxmill config show -c mine.yaml

        voxmill config show -c english --set select.high=0.9 > mine.yaml

        voxmill config show -c compact --training
    """
    from voxmill.pipeline.commented_yaml import commented
    from voxmill.pipeline.load_config import load_config

    load = modelling.training_config if training else load_config
    print(commented(load(config, change or ())), end="")


def schema(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; default: print it.")] = None,
    training: Training = False,
) -> None:
    """Print the JSON Schema of a config, with which an editor completes, explains and checks every key.

    Example:

        voxmill config schema -o voxmill.schema.json

    and then, as the first line of a config beside it: `# yaml-language-server: $schema=voxmill.schema.json`
    """
    from voxmill.manifests.storage import commit_bytes
    from voxmill.manifests.user_input import new_file
    from voxmill.pipeline.commented_yaml import schema as described
    from voxmill.pipeline.config import RunConfig

    found = described(modelling.training_class() if training else RunConfig)
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if out is None:
        print(text, end="")
        return
    commit_bytes(new_file(out), text.encode(), replace=True)
    print(f"{out}: now begin a config with the line `# yaml-language-server: $schema={out}`")


def check(
    config: options.Config,
    change: options.Set = None,
    out: Annotated[str | None, typer.Option("--out", "-o", help="Also check whether this run can be written.")] = None,
) -> None:
    """Check a config: unknown keys, wrong values, missing packages, weights and sources, and sources that would be rejected.

    Exits with 1 if a run would be refused. `voxmill run` checks the same before it writes anything.
    """
    from voxmill.pipeline.load_config import load_config, recipe_of
    from voxmill.pipeline.preflight import examine, print_issues
    from voxmill.pipeline.state.run import Run

    settings = load_config(config, change or ())
    issues = examine(settings, Run(out) if out else None, recipe=recipe_of(config))
    bad = print_issues(issues, console())
    engines = ", ".join(e.name for e in settings.transcribe)
    verdict = f"{bad} thing{'s' * (bad > 1)} would stop a run" if bad else "valid"
    console().print(f"{config}: {verdict}, {amount(len(settings.sources), 'source')}, engines {engines}", soft_wrap=True)
    sys.exit(1 if bad else 0)

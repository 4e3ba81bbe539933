"""YAML to a `RunConfig`: files and shipped recipes, changes from the command line, and what has to hold between its parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from voxmill.manifests.errors import UserError, explain, nearest
from voxmill.manifests.overrides import override
from voxmill.manifests.tables import reserved_names
from voxmill.manifests.user_input import yaml_mapping
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.stages import READABLE, STAGE_NAMES, names_of


class ConfigError(UserError):
    """The configuration is wrong; the message has one line per mistake, each with its key and a fix."""


RECIPES = Path(__file__).parent / "recipes"
_OF_TRAININGS = Path(__file__).parents[1] / "models/training/recipes"


def recipe_names() -> list[str]:
    """The configs that Voxmill ships."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def recipe_of(source: str | Path) -> str | None:
    """The shipped recipe that a name means, if it means one: a file of that name is meant before it."""
    return str(source) if str(source) in recipe_names() and not Path(source).is_file() else None


def load_config(source: str | Path, changes: Sequence[str] = ()) -> RunConfig:
    """A config from a YAML file, or a shipped recipe by name, with `changes` (`select.high=0.9`). Raises ConfigError, UserError."""
    return parse_config(override(read_config(source), changes, RunConfig), str(source))


def read_config(source: str | Path) -> dict[str, Any]:
    """What a YAML file, or a shipped recipe, states, before it is checked. Raises ConfigError."""
    recipe = recipe_of(source)
    path = RECIPES / f"{recipe}.yaml" if recipe else source
    fix = f"give a YAML file (`voxmill config init` writes one) or a shipped recipe: {', '.join(recipe_names())}"
    if (_OF_TRAININGS / f"{source}.yaml").is_file() and not Path(source).exists() and recipe is None:
        raise ConfigError(f"{source} is a recipe of trainings (`voxmill train -c {source}`), and no config of a run: {fix}")
    return yaml_mapping(path, "config file", fix, ConfigError)


def parse_config(data: dict[str, Any], where: str = "config") -> RunConfig:
    """A checked config. `where` is how messages name its origin. Raises ConfigError."""
    try:
        config = RunConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, RunConfig, where)) from None
    _check_stages(config, where)
    return config


def _check_stages(config: RunConfig, where: str) -> None:
    """That every stage which the config names is one. Raises ConfigError."""
    known = names_of(config)
    for stage in config.executor.resources:
        if stage not in known:
            raise ConfigError(f"{where}: executor.resources: no stage `{stage}`{nearest(stage, known)}")
    before = {name for name in known if name.partition(":")[0] in READABLE} | {"transcribe"}
    for own in config.stages:
        if own.name in reserved_names() | STAGE_NAMES:
            raise ConfigError(f"{where}: stages: `{own.name}` is a stage, table or view of Voxmill's: give yours another name")
        for read in own.reads:
            if read not in before:
                raise ConfigError(f"{where}: stages.{own.name}.reads: no stage `{read}` before it{nearest(read, before)}")
        before.add(own.name)


def dump_config(config: RunConfig) -> str:
    """The resolved config as YAML, every default written out, without a word of explanation (see `commented_yaml.py`)."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)

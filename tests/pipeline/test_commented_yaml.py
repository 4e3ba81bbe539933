"""Every key says what it is, in `config show`, in the schema, and in the same words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

from voxmill.manifests.config_base import about, tree
from voxmill.models.training import recipe as training
from voxmill.pipeline.cli import app
from voxmill.pipeline.commented_yaml import WIDTH, commented, schema
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.load_config import load_config, parse_config, recipe_names

ODD = {
    "sources": [
        {
            "name": "a: #b",
            "urls": ["https://x.org/a?b=[c]&d={e}", 'it\'s "so"', "\x85 \u2028 tab\t", "no", "1e3"],
            "path": "- x",
        },
        {"name": "乙", "path": "録音/一.wav", "language": "no", "limit": 3},
    ],
    "crawl": {"contact": "me@example.org", "deny": ["*.example.org"]},
    "transcribe": [{"kind": "whisperx", "aligners": {"no": "x", "~": "y"}}],
    "label": [{"kind": "audio_classes", "model": "m", "classes": {"a, b": ""}}],
    "frames": {},
    "executor": {"resources": {"transcribe:whisperx": {}, "select": {"cpus": 1e-05}}},
    "select": {"rate_fence": None},
}


@pytest.mark.parametrize("root", [RunConfig, training.Recipe])
def test_every_key_and_every_tree_says_what_it_is(root: type[BaseModel]) -> None:
    silent = [f"{model.__name__}.{key}" for model in tree(root) for key in model.model_fields if not about(model, key)]
    silent += [model.__name__ for model in tree(root) if "__doc__" not in vars(model) or not model.__doc__]
    assert not silent, "write the text under these fields"


@pytest.mark.parametrize("only_stated", [False, True])
@pytest.mark.parametrize("name", [*recipe_names(), "odd"])
def test_a_config_that_explains_itself_is_the_same_config(name: str, only_stated: bool) -> None:
    config = parse_config(ODD) if name == "odd" else load_config(name)
    text = commented(config, only_stated=only_stated)
    assert parse_config(yaml.safe_load(text)) == config
    assert all(len(line) <= WIDTH for line in text.splitlines() if line.lstrip().startswith("#"))
    assert (f"# {about(RunConfig, 'units')}" in text) == (not only_stated or "units" in config.model_fields_set)


@pytest.mark.parametrize("name", training.recipe_names())
def test_so_does_a_trainings_recipe(name: str) -> None:
    recipe = training.load_recipe(name)
    assert training.Recipe.model_validate(yaml.safe_load(commented(recipe))) == recipe


def test_the_tenth_source_is_not_explained_again() -> None:
    assert commented(load_config("demo")).count("# Unique in a run") == 1


@pytest.mark.parametrize("root", [RunConfig, training.Recipe])
def test_the_schema_says_it_in_the_same_words(root: type[BaseModel]) -> None:
    found = schema(root)
    models = {model.__name__: model for model in tree(root)}
    for name, made in {root.__name__: found, **found.get("$defs", {})}.items():
        for key, entry in made.get("properties", {}).items():
            assert entry["description"] == about(models[name], key), f"{name}.{key}"


def test_the_schema_accepts_what_the_config_accepts_and_no_typo() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(schema(RunConfig))
    for name in recipe_names():
        text = Path(load_config.__code__.co_filename).with_name("recipes").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        assert not list(validator.iter_errors(yaml.safe_load(text))), name
    wrong: dict[str, Any] = {**json.loads(json.dumps(ODD)), "selekt": {}}
    assert list(validator.iter_errors(wrong))


def test_the_commands_print_both(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["config", "show", "-c", "english", "--set", "select.high=0.9"]).output
    assert yaml.safe_load(shown)["select"]["high"] == 0.9
    assert "# Least score of the tier `high`" in shown
    assert yaml.safe_load(CliRunner().invoke(app, ["config", "show", "-c", "taste", "--training"]).output)["train"]["steps"]
    file = tmp_path / "schema.json"
    said = CliRunner().invoke(app, ["config", "schema", "-o", str(file)]).output
    assert f"$schema={file}" in said.replace("\n", "")
    assert json.loads(file.read_text())["title"] == "RunConfig"
    assert json.loads(CliRunner().invoke(app, ["config", "schema", "--training"]).output)["title"] == "Recipe"

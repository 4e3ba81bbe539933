"""The config tree: strict, helpful, and every shipped recipe valid."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from voxmill.pipeline.load_config import ConfigError, dump_config, load_config, parse_config, recipe_names

ENGINE = {"kind": "moonshine", "name": "moonshine", "model": "moonshine-tiny-en"}
GOOD = {
    "sources": [{"name": "a", "url": "https://example.org/a.mp3"}],
    "crawl": {"contact": "tests@example.org"},
    "transcribe": [ENGINE],
}


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_are_valid_and_survive_a_round_trip(name: str) -> None:
    config = load_config(name)
    assert parse_config(yaml.safe_load(dump_config(config))) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sorces": []}, r"unknown key `sorces`; did you mean `sources`\?"),
        ({"select": {"hihg": 0.9}}, r"unknown key `select.hihg`; did you mean `high`\?"),
        ({"crawl": {"contact": "a@b.org", "request_per_second": 1}}, r"did you mean `requests_per_second`\?"),
        ({"sources": [{"name": "a", "ulr": "https://example.org"}]}, r"did you mean `url`\?"),
        ({"transcribe": [{**ENGINE, "modle": "x"}]}, r"did you mean `model`\?"),
        ({"crawl": {"contact": "  "}}, r"contact"),
        ({"crawl": {}}, r"missing key `crawl.contact`"),
        ({"select": {"high": 0.5, "weak": 0.9}}, r"thresholds must fall"),
        ({"transcribe": []}, r"at least one engine"),
        ({"transcribe": [ENGINE, ENGINE]}, r"engine names must differ"),
        ({"executor": {"resources": {"transcribe:moonshin": {"workers": 2}}}}, r"did you mean `transcribe:moonshine`\?"),
        ({"units": {"seconds": "many"}}, r"units.seconds"),
    ],
)
def test_mistakes_are_named_with_their_fix(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(GOOD | change)


def test_the_name_of_a_training_recipe_is_told_from_a_config() -> None:
    with pytest.raises(ConfigError, match=r"compact is a recipe of trainings \(`voxmill train -c compact`\)"):
        load_config("compact")


def test_every_mistake_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse_config({**GOOD, "selekt": {}, "pack": {"bucket": 3}})
    assert len(str(error.value).splitlines()) == 2


def test_a_missing_file_names_the_recipes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="demo"):
        load_config(tmp_path / "nothing.yaml")


def test_broken_yaml_is_an_error_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("sources: [")
    with pytest.raises(ConfigError, match=r"broken\.yaml is not valid YAML"):
        load_config(path)

"""Saves and loads `RUN/config.yaml`. Its secrets are kept apart in the run's private folder, so that the text can be passed on."""

from __future__ import annotations

import json
from typing import Any

import yaml

from voxmill.manifests.public_form import public_text
from voxmill.manifests.storage import commit_bytes
from voxmill.pipeline.load_config import read_config
from voxmill.pipeline.state.config_secrets import apart, together
from voxmill.pipeline.state.run import Run

CONFIG = "config.yaml"
"""File name, in a run that was started from sources on the command line."""

_SECRETS = "edited"


def keep(run: Run, text: str) -> None:
    """Writes the text without its secrets, and the secrets into the private folder."""
    public, secrets = apart(yaml.safe_load(text))
    for place, whole in sorted(secrets.items(), key=lambda pair: -len(pair[1])):
        text = text.replace(whole, _at(public, json.loads(place)))
    lines = [public_text(line) if line.lstrip().startswith("#") else line for line in text.splitlines(keepends=True)]
    text = "".join(lines)
    if yaml.safe_load(text) != public:  # quoted in a way that a search does not find
        text = yaml.safe_dump(public, sort_keys=False, allow_unicode=True)
    run.private.write(_SECRETS, secrets)
    commit_bytes(run.uri(CONFIG), text.encode(), replace=True)


def read(root: str) -> tuple[dict[str, Any], bool]:
    """(config data with its secrets, whether the text holds a secret because somebody edited it)."""
    run = Run(root)
    stated = read_config(run.uri(CONFIG))
    whole: dict[str, Any] = together(stated, run.private.read(_SECRETS))
    return whole, bool(apart(stated)[1])


def _at(value: Any, place: list[str | int]) -> str:
    for key in place:
        value = value[key]
    return str(value)

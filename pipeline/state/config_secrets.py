"""A config in two: what may be handed on, and the texts with secrets in them, by where they stood."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from voxmill.manifests.public_form import public_address, public_text
from voxmill.manifests.secret_patterns import HIDDEN, sure_name


def apart(value: Any) -> tuple[Any, dict[str, str]]:
    """The value in its public form, and the whole texts of what that leaves out.

    >>> apart({"sources": [{"url": "http://a.net/?key=k"}], "hf_token": "t"})
    ({'sources': [{'url': 'http://a.net/'}], 'hf_token': '~'}, {'["sources", 0, "url"]': 'http://a.net/?key=k', '["hf_token"]': 't'})
    """
    whole: dict[str, str] = {}
    return _apart(value, (), whole), whole


def together(value: Any, whole: Mapping[str, str]) -> Any:
    """The inverse of `apart`. A text that was edited since stays as it was edited."""
    texts = {tuple(json.loads(place)): text for place, text in whole.items()}
    return _together(value, (), texts) if texts else value


def _public(text: str, place: tuple[str | int, ...]) -> str:
    name = next((str(part) for part in reversed(place) if isinstance(part, str)), "")
    return HIDDEN if text and sure_name(name) else public_text(public_address(text))


def _apart(value: Any, place: tuple[str | int, ...], whole: dict[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _apart(one, (*place, key), whole) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_apart(one, (*place, number), whole) for number, one in enumerate(value)]
    if isinstance(value, str) and (public := _public(value, place)) != value:
        whole[json.dumps(place)] = value
        return public
    return value


def _together(value: Any, place: tuple[str | int, ...], texts: Mapping[tuple[str | int, ...], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _together(one, (*place, key), texts) for key, one in value.items()}
    if isinstance(value, list):
        return [_together(one, (*place, number), texts) for number, one in enumerate(value)]
    return texts[place] if place in texts and _public(texts[place], place) == value else value

"""What a JSON object or the row of a table says of an utterance, under the names that corpora commonly use."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, TypedDict

TEXT = ("text", "transcript", "transcription", "sentence", "normalized_text", "raw_text", "txt")
SPEAKER = ("speaker", "speaker_id", "client_id", "spk_id", "spk")
LANGUAGE = ("language", "lang", "locale", "source_lang")
LICENCE = ("licence", "license")
NONE = ("", "nan", "none", "null", "unk", "unknown")
"""How corpora write that a speaker or a language is not known."""


def text_of(row: Mapping[str, Any], column: str | None = None) -> str | None:
    """The transcript: of the column that is asked for, else of the first common one that holds a text."""
    return next((row[name] for name in ((column,) if column else TEXT) if isinstance(row.get(name), str)), None)


class RowFacts(TypedDict):
    """What is stated of an utterance beside its text."""

    speaker: str | None
    language: str | None
    licence: str | None


def facts_of(row: Mapping[str, Any]) -> RowFacts:
    """`speaker`, `language` and `licence`, as far as they are stated as texts or numbers."""
    return {"speaker": _one(row, SPEAKER), "language": _one(row, LANGUAGE), "licence": _licence(row)}


def _one(row: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = row.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip().lower() not in NONE:
            return str(value).strip()
    return None


def _licence(row: Mapping[str, Any]) -> str | None:
    """Plain, or as the exports of a run have it: an object with `name`, which some formats keep as JSON text."""
    for name in LICENCE:
        value = row.get(name)
        if isinstance(value, str) and value.startswith("{"):
            try:
                value = json.loads(value)
            except ValueError:
                continue
        if isinstance(value, Mapping):
            value = value.get("name")
        if isinstance(value, str) and value.strip().lower() not in NONE:
            return value.strip()
    return None


def number_of(value: Any) -> float | None:
    """A finite number; None for anything else."""
    try:
        found = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def json_row(text: str) -> dict[str, Any] | None:
    """The JSON object of a line; None where it is none."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None

"""Writes a config as YAML with a comment above every key. Read back, it is the same config."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from voxmill.manifests.config_base import about

WIDTH = 100
"""Width of the comments; values are not wrapped."""


def commented(config: BaseModel, *, only_stated: bool = False) -> str:
    """Every key with its value and description; with `only_stated`, only the keys that were set explicitly."""
    return "\n".join(_Writer(only_stated).model(config, 0)) + "\n"


def schema(root: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a config class, with a description for every key."""
    found = root.model_json_schema(schema_generator=_Described)
    return {"$schema": GenerateJsonSchema.schema_dialect, **found}


class _Described(GenerateJsonSchema):
    """Takes the descriptions of keys from `about`."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().model_schema(schema)
        for key, entry in made.get("properties", {}).items():
            if said := about(schema["cls"], key):
                entry["description"] = said
        return made


class _Writer:
    def __init__(self, only_stated: bool) -> None:
        self._only_stated = only_stated
        self._explained: set[tuple[str, str]] = set()

    def model(self, config: BaseModel, indent: int) -> Iterator[str]:
        plain = config.model_dump(mode="json")
        for key in type(config).model_fields:
            if not self._only_stated or key in config.model_fields_set:
                yield from self._comment(type(config), key, indent)
                yield from self._entry(key, getattr(config, key), plain[key], indent)

    def _comment(self, model: type[BaseModel], key: str, indent: int) -> Iterator[str]:
        """The description of a key, only the first time: the tenth source is like the first."""
        said = about(model, key)
        if (key, said) not in self._explained:
            self._explained.add((key, said))
            lead = " " * indent + "# "
            yield from textwrap.wrap(
                said, WIDTH, initial_indent=lead, subsequent_indent=lead, break_long_words=False,
                break_on_hyphens=False,
            )  # fmt: skip

    def _entry(self, key: str, value: Any, plain: Any, indent: int) -> Iterator[str]:
        start = f"{' ' * indent}{on_one_line(key)}:"
        if isinstance(value, BaseModel):
            inside = list(self.model(value, indent + 2))
            yield from [start, *inside] if inside else [f"{start} {{}}"]
        elif isinstance(value, tuple) and value and all(isinstance(one, BaseModel) for one in value):
            yield start
            for one in value:
                yield from self._item(one, indent + 2)
        elif isinstance(value, dict) and value and all(isinstance(one, BaseModel) for one in value.values()):
            yield start
            for name, one in value.items():
                yield from self._entry(name, one, plain[name], indent + 2)
        else:
            yield f"{start} {on_one_line(plain)}"

    def _item(self, one: BaseModel, indent: int) -> Iterator[str]:
        """An entry of a list: the dash stands before its first key, and comments above it."""
        lines = list(self.model(one, indent + 2)) or [f"{' ' * (indent + 2)}{{}}"]
        first = next(place for place, line in enumerate(lines) if not line.lstrip().startswith("#"))
        lines[first] = " " * indent + "- " + lines[first][indent + 2 :]
        yield from lines


def on_one_line(value: Any) -> str:
    """A value on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")

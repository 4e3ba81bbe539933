"""`--set KEY=VALUE`: one key of a config, changed from the command line.

A key is the path to it, joined by dots: `select.high`, `sources.0.language`, `transcribe.whisperx.beam_size`. An entry of a list is
meant by its place or by its name. A value is YAML; where the key wants text or a list, a bare word will do.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from voxmill.manifests.errors import UserError, nearest


def override(data: dict[str, Any], changes: Sequence[str], root: type[BaseModel], within: Sequence[str] = ()) -> dict[str, Any]:
    """The data of a config of the class `root` with every change made; `within` names the only parts that may change.

    What does not fit together is for whoever parses the result to say. Raises UserError for a key that there is not, and for a value
    that it cannot hold.
    """
    changed = copy.deepcopy(data)
    for change in changes:
        key, equals, value = change.partition("=")
        path = key.strip().split(".")
        if not equals or not all(path) or (within and (path[0] not in within or len(path) < 2)):
            where = f" with a KEY under {' or '.join(within)}" if within else ""
            raise UserError(f"--set {change}: write KEY=VALUE{where}, e.g. select.high=0.9")
        _set(changed, path, value, root, change)
    return changed


def _set(data: dict[str, Any], path: list[str], value: str, root: type[BaseModel], change: str) -> None:
    place: Any = data
    hints: list[Any] = [root]
    while True:
        mappings = [hint for hint in hints if _is_mapping(hint)]
        lists = [hint for hint in hints if get_origin(hint) in (tuple, list)]
        if lists and (isinstance(place, list) or not mappings):
            items = place if isinstance(place, list) else []
            index, path = _entry(items, path, lists[0], change)
            item_hints = list(_inside(get_args(lists[0])[0], items[index]))
            if not path:
                items[index] = _value(value, Hint(get_args(lists[0])[0]), change)
                return
            place, hints = items[index], item_hints
            if not isinstance(place, dict):
                raise UserError(f"--set {change}: `{path[0]}` leads into a value, which holds no keys")
            continue
        key, path = _key(mappings, path, change)
        field = _field(mappings, key)
        if not path:
            place[key] = _value(value, field, change)
            return
        inner = list(_alternatives(field.hint))
        if not any(_is_mapping(hint) or get_origin(hint) in (tuple, list) for hint in inner):
            raise UserError(f"--set {change}: `{key}` holds a value, not keys")
        if not isinstance(place.get(key), (dict, list)):
            place[key] = {} if any(map(_is_mapping, inner)) else []
        place = place[key]
        hints = [found for hint in inner for found in _inside(hint, place)]


class Hint:
    """What a key may hold: a type, and the bounds that its field gives it."""

    def __init__(self, hint: Any, field: FieldInfo | None = None) -> None:
        self.hint, self._field = hint, field

    def check(self, value: Any) -> None:
        """Raises ValidationError."""
        kind: Any = Annotated[self.hint, self._field] if self._field else self.hint
        TypeAdapter(kind).validate_python(value)


def _key(models: Sequence[Any], path: list[str], change: str) -> tuple[str, list[str]]:
    """The next key, and the rest of the path. A mapping of any names takes what the path says, dots included where it is the last."""
    names = {name for model in models if _is_model(model) for name in model.model_fields}
    if any(get_origin(model) is dict for model in models) or path[0] in names:
        return path[0], path[1:]
    raise UserError(f"--set {change}: no key `{path[0]}`{nearest(path[0], names)}")


def _field(models: Sequence[Any], key: str) -> Hint:
    for model in models:
        if _is_model(model) and key in model.model_fields:
            return Hint(model.model_fields[key].annotation, model.model_fields[key])
    return Hint(get_args(next(model for model in models if get_origin(model) is dict))[1])


def _entry(items: list[Any], path: list[str], hint: Any, change: str) -> tuple[int, list[str]]:
    """The place of an entry in a list, and the rest of the path. Names may hold dots."""
    names = {_name(item, hint): place for place, item in enumerate(items)}
    for length in range(len(path), 0, -1):
        if (name := ".".join(path[:length])) in names:
            return names[name], path[length:]
    if path[0].isdecimal() and int(path[0]) < len(items):
        return int(path[0]), path[1:]
    known = {name for name in names if name}
    there = nearest(path[0], known).replace("valid:", "there are:") if known else "; the list is empty"
    raise UserError(f"--set {change}: no entry `{path[0]}`{there}" + (f" (or 0 to {len(items) - 1})" if items else ""))


def _name(item: Any, hint: Any) -> str:
    """What an entry is called: as it says, or as its kind is called by default."""
    if not isinstance(item, dict):
        return ""
    if "name" in item:
        return str(item["name"])
    models = [model for model in _inside(get_args(hint)[0], item) if "name" in model.model_fields]
    return str(models[0].model_fields["name"].default) if len(models) == 1 else ""


def _inside(hint: Any, data: Any) -> Iterator[Any]:
    """What data may be, by its type; of several classes that a `kind` tells apart, the one it names."""
    found = list(_alternatives(hint))
    if isinstance(data, dict) and (kind := data.get("kind")):
        named = [
            m
            for m in found
            if _is_model(m) and "kind" in m.model_fields and kind in get_args(m.model_fields["kind"].annotation)
        ]
        found = named or found
    yield from found


def _alternatives(hint: Any) -> Iterator[Any]:
    """The members of a union, in any depth; all else is itself. None is left out."""
    if _is_model(hint) or get_origin(hint) in (tuple, list, dict):
        yield hint
    elif hasattr(hint, "__metadata__"):
        yield from _alternatives(get_args(hint)[0])
    elif get_args(hint) and not isinstance(hint, type):
        for argument in get_args(hint):
            yield from _alternatives(argument) if argument is not NoneType else ()
    else:
        yield hint


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)


def _is_mapping(hint: Any) -> bool:
    return _is_model(hint) or get_origin(hint) is dict


def _value(text: str, hint: Hint, change: str) -> Any:
    """The first reading that the key accepts: as YAML, as YAML of words alone, as the bare text, as a list of what commas part."""
    text = text.strip()
    try:
        plain, words = yaml.safe_load(text), yaml.load(text, Loader=yaml.BaseLoader)  # `no` is a language as well
    except (yaml.YAMLError, ValueError, RecursionError):  # a date that there is not is a ValueError
        plain = words = text
    parts = [part.strip() for part in text.split(",")]
    first: ValidationError | None = None
    for reading in (plain, words, text, parts, [plain]):
        try:
            hint.check(reading)
        except ValidationError as error:
            first = first or error
        else:
            return reading
    assert first is not None
    message = first.errors()[0]["msg"].removeprefix("Value error, ")
    if text.lower().strip(".+-") in ("nan", "inf", "infinity"):
        message = "it is no finite number"
    raise UserError(f"--set {change}: {change.partition('=')[0].strip()} cannot be `{text}`: {message}")

"""`RUN/config.yaml`: written once with what each key is, and afterwards changed as a person would, around what was edited in it."""

from __future__ import annotations

import io
from typing import Any

import yaml

from voxmill.pipeline.commented import commented
from voxmill.pipeline.config import RunConfig

HEAD = """\
# Made by `voxmill run` for sources on its command line; it is yours to edit. The run goes on with it: voxmill run -o {root}
# All other keys, with what they are: voxmill config show -c {root}/config.yaml
"""


def fresh(config: RunConfig, data: dict[str, Any], root: str | None, said: tuple[str, ...]) -> str:
    """The keys that were chosen, each with what it is, below why they were."""
    why = "".join(f"# {line}\n" for line in said)
    return HEAD.format(root=root or "RUN") + why + "\n" + commented(config, only_stated=True)


def rewritten(text: str, data: dict[str, Any], config: RunConfig) -> str:
    """The text with what `data` has that it has not: comments and order stay. Where that cannot be done, it is written anew."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 10_000
    editor.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    try:
        whole = editor.load(text)
        _merge(whole, data)
        editor.dump(whole, out)
        if yaml.safe_load(out.getvalue()) == data:
            return out.getvalue()
    except (YAMLError, yaml.YAMLError, TypeError, AttributeError, KeyError, ValueError):
        pass
    return commented(config, only_stated=True)


def _merge(node: Any, new: dict[str, Any]) -> None:
    """Makes a mapping hold what `new` holds, touching only what differs."""
    for key in [key for key in node if key not in new]:
        del node[key]
    for key, value in new.items():
        old = node.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            _merge_list(old, value)
        elif key not in node or old != value:
            node[key] = _quoted(value)


def _merge_list(nodes: Any, new: list[Any]) -> None:
    del nodes[len(new) :]
    for place, value in enumerate(new):
        if place >= len(nodes):
            nodes.append(_quoted(value))
        elif isinstance(nodes[place], dict) and isinstance(value, dict):
            _merge(nodes[place], value)
        elif nodes[place] != value:
            nodes[place] = _quoted(value)


def _quoted(value: Any) -> Any:
    """Words that YAML 1.1 would take for something else (`no`, `1e3`) in quotes: ruamel writes YAML 1.2, where they need none."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, dict):
        return {key: _quoted(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_quoted(one) for one in value]
    if isinstance(value, str):
        try:
            plain = yaml.safe_load(value) == value
        except yaml.YAMLError:
            plain = False
        return value if plain else DoubleQuotedScalarString(value)
    return value

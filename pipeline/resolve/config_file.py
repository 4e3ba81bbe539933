"""The text of `RUN/config.yaml`: written with a comment for each key, and later edited in place, so that the user's edits and comments stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from voxmill.pipeline.commented_yaml import commented, on_one_line
from voxmill.pipeline.config import RunConfig

HEAD = """\
# Made by `voxmill run` for sources on its command line; it is yours to edit. The run goes on with it: voxmill run -o {root}
# All other keys, with what they are: voxmill config show -c {root}/config.yaml
"""


def new_config_text(config: RunConfig, root: str | None, notes: tuple[str, ...]) -> str:
    """The keys that are set, each with its description, below `notes` on why they were chosen."""
    why = "".join(f"# {line}\n" for line in notes)
    return HEAD.format(root=(root or "RUN").rstrip("/")) + why + "\n" + commented(config, only_stated=True)


def updated_config_text(text: str, data: dict[str, Any], config: RunConfig) -> str:
    """The text edited so that it parses to `data`; all other bytes stay. If that is impossible, the whole text is written anew."""
    try:
        edits = sorted(_mapping(text, yaml.compose(text, yaml.SafeLoader), data), reverse=True)
        for start, end, new in edits:
            text = text[:start] + new + text[end:]
        if yaml.safe_load(text) == data:
            return text
    except (yaml.YAMLError, _NoWay):
        pass
    return commented(config, only_stated=True)


class _NoWay(Exception):
    """The YAML is written in a style that is not edited here."""


Edit = tuple[int, int, str]
"""(start, end, replacement), in characters of the old text."""


def _mapping(text: str, node: Node | None, new: dict[str, Any]) -> Iterator[Edit]:
    if not isinstance(node, MappingNode):
        raise _NoWay
    known = {key.value: value for key, value in node.value}
    if set(known) - set(new):
        raise _NoWay
    for key, value in known.items():
        yield from _value(text, value, new[key])
    lines = [f"{on_one_line(key)}: {on_one_line(new[key])}" for key in new if key not in known]
    if lines:
        if node.flow_style or not node.value:
            raise _NoWay
        yield _after(text, node, node.value[0][0].start_mark.column, lines)


def _value(text: str, node: Node, new: Any) -> Iterator[Edit]:
    old = yaml.safe_load(yaml.serialize(node, Dumper=yaml.SafeDumper))
    if old == new:
        return
    if isinstance(node, MappingNode) and isinstance(new, dict) and not node.flow_style:
        yield from _mapping(text, node, new)
    elif isinstance(node, SequenceNode) and isinstance(new, list) and not node.flow_style and len(new) >= len(node.value):
        for item, value in zip(node.value, new, strict=False):
            yield from _value(text, item, value)
        lines = [line for value in new[len(node.value) :] for line in _item(value)]
        if lines:
            yield _after(text, node, node.start_mark.column, lines)
    elif isinstance(node, ScalarNode) or (isinstance(node, CollectionNode) and node.flow_style):
        start, end = node.start_mark.index, node.end_mark.index
        yield start, end, (" " if start == end else "") + on_one_line(new)
    else:
        raise _NoWay


def _item(value: Any) -> list[str]:
    if not isinstance(value, dict) or not value:
        return [f"- {on_one_line(value)}"]
    return [
        f"{'  ' if number else '- '}{on_one_line(key)}: {on_one_line(one)}" for number, (key, one) in enumerate(value.items())
    ]


def _after(text: str, node: Node, column: int, lines: list[str]) -> Edit:
    """An edit that adds lines directly below the last line of a block; comments stay with what they belong to."""
    end = text.find("\n", _end(node))
    place, lead = (len(text), "\n") if end < 0 else (end + 1, "")
    return place, place, lead + "".join(f"{' ' * column}{line}\n" for line in lines)


def _end(node: Node) -> int:
    """Where a node's text ends. The end mark of a block is no use: it is at the next token, after any comments."""
    if not isinstance(node, CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(node, MappingNode) else last)

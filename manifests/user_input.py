"""Reads files that the user names, and checks places to write to; each error names the file, the cause and the fix.

Errors of the disk (full, read-only, no permission) stay OSErrors.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from voxmill.manifests.errors import UserError
from voxmill.manifests.storage import locate


def text(path: str | os.PathLike[str], what: str, fix: str, error: type[UserError] = UserError) -> str:
    """The UTF-8 text of a file, or of what an fsspec URL names. `what` it should be and the `fix` go into the message. Raises `error`."""
    try:
        if "://" in os.fspath(path):
            fs, there = locate(path)
            return str(fs.cat_file(there).decode("utf-8-sig"))
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise error(f"{path} is a folder, no {what}: {fix}")
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
            raise error(f"{path} is a device, no {what}: {fix}")
        return Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise error(f"no {what} at {path}: {fix}") from None
    except NotADirectoryError:
        raise error(f"no {what} at {path}: a file stands where a folder of its path should be; {fix}") from None
    except UnicodeDecodeError as bad:
        raise error(f"{path} is no {what}: it is not UTF-8 text (byte {bad.start}); {fix}") from None
    except OSError as bad:
        if bad.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise error(f"no {what} at {path}: {os.strerror(bad.errno)}; {fix}") from None
        raise


class UniqueKeys(yaml.SafeLoader):
    """Plain YAML, without keys that are there twice: of two sections of one name PyYAML drops the first without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node. Raises ConstructorError."""
        lines: dict[tuple[str, str], int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"):
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                problem = f"`{key.value}` is there twice, in line {lines[name]} and in line {line}"
                raise yaml.constructor.ConstructorError(problem=problem)
            lines[name] = line
        return super().construct_mapping(node, deep)


def yaml_mapping(path: str | os.PathLike[str], what: str, fix: str, error: type[UserError] = UserError) -> dict[str, Any]:
    """The mapping in a YAML file; `what` it should be and the `fix` go into the message. Raises `error`."""
    whole = text(path, what, fix, error)
    try:
        data = yaml.load(whole, Loader=UniqueKeys)
    except (yaml.YAMLError, ValueError, RecursionError) as bad:
        raise error(f"{path} is not valid YAML: {_one_line(bad)}; {fix}") from None
    if not isinstance(data, dict):
        found = "is empty" if data is None else f"holds {_kind(data)}"
        raise error(f"{path} {found}, no mapping: {fix}")
    return data


def json_object(blob: bytes | str, where: str, fix: str, error: type[UserError] = UserError) -> dict[str, Any]:
    """A JSON object from what was read at `where`. Raises `error`."""
    try:
        data = json.loads(blob)
    except (ValueError, RecursionError) as bad:
        cause = "it is empty" if not blob.strip() else _one_line(bad)
        raise error(f"{where} is not valid JSON ({cause}): {fix}") from None
    if not isinstance(data, dict):
        raise error(f"{where} holds {_kind(data)}, no JSON object: {fix}")
    return data


def json_lines(
    path: str | os.PathLike[str], what: str, fix: str, error: type[UserError] = UserError
) -> Iterator[tuple[str, dict[str, Any]]]:  # fmt: skip
    """(place, object) of every line that is not blank; the place is for messages. Raises `error`, naming the line."""
    for number, line in enumerate(text(path, what, fix, error).split("\n"), 1):
        if line.strip():
            where = f"{path}, line {number}"
            yield where, json_object(line, where, fix, error)


def new_file(path: Path, endings: Sequence[str] = (), error: type[UserError] = UserError) -> Path:
    """A place for one file that is to be written, looked at before any work is done for it. Raises `error`, or the disk's OSError."""
    if endings and path.suffix.lower() not in endings:
        wanted = " or ".join(filter(None, (", ".join(endings[:-1]), endings[-1])))
        raise error(f"{path}: a name that ends in {wanted} is wanted, not `{path.suffix}`")
    if path.is_dir():
        raise error(f"{path} is a folder: give the name of a file in it")
    if not path.parent.is_dir():
        cause = "is no folder" if path.parent.exists() else "is not there"
        raise error(f"{path}: {path.parent} {cause}; make it, or give another place")
    _writable(path if path.exists() else path.parent)
    return path


def new_folder(path: str | os.PathLike[str], error: type[UserError] = UserError) -> None:
    """Looks whether a folder can be made, or written into, without making it. URLs are the store's business.

    Raises `error`, or the disk's OSError.
    """
    if "://" in os.fspath(path):
        return
    place = Path(path)
    if place.exists() and not place.is_dir():
        raise error(f"{path} is a file, and a folder is wanted: give another place")
    above = next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists())
    if not above.is_dir():
        raise error(f"{path}: {above} is a file, and a folder is wanted: give another place")
    _writable(above)


def _writable(place: Path) -> None:
    """Raises the OSError that writing there would."""
    if os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        return
    read_only = hasattr(os, "statvfs") and os.statvfs(place).f_flag & os.ST_RDONLY
    number = errno.EROFS if read_only else errno.EACCES
    raise OSError(number, os.strerror(number), str(place))


def _kind(data: Any) -> str:
    names = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(data), f"a {type(data).__name__}")


def _one_line(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return " ".join(str(error).split()) or type(error).__name__

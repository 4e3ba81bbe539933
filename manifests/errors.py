"""Errors that the user can fix, with the exit code of each, and readable messages for a config that is not valid."""

from __future__ import annotations

import difflib
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError


class UserError(Exception):
    """Something that the user can fix; the message names the thing, the cause and the fix. The command line prints it as one line."""

    exit_code = 2
    """Exit code of the command: 1 a check fails, 2 wrong use, 3 something outside fails."""


class CheckFailed(UserError):
    """A check or a proof fails, though the command was used rightly."""

    exit_code = 1


class DamagedError(UserError):
    """A file written by voxmill is damaged."""


class Unavailable(UserError):
    """Something outside fails or is missing: a store, the disk, the network, a package, weights, another process."""

    exit_code = 3


def explain(error: ValidationError, root: type[BaseModel], where: str) -> str:
    """One line for each mistake in a config of the class `root`: its key, and for an unknown one the nearest valid key."""
    return "\n".join(f"{where}: {_one(e, root)}" for e in error.errors())


def first_mistake(error: ValidationError) -> str:
    """The first mistake of what pydantic refuses: where it is, and what.

    >>> from pydantic import TypeAdapter
    >>> try:
    ...     TypeAdapter(dict[str, list[int]]).validate_python({"a": [1, "x"]})
    ... except ValidationError as error:
    ...     first_mistake(error)
    'a.1: Input should be a valid integer, unable to parse string as an integer'
    """
    one = error.errors()[0]
    return ": ".join(filter(None, (".".join(map(str, one["loc"])), one["msg"])))


def nearest(word: str, valid: set[str]) -> str:
    """The end of a message about an unknown word: the valid one that is most like it, or all that are valid where none is."""
    near = difflib.get_close_matches(word, sorted(valid), n=1, cutoff=0.5)
    return f"; did you mean `{near[0]}`?" if near else f"; valid: {', '.join(sorted(valid))}"


def _one(error: Any, root: type[BaseModel]) -> str:
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    if error["type"] == "extra_forbidden":
        return f"unknown key `{key}`{nearest(location[-1], _valid_keys(error['loc'][:-1], root))}"
    if error["type"] == "missing":
        return f"missing key `{key}`"
    message: str = error["msg"].removeprefix("Value error, ")
    return f"`{key}`: {message}" if key else message


def _valid_keys(location: tuple[Any, ...], root: type[BaseModel]) -> set[str]:
    """The keys of the model at a location of the tree (list indices and union tags are stepped over)."""
    models = [root]
    for part in location:
        fields = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        models = [found for hint in fields for found in _models_in(hint)] or models
    return {name for model in models for name in model.model_fields}


def _models_in(hint: Any) -> list[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return [hint]
    if get_origin(hint) in (Union, UnionType, tuple, list, dict) or hasattr(hint, "__metadata__"):
        return [m for arg in get_args(hint) for m in _models_in(arg)]
    return []

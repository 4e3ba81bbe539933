"""Code of the user's own in a run: named in the config as `package.module:Class`, or registered by a package as an entry point.

Nothing is ever downloaded: what is named must be importable where the run works, on every machine of a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import UserError

Group = Literal["voxmill.stages", "voxmill.transcribers", "voxmill.labellers", "voxmill.sources"]


class UserCodeError(UserError):
    """Code that the config names cannot be used; the message says what is wrong with it."""


def _checked(call: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", call):
        raise ValueError(f"`{call}` names no class: write `package.module:Class`")
    return call


Call = Annotated[str, AfterValidator(_checked)]
"""`package.module:Class`."""


class UserCode(Settings):
    """Which code of yours is to run, and with what."""

    call: Call
    """`package.module:Class`. It must be importable on every machine that works on the run."""
    version: str = Field(default="1", min_length=1)
    """Yours to raise when it would give other results: what was made by another version is made again."""
    options: dict[str, Any] = {}
    """Keyword arguments of the class."""

    def load(self) -> Any:
        """The class. Raises UserCodeError."""
        module, _, name = self.call.partition(":")
        try:
            return getattr(import_module(module), name)
        except ImportError as error:
            raise UserCodeError(
                f"`{self.call}` cannot be imported ({error}): install its package on every machine that works on the run"
            ) from error
        except AttributeError:
            raise UserCodeError(f"there is no `{name}` in {module}: mend `call: {self.call}`") from None

    def make(self) -> Any:
        """An instance of the class with the options of the config. Raises UserCodeError where it does not take them."""
        made = self.load()
        try:
            return made(**self.options)
        except TypeError as error:
            raise UserCodeError(f"`{self.call}` does not take these options ({error}): mend `options` in the config") from error


def registered(group: Group) -> dict[str, str]:
    """What installed packages offer under an entry point group: `kind` in a config to `package.module:Class`."""
    return {point.name: point.value for point in entry_points(group=group)}


def kinds_of(union: Any) -> frozenset[str]:
    """The `kind` of every class in `Annotated[A | B | …, …]`."""
    return frozenset(get_args(one.model_fields["kind"].annotation)[0] for one in get_args(get_args(union)[0]))


def resolved(data: Any, group: Group, known: frozenset[str]) -> Any:
    """An entry of a config, with a `kind` that a package has registered written out as `kind: python` with its `call`.

    Other entries come back as they are, for pydantic to judge.
    """
    kind = data.get("kind") if isinstance(data, Mapping) else None
    if not isinstance(kind, str) or kind == "python" or kind in known:
        return data
    call = registered(group).get(kind)
    return {**data, "kind": "python", "call": call} if call else data

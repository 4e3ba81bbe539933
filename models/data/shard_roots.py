"""One folder of shards or several: how a training names what it reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias

from voxmill.manifests.errors import UserError

ShardRoots: TypeAlias = str | Sequence[str]
"""A folder or prefix of shards, or several of them; their order counts."""


def roots_of(shards: ShardRoots) -> tuple[str, ...]:
    """The roots, in order. Raises UserError if one is named twice, or if there is none.

    >>> roots_of("one/shards"), roots_of(["one/shards", "two/shards"])
    (('one/shards',), ('one/shards', 'two/shards'))
    """
    roots = (shards,) if isinstance(shards, str) else tuple(shards)
    places = list(map(place_of, roots))
    if not roots:
        raise UserError("no folder of shards: give at least one")
    for root, place in zip(roots, places, strict=True):
        if places.count(place) > 1:
            raise UserError(
                f"{root} is named twice: give each folder of shards once, and set data.plan.root_weights to read it more often"
            )
    return roots


def place_of(root: str) -> str:
    """Where a root lies, whatever links and the working directory are: its real path, or its URL."""
    return root.rstrip("/") if "://" in root else os.path.realpath(root)

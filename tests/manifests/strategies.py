"""Hypothesis strategies for records, derived from their type hints: every value that a field may hold."""

from __future__ import annotations

import types
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),  # NaN equals nothing, not even itself; infinities must survive
    bool: st.booleans(),
}


@cache
def records_of(hint: Any) -> st.SearchStrategy[Any]:
    """Records, or whatever else a field's hint allows."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return st.one_of(*(st.none() if arg is type(None) else records_of(arg) for arg in get_args(hint)))
    if get_origin(hint) is tuple:
        return st.lists(records_of(get_args(hint)[0]), max_size=3).map(tuple)
    assert is_dataclass(hint), hint
    return st.builds(hint, **{name: records_of(field) for name, field in get_type_hints(hint).items()})  # type: ignore[arg-type]

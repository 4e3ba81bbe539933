"""The base of every config class: strict, frozen, and each sits beside what it configures."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator
from typing_extensions import Self


class Settings(BaseModel):
    """Unknown keys are errors; values are not coerced across types, and numbers are finite; an instance never changes.

    The text under a field says what the key is: `voxmill config show`, `config schema` and the documentation take it from there.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=False, validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="after")
    def _numbers_that_fit(self) -> Self:
        """Whole numbers end where tables and databases end them."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, int) and abs(value) >= 2**63:
                raise ValueError(f"`{name}` is too large a number")
        return self


def about(model: type[BaseModel], key: str) -> str:
    """What a key is: the text under its field, or under the same field of a class that this one specialises; for a key that holds
    a tree of its own, what the tree's class says of itself. Empty where nobody says anything.
    """
    for each in model.__mro__:
        if issubclass(each, BaseModel) and (field := each.model_fields.get(key)) and field.description:
            return " ".join(field.description.split())
    inside = [each for each in models_in(model.model_fields[key].annotation) if each.__doc__]
    return " ".join(inspect.cleandoc(inside[0].__doc__ or "").partition("\n\n")[0].split()) if len(inside) == 1 else ""


def models_in(hint: Any) -> Iterator[type[BaseModel]]:
    """The config classes that a type names, in any depth of unions, tuples and dicts."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    for argument in get_args(hint):
        yield from models_in(argument)


def tree(root: type[BaseModel]) -> list[type[BaseModel]]:
    """The class and all that its keys lead to, each once."""
    found: dict[type[BaseModel], None] = {}
    todo = [root]
    while todo:
        if (model := todo.pop(0)) not in found:
            found[model] = None
            todo += [each for field in model.model_fields.values() for each in models_in(field.annotation)]
    return list(found)

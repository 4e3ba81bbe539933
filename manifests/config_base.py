"""The base of every config class: strict, frozen, and each sits beside what it configures."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator
from typing_extensions import Self


class Settings(BaseModel):
    """Unknown keys are errors; values are not coerced across types, and numbers are finite; an instance never changes.

    The text under a field says what the key is: `voxmill config show`, `config schema` and the documentation take it from there, by
    `about`. Nobody else reads it, so pydantic does not: for all classes that takes 0.2 s, at the start of every command and worker.
    For the same reason it builds what validates a class (0.2 s) when one is made of a mapping, which workers never do.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=False, validate_default=True, allow_inf_nan=False, defer_build=True
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
        field = each.model_fields.get(key) if issubclass(each, BaseModel) else None
        if field and (said := field.description or _texts(each.__module__).get((each.__qualname__, key))):
            return " ".join(said.split())
    inside = [each for each in models_in(model.model_fields[key].annotation) if each.__doc__]
    return " ".join(inspect.cleandoc(inside[0].__doc__ or "").partition("\n\n")[0].split()) if len(inside) == 1 else ""


@cache
def _texts(module: str) -> dict[tuple[str, str], str]:
    """The texts under the fields of all classes of a module, by class and field. None where its source is not there."""
    try:
        whole = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):
        return {}
    found: dict[tuple[str, str], str] = {}
    todo: list[tuple[str, ast.AST]] = [("", whole)]
    while todo:
        prefix, scope = todo.pop()
        inside = list(ast.iter_child_nodes(scope))
        for node, after in zip(inside, [*inside[1:], None], strict=False):
            if isinstance(node, ast.ClassDef):
                todo.append((f"{prefix}{node.name}.", node))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                todo.append((f"{prefix}{node.name}.<locals>.", node))
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                text = after.value if isinstance(after, ast.Expr) else None
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found[prefix[:-1], node.target.id] = text.value
            elif isinstance(node, ast.stmt):
                todo.append((prefix, node))
    return found


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

"""Loads one class of an installed module with the imports that the class uses, and none of the others that its module makes."""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from symtable import SymbolTable, symtable
from typing import Any


def load_class(module: str, name: str) -> Any:
    """A class of a module, by running its own statement as it is installed, after the imports of its module that it refers to.

    Where it needs more of its module than imports, as another version of a package might, or the module is loaded already, it is that of
    the whole module. Raises ModuleNotFoundError where the module is not installed.
    """
    spec = None if module in sys.modules else importlib.util.find_spec(module)
    if spec and spec.origin and spec.has_location:
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf8"), spec.origin)
        if statements := _enough(tree, name, spec.origin):
            namespace: dict[str, Any] = {"__name__": module, "__file__": spec.origin, "__package__": spec.parent}
            code = compile(ast.Module(statements, []), spec.origin, "exec", dont_inherit=True)
            exec(code, namespace)  # noqa: S102 - a part of what an import would run
            return namespace[name]
    return getattr(importlib.import_module(module), name)


def _enough(tree: ast.Module, name: str, file: str) -> list[ast.stmt]:
    """The class and the imports that it uses; empty where it uses anything else of its module, or is not stated plainly."""
    stated = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    if len(stated) != 1:
        return []
    used = set(_globals(symtable(ast.unparse(stated[0]), file, "exec"))) - {name} - set(dir(builtins))
    imports = [pruned for node in tree.body if (pruned := _pruned(node, used))]
    bound = {_bound(alias) for node in imports for alias in node.names}
    return [*imports, *stated] if used <= bound else []


def _globals(table: SymbolTable) -> Iterator[str]:
    """Names that code refers to and does not define, in all of its scopes."""
    yield from (symbol.get_name() for symbol in table.get_symbols() if symbol.is_global())
    for child in table.get_children():
        yield from _globals(child)


def _pruned(node: ast.stmt, used: set[str]) -> ast.Import | ast.ImportFrom | None:
    """An import of the names that are used; None for one of others, and for other statements."""
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return node
    if not isinstance(node, (ast.Import, ast.ImportFrom)):
        return None
    node.names = [alias for alias in node.names if _bound(alias) in used]
    return node if node.names else None


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]

"""What can be counted about the house from its source alone: who imports whom, which names occur twice, what has no docstring.

Every import counts, those for type checkers and those within functions as well. Files are named relative to the repository. A *room* is a
sub-folder or a file directly in one of `ROOMS`.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("manifests", "models", "operators", "pipeline", "sharding")
MAY_IMPORT = {
    "manifests": {"manifests"},
    "operators": {"manifests", "operators"},
    "sharding": {"manifests", "sharding"},
    "models": {"manifests", "sharding", "models"},
    "pipeline": {"manifests", "operators", "sharding", "pipeline"},
}
INTO_MODELS = "pipeline/commands/modelling.py"
"""The one file from which `models` is reached."""
ROOMS = ("models", "operators", "operators/crawl", "pipeline")

Graph: TypeAlias = Mapping[str, set[str]]
Definition: TypeAlias = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class House:
    """The product files of a checkout at `root`."""

    root: Path

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """Each product file, parsed."""
        paths = sorted(path for folder in FOLDERS for path in (self.root / folder).rglob("*.py"))
        return {path.relative_to(self.root).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}

    @cached_property
    def graph(self) -> dict[str, set[str]]:
        """The product files that each product file imports."""
        files = {_module(file): file for file in self.trees}
        return {
            file: {files[name] for name in _imported(file, tree, files) if files[name] != file}
            for file, tree in self.trees.items()
        }

    def circles(self) -> list[list[str]]:
        """Groups of files that import each other, directly or through others."""
        return circles(self.graph)

    def room_circles(self) -> list[list[str]]:
        """Groups of rooms beside each other of which files import each other, directly or through others."""
        found = []
        for base in ROOMS:
            rooms: dict[str, set[str]] = defaultdict(set)
            for file, others in self.graph.items():
                if room := _room(base, file):
                    rooms[room] |= {other for name in others if (other := _room(base, name)) and other != room}
            found += circles(rooms)
        return found

    def upward(self) -> list[str]:
        """Imports against the arrows between the top folders, as `one -> other`."""
        return [
            f"{file} -> {other}"
            for file, others in self.graph.items()
            for other in sorted(others)
            if _top(other) not in MAY_IMPORT[_top(file)] and not (_top(other) == "models" and file == INTO_MODELS)
        ]

    def without_docstring(self) -> list[str]:
        """Public modules, classes, functions and methods without one, as `file: name`. Empty modules, overloads and setters need none."""
        return [
            f"{file}: {name or 'the module'}"
            for file, tree in self.trees.items()
            for name, node in [("", tree), *_public(tree.body)]
            if node.body and ast.get_docstring(node) is None
        ]

    def classes_twice(self) -> dict[str, list[str]]:
        """Names of public classes that more than one file defines, and these files."""
        return _twice(
            (node.name, file)
            for file, tree in self.trees.items()
            for _, node in _public(tree.body)
            if isinstance(node, ast.ClassDef) and node in tree.body
        )

    def basenames_twice(self) -> dict[str, list[str]]:
        """Names that more than one file has, `__init__.py` apart."""
        names = ((PurePosixPath(file).name, file) for file in self.trees)
        return _twice((name, file) for name, file in names if name != "__init__.py")

    def built(self, name: str) -> list[str]:
        """Where the class `name` is called, as `file:line`."""
        return [
            f"{file}:{node.lineno}"
            for file, tree in self.trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and name in (getattr(node.func, "id", None), getattr(node.func, "attr", None))
        ]

    def lines(self) -> dict[str, int]:
        """Lines of each product file, blank ones and comments among them."""
        return {file: (self.root / file).read_bytes().count(b"\n") for file in self.trees}


HOUSE = House(ROOT)
"""This checkout; parsed once for all tests of a process."""


def circles(graph: Graph) -> list[list[str]]:
    """The strongly connected parts of more than one node (Tarjan 1972), each sorted.

    >>> circles({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    [['b', 'c']]
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            part = stack[stack.index(node) :]
            del stack[-len(part) :]
            if len(part) > 1:
                found.append(sorted(part))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def _module(file: str) -> str:
    return "voxmill." + file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imported(file: str, tree: ast.Module, files: Mapping[str, str]) -> Iterator[str]:
    """Names of the product modules that a file imports; `from package import name` is the package, or its module of that name."""
    package = _module(file).split(".") if file.endswith("/__init__.py") else _module(file).split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield from [name for name in (f"{base}.{alias.name}", base) if name in files][:1]


def _public(body: Iterable[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    for node in body:
        if isinstance(node, (ast.If, ast.Try)):
            yield from _public([*node.body, *node.orelse], prefix)
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            if not any(getattr(one, "id", getattr(one, "attr", "")) in ("overload", "setter") for one in node.decorator_list):
                yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, f"{prefix}{node.name}.")


def _room(base: str, file: str) -> str | None:
    if not file.startswith(f"{base}/"):
        return None
    return f"{base}/{file.removeprefix(f'{base}/').split('/')[0]}"


def _top(file: str) -> str:
    return file.split("/")[0]


def _twice(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, file in named:
        found[name].append(file)
    return {name: files for name, files in found.items() if len(files) > 1}

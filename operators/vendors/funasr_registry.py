"""FunASR with a registry that imports a class when it is asked for by name, instead of all of its models when it starts.

`import funasr` imports each of its 400 modules, with librosa, transformers and whatever else one of them wants, so that their classes
enter a registry, from which a model's `config.yaml` names five or six. Here the registry knows from their source which module has
which name. Any name that source does not state plainly still brings all of them.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "funasr"
REGISTERED = re.compile(r"""^@tables\.register\(\s*["'](\w+)["']\s*,\s*["']([^"']+)["']\s*,?\s*\)""", re.MULTILINE)
"""A decorator that enters a class: its table, and its name there."""


def import_funasr() -> None:
    """Imports `funasr` with a registry that fills on demand; leaves it as it is where it was imported already.

    Raises ModuleNotFoundError where it is not installed.
    """
    if PACKAGE in sys.modules:
        return
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module named {PACKAGE!r}", name=PACKAGE)
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf8"), spec.origin)
    before = len(tree.body)
    tree.body = [node for node in tree.body if ast.unparse(node) != "import_submodules(__name__)"]
    if len(tree.body) == before:  # another version, that starts in another way
        importlib.import_module(PACKAGE)
        return
    module = sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        exec(compile(tree, spec.origin, "exec", dont_inherit=True), vars(module))  # noqa: S102 - the package, but for one line
        _fill_on_demand(module, Path(spec.origin).parent)
    except BaseException:
        del sys.modules[PACKAGE]
        raise


def _fill_on_demand(package: ModuleType, folder: Path) -> None:
    tables = importlib.import_module(f"{PACKAGE}.register").tables
    for table, modules in registered(folder).items():
        setattr(tables, table, _OnDemand(modules, lambda: package.import_submodules(PACKAGE), getattr(tables, table, {})))


def registered(folder: Path) -> dict[str, dict[str, str]]:
    """Table -> name -> the module that registers it. Names that different modules register differently are left out."""
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text(encoding="utf8", errors="replace")
        module = ".".join((folder.name, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
        for table, name in REGISTERED.findall(source):
            found[table][name].setdefault(source, module)
    return {
        table: {name: next(iter(places.values())) for name, places in names.items() if len(places) == 1}
        for table, names in found.items()
    }


class _OnDemand(dict[str, Any]):
    """Name -> class. A name that is not there yet is looked for before it is missed."""

    def __init__(self, modules: Mapping[str, str], import_all: Callable[[], object], known: Mapping[str, Any]) -> None:
        super().__init__(known)
        self._modules, self._import_all = dict(modules), import_all

    def get(self, name: Any, default: Any = None) -> Any:
        """The class of a name, or `default` where no module of FunASR registers it."""
        if name is not None and name not in self:
            module = self._modules.get(name)
            if module:
                importlib.import_module(module)
            else:
                self._import_all()
        return super().get(name, default)

    def __missing__(self, name: str) -> Any:
        if (found := self.get(name)) is None:
            raise KeyError(name)
        return found

"""One class of a module, without what the rest of the module imports."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from voxmill.operators.vendors.one_class import load_class

MODULE = """
from __future__ import annotations
import json as plain, colorsys
from textwrap import dedent
import missing_and_heavy
from .beside import LIMIT, missing

DEFAULT = 3
{line}
class Kept:
    def __init__(self, size: plain.JSONEncoder = LIMIT) -> None:
        self.size = size

    def text(self, words: list[str]) -> str:
        return plain.dumps([dedent(word) for word in words][: self.size])

    def again(self) -> Kept:
        return Kept({again})

class Other(missing_and_heavy.Base):
    pass
"""


def package(folder: Path, name: str, again: str = "self.size", line: str = "") -> str:
    (folder / name).mkdir()
    (folder / name / "__init__.py").touch()
    (folder / name / "beside.py").write_text("LIMIT = 2\n")
    (folder / name / "whole.py").write_text(MODULE.format(again=again, line=line))
    return f"{name}.whole"


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)


def test_the_class_works_without_what_it_does_not_use(tmp_path: Path) -> None:
    kept = load_class(package(tmp_path, "one_package"), "Kept")
    assert kept().text([" a", " b", " c"]) == '["a", "b"]'
    assert kept(1).again().size == 1
    assert (kept.__name__, kept.__module__) == ("Kept", "one_package.whole")
    assert "one_package.whole" not in sys.modules


def test_a_fault_in_it_names_its_file_and_line(tmp_path: Path) -> None:
    module = package(tmp_path, "faulty_package", again="1 / 0")
    with pytest.raises(ZeroDivisionError) as caught:
        load_class(module, "Kept")().again()
    last = caught.traceback[-1]
    assert str(last.path) == str(tmp_path / "faulty_package" / "whole.py")
    assert "1 / 0" in last.path.read_text().splitlines()[last.lineno]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "changes",
    [{"again": "DEFAULT"}, {"again": "Other"}, {"line": "class Kept: pass"}, {"line": "@missing_and_heavy.register"}],
    ids=["a constant", "another class", "stated twice", "a decorator"],
)
def test_where_it_needs_more_the_whole_module_is_imported(tmp_path: Path, changes: dict[str, str]) -> None:
    module = package(tmp_path, f"needs_{abs(hash(str(changes)))}", **changes)
    with pytest.raises(ModuleNotFoundError, match="missing_and_heavy"):
        load_class(module, "Kept")


def test_a_module_that_is_loaded_already_gives_its_own() -> None:
    import textwrap

    assert load_class("textwrap", "TextWrapper") is textwrap.TextWrapper


@pytest.mark.parametrize("module", ["no_such_package_here", "no_such_package_here.part", "json.no_such_part"])
def test_what_is_not_installed_is_named(module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"no_such"):
        load_class(module, "Any")

"""The house stays in order: no circles, no name for two things, a docstring for every public definition."""

from __future__ import annotations

from pathlib import Path

import pytest

from house import HOUSE, House, circles

pytestmark = pytest.mark.xdist_group("house")


def test_files_and_rooms_import_each_other_in_no_circle() -> None:
    assert not [*HOUSE.circles(), *HOUSE.room_circles()]


def test_arrows_between_the_folders_point_one_way() -> None:
    assert not HOUSE.upward()


def test_no_two_public_classes_have_one_name() -> None:
    assert not HOUSE.classes_twice()


def test_no_two_files_have_one_name() -> None:
    assert not HOUSE.basenames_twice()


def test_every_public_definition_has_a_docstring() -> None:
    assert not HOUSE.without_docstring()


def test_a_run_is_opened_in_few_places() -> None:
    """A run's ledger and listing are opened once and handed down."""
    assert len(HOUSE.built("Ledger")) <= 3
    assert len(HOUSE.built("Listing")) <= 3


@pytest.fixture
def untidy(tmp_path: Path) -> House:
    """A small house with one fault of each kind."""
    files = {
        "manifests/records.py": '"""R."""\nfrom voxmill.operators.a import one\nclass Same:\n    """S."""\n',
        "operators/__init__.py": "",
        "operators/a.py": '"""A."""\nfrom voxmill.operators import b\ndef one():\n    """O."""\n    from voxmill.operators.c.x import Same\n',
        "operators/b.py": '"""B."""\nclass Open:\n    """O."""\n    def told(self): ...\n    def _hidden(self): ...\n',
        "operators/c/x.py": '"""X."""\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..a import one\nclass Same:\n    """S."""\n',
        "pipeline/c/x.py": "import voxmill.operators.c.x\nLedger(Ledger)\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return House(tmp_path)


def test_what_is_out_of_order_is_found(untidy: House) -> None:
    assert untidy.circles() == [["operators/a.py", "operators/c/x.py"]], "imports of types and within functions count"
    assert untidy.room_circles() == [["operators/a.py", "operators/c"]]
    assert untidy.upward() == ["manifests/records.py -> operators/a.py"]
    assert untidy.without_docstring() == ["operators/b.py: Open.told", "pipeline/c/x.py: the module"]
    assert untidy.classes_twice() == {"Same": ["manifests/records.py", "operators/c/x.py"]}
    assert untidy.basenames_twice() == {"x.py": ["operators/c/x.py", "pipeline/c/x.py"]}
    assert untidy.built("Ledger") == ["pipeline/c/x.py:2"]
    assert untidy.lines()["pipeline/c/x.py"] == 2


def test_circles_are_found_once_each() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"f", "a"}}
    assert circles(graph) == [["d", "e"], ["a", "b", "c"]]

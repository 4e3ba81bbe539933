"""Files that a user names: what is wrong with them is said, with the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmill.manifests.errors import UserError
from voxmill.manifests.user_input import yaml_mapping


def read(tmp_path: Path, text: str) -> dict[str, object]:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return yaml_mapping(path, "config file", "mend it")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", r"x\.yaml is not valid YAML: `a` is there twice, in line 1 and in line 3; mend it"),
        ("s: {high: 1, high: 2}\n", r"`high` is there twice, in line 1 and in line 1"),
        ("l: [{k: 1}, {k: 1, k: 1}]\n", r"`k` is there twice"),
        ("a: " + "[" * 3000 + "]" * 3000, r"nested too deep"),
    ],
)
def test_what_is_there_twice_or_too_deep_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(tmp_path, text)


def test_anchors_merges_and_keys_that_only_look_alike_stay(tmp_path: Path) -> None:
    text = "base: &b {x: 1, y: 2}\none: {<<: *b, x: 3}\ntwo: *b\nwords: {1: a, '1': b}\n"
    found = read(tmp_path, text)
    assert found["one"] == {"x": 3, "y": 2}
    assert found["two"] == found["base"] == {"x": 1, "y": 2}
    assert found["words"] == {1: "a", "1": "b"}

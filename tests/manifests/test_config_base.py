"""What a config key says of itself comes from the one text under its field."""

from __future__ import annotations

from voxmill.manifests.config_base import Settings, about, tree


class Inner(Settings):
    """What is inside.

    More of it.
    """

    depth: float = 1.0
    """How deep
    it goes (m)."""


class Outer(Settings):
    inner: Inner = Inner()
    several: tuple[Inner, ...] = ()
    mute: int = 0
    said: Inner | None = None
    """Null: nothing."""


class Special(Inner):
    depth: float = 2.0


def test_a_key_is_described_by_its_own_text_its_parents_or_its_trees() -> None:
    assert about(Inner, "depth") == "How deep it goes (m)."
    assert about(Special, "depth") == "How deep it goes (m)."
    assert about(Outer, "inner") == about(Outer, "several") == "What is inside."
    assert about(Outer, "said") == "Null: nothing."
    assert about(Outer, "mute") == ""


def test_a_tree_holds_every_class_that_keys_lead_to_once() -> None:
    assert tree(Outer) == [Outer, Inner]

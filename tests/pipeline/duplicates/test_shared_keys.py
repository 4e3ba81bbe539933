"""Who shares keys with whom, beside a comparison of everything with everything."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.pipeline.duplicates import shared_keys
from voxmill.pipeline.duplicates.shared_keys import Partner, SharedKeys

ENTRIES = st.lists(st.lists(st.integers(0, 12), max_size=8), min_size=1, max_size=12)


def by_hand(asked: dict[int, list[int]], held: dict[int, list[int]], least: int, clips: int) -> list[Partner]:
    first: dict[int, list[tuple[int, int]]] = {}
    for entry in sorted(held):
        for place, key in enumerate(held[entry]):
            first.setdefault(key, []).append((entry, place))
    found = []
    for entry, keys in sorted(asked.items()):
        votes = Counter(
            (holder, place - at)
            for at, key in enumerate(keys)
            for holder, place in first.get(key, [])[: shared_keys.HOLDERS]
            if holder < entry
        )
        found += [Partner(entry, h, 0, s) for (h, s), n in sorted(votes.items()) if n >= (1 if h < clips else least)]
    return found


@settings(max_examples=40, deadline=None)
@given(ENTRIES, st.integers(1, 3), st.integers(0, 3), st.sampled_from([0, shared_keys.FEW]), st.sampled_from([3, 1 << 20]))
def test_partners_are_those_that_share_keys_and_were_there_before(
    entries: list[list[int]], least: int, clips: int, few: int, at_once: int
) -> None:
    held = dict(enumerate(entries))
    asked = {entry: keys for entry, keys in held.items() if entry >= len(entries) // 2}
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(shared_keys, "FEW", few)  # whether keys that nobody asks for are written
        patch.setattr(shared_keys, "AT_ONCE", at_once)
        patch.setattr(shared_keys, "HOLDERS", 4)
        shared = SharedKeys(folder, "x", least, clips)
        for entry, keys in asked.items():
            shared.ask(entry, np.asarray(keys, np.int64), np.arange(len(keys), dtype=np.int32))
        for entry, keys in held.items():
            shared.hold(entry, np.asarray(keys, np.int64), np.arange(len(keys), dtype=np.int32))
        assert list(shared.partners()) == by_hand(asked, held, least, clips)
        shared.close()


def test_of_many_copies_each_finds_the_first(tmp_path: Path) -> None:
    shared, keys = SharedKeys(str(tmp_path), "x", 3), np.arange(20, dtype=np.int64)
    for entry in range(200):
        shared.ask(entry, keys)
    for entry in range(200):
        shared.hold(entry, keys)
    found: dict[int, list[int]] = {}
    for one in shared.partners():
        found.setdefault(one.entry, []).append(one.holder)
    assert found == {entry: list(range(min(entry, shared_keys.HOLDERS))) for entry in range(1, 200)}
    shared.close()


def test_nobody_asks(tmp_path: Path) -> None:
    shared = SharedKeys(str(tmp_path), "x", 1)
    shared.hold(1, np.arange(3, dtype=np.int64))
    assert list(shared.partners()) == []
    shared.close()

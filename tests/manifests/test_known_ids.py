from __future__ import annotations

import pytest

from voxmill.manifests import known_ids
from voxmill.manifests.known_ids import KnownIds


def test_an_id_is_new_once_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were added join the sorted ones now and then."""
    monkeypatch.setattr(known_ids, "FRESH", 7)
    known = KnownIds(f"given-{n}" for n in range(10))
    assert not any(known.add(f"given-{n}") for n in range(10))
    assert all(known.add(f"added-{n}") for n in range(50))
    assert not any(known.add(f"added-{n}") for n in range(50))
    assert known.add("another")

"""What is revoked or denied by an address with a secret in it is so by the one without, and the other way round."""

from __future__ import annotations

import pytest

from voxmill.manifests.ids import archive_key
from voxmill.manifests.tombstones import Tombstone, Tombstones, mark
from voxmill.operators.crawl.policy.denylist import DenyList

PUBLIC = "https://a.net/x.mp3?n=1"
WHOLE = "https://me:pw@a.net/x.mp3?n=1&X-Amz-Signature=abc"
ROTATED = "https://me:pw@a.net/x.mp3?X-Amz-Signature=def&n=1"


@pytest.mark.parametrize("url", [PUBLIC, WHOLE, ROTATED])
def test_a_tombstone_knows_an_address_under_every_signature(url: str) -> None:
    stones = Tombstones([Tombstone("s", "", (), (mark("s", "url", archive_key(PUBLIC)),), 1, 0)])
    assert stones.address(url)
    assert not stones.address("https://a.net/y.mp3?n=1&X-Amz-Signature=abc")


def test_a_tombstone_of_an_older_version_still_refuses_the_whole_address() -> None:
    assert Tombstones([Tombstone("s", "", (), (mark("s", "url", archive_key(WHOLE)),), 1, 0)]).address(WHOLE)


@pytest.mark.parametrize("url", [PUBLIC, WHOLE, ROTATED])
def test_a_deny_list_does_too(url: str) -> None:
    assert DenyList([WHOLE]).address(url) == WHOLE
    assert DenyList([WHOLE]).address("https://a.net/x.mp3?n=2") is None

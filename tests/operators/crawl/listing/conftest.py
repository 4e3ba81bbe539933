"""One process reads the documents of all tests of a file: starting it takes longer than what it reads."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig
from voxmill.operators.crawl.listing.lister import Lister
from voxmill.operators.crawl.policy.local_gate import LocalGate


@pytest.fixture(scope="module")
def make_lister() -> Iterator[Callable[[CrawlConfig], Lister]]:
    """Listers that know nothing of each other, and hand on their reader's process."""
    made: list[Lister] = []

    def make(config: CrawlConfig) -> Lister:
        running: subprocess.Popen[bytes] | None = made[-1]._reader._process if made else None
        made.append(Lister(config, LocalGate(config)))
        made[-1]._reader._process = running
        return made[-1]

    yield make
    for one in made:
        one.close()

"""A quick crawler for a web site on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from voxmill.operators.crawl.policy.local_gate import LocalGate
from website import Website

QUICK = {
    "contact": "https://crawl.example/about",
    "requests_per_second": 1000,
    "timeout": 2.0,
    "retries": 2,
    "backoff": 0.01,
    "cooloff_seconds": 0.0,
    "allow_private": ("127.0.0.1",),
}


@pytest.fixture
def site() -> Iterator[Website]:
    with Website() as website:
        yield website


@pytest.fixture
def make_config() -> Callable[..., CrawlConfig]:
    return lambda **changes: CrawlConfig(**{**QUICK, **changes})


@pytest.fixture
def make_fetcher(make_config: Callable[..., CrawlConfig]) -> Iterator[Callable[..., Fetcher]]:
    made: list[Fetcher] = []

    def make(resolve: object = None, sleep: object = None, **changes: object) -> Fetcher:
        config = make_config(**changes)
        extra = {key: value for key, value in (("resolve", resolve), ("sleep", sleep)) if value}
        made.append(Fetcher(config, LocalGate(config), **extra))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for fetcher in made:
        fetcher.close()


@pytest.fixture
def fetcher(make_fetcher: Callable[..., Fetcher]) -> Fetcher:
    return make_fetcher()

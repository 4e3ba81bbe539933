"""What there is to be processed: listed items by source and host, and which of them a sample should take."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from voxmill.manifests.records import Item
from voxmill.operators.crawl.facts.urls import file_path, is_local
from voxmill.pipeline.planning.observe import host_of

OTHERS = "other sources"
"""The stratum of all sources that are too small to be sampled each."""


@dataclass(frozen=True, slots=True)
class Population:
    """The items of the whole. Every item belongs to one stratum: its source, or `OTHERS`."""

    strata: Mapping[str, int]
    """Items by stratum."""
    hosts: Mapping[str, int]
    """Items by host, those on the web only."""
    small: frozenset[str]
    """Sources that are in the stratum `OTHERS`."""
    num_bytes: Mapping[str, int]
    """Size of all files of a stratum, where all of them are files of this machine."""
    sizes: Mapping[str, int]
    """Size of each such file, by the item's id."""

    @property
    def total(self) -> int:
        """All items."""
        return sum(self.strata.values())

    def stratum(self, source: str) -> str:
        """The stratum of a source's items."""
        return OTHERS if source in self.small else source


def population_of(items: Sequence[Item], sample: int) -> Population:
    """The population of listed items, with strata for a sample of so many."""
    by_source = Counter(item.provenance.source for item in items)
    small = _small(by_source, sample)
    strata: Counter[str] = Counter()
    for source, count in by_source.items():
        strata[OTHERS if source in small else source] += count
    sizes = {item.id: size for item in items if (size := _size(item)) is not None}
    num_bytes: Counter[str] = Counter()
    unknown = set()
    for item in items:
        name = OTHERS if item.provenance.source in small else item.provenance.source
        if item.id in sizes:
            num_bytes[name] += sizes[item.id]
        else:
            unknown.add(name)
    hosts = Counter(host for item in items if (host := host_of(item.provenance.url)))
    known = {name: size for name, size in num_bytes.items() if name not in unknown}
    return Population(dict(strata), dict(hosts), small, known, sizes)


def scaled(population: Population, factor: float) -> Population:
    """So many times as much of the same: as many hosts, each with more items. Sizes of files are not known then."""
    strata = {name: max(1, round(count * factor)) for name, count in population.strata.items()}
    hosts = {name: max(1, round(count * factor)) for name, count in population.hosts.items()}
    return replace(population, strata=strata, hosts=hosts, num_bytes={}, sizes={})


def draw_sample(items: Sequence[Item], population: Population, count: int, *, seed: int) -> list[str]:
    """Ids of `count` items drawn at random without replacement, from every stratum in proportion to its size; all, where there are
    fewer. A stratum gives two at least, if it has them, for one says nothing of its spread."""
    rng = np.random.default_rng(seed)
    by_stratum: dict[str, list[str]] = {}
    for item in items:
        by_stratum.setdefault(population.stratum(item.provenance.source), []).append(item.id)
    chosen: list[str] = []
    for name, share in _shares(population.strata, min(count, len(items))).items():
        ids = by_stratum[name]
        chosen += [ids[index] for index in sorted(rng.choice(len(ids), share, replace=False))]
    return chosen


def _shares(strata: Mapping[str, int], count: int) -> dict[str, int]:
    """So many of each stratum, by largest remainders."""
    total = sum(strata.values())
    exact = {name: count * size / total for name, size in strata.items()}
    shares = {name: min(size, max(int(exact[name]), min(2, count))) for name, size in strata.items()}
    by_need = sorted(strata, key=lambda name: (shares[name] - exact[name], name))
    while sum(shares.values()) < count:
        name = next(n for n in by_need if shares[n] < strata[n])
        shares[name] += 1
        by_need.sort(key=lambda name: (shares[name] - exact[name], name))
    return shares


def _small(by_source: Mapping[str, int], sample: int) -> frozenset[str]:
    """Sources whose share of the sample is below two, if there is more than one such source."""
    total = sum(by_source.values())
    small = {name for name, count in by_source.items() if sample * count < 2 * total}
    return frozenset(small) if len(small) > 1 else frozenset()


def _size(item: Item) -> int | None:
    """Bytes of the file that an item is; None where it is none of this machine."""
    address = file_path(item.provenance.url) if item.kind == "file" else ""
    if not address or not is_local(address):
        return None
    try:
        return os.stat(address).st_size
    except OSError:  # what cannot be read is rejected when it is fetched
        return 0

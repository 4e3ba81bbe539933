"""How many requests a run in an object store makes, counted at a proxy before SeaweedFS, driver and workers apart: one part of `bench_scale.py`.

voxmill says in its User-Agent which process asks. What is sent again is counted again. The shards' own files are counted too: there are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale_line import Used, recording, run, settings
from stores.faulty_proxy import FaultyProxy
from stores.store_environment import reaching, s3_environment
from stores.store_server import seaweedfs
from voxmill.manifests.storage import locate


@dataclass(frozen=True, slots=True)
class Requests:
    """Of one run."""

    units: int
    driver: int
    workers: int
    driver_again: int
    """Of the same command again, with nothing new."""
    kinds: dict[str, int]
    """Of all processes in the first run, by method."""


def requests(folder: Path, sizes: list[int]) -> list[Requests]:
    """Runs of so many units, one after the other, in one bucket."""
    found = []
    with seaweedfs(folder / "weed") as url, FaultyProxy(url) as proxy, reaching(s3_environment(proxy.url)):
        locate("s3://bucket")[0].mkdir("bucket")
        for number, units in enumerate(sizes):
            root, config = f"s3://bucket/run-{units}", folder / f"requests-{units}.yaml"
            heard = settings([recording(folder, 900 + number, units)])
            proxy.forget()
            first = run(root, config, heard)
            driver, workers = _apart(proxy, first)
            kinds = proxy.counts("method")
            proxy.forget()
            again, _ = _apart(proxy, run(root, config, heard))
            found.append(Requests(units, driver, workers, again, kinds))
    return found


def _apart(proxy: FaultyProxy, used: Used) -> tuple[int, int]:
    """Requests of the driver, and of all other processes."""
    counts = proxy.counts("client")
    driver = sum(count for client, count in counts.items() if client.endswith(f" process {used.pid}"))
    return driver, sum(counts.values()) - driver

"""The run that the checks of a cluster make: its config, on a cluster and on one machine, and what must be equal of both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.instant import AWAKE
from cluster.ray_cluster import BIN, HERMIT, RayCluster
from voxmill.manifests.storage import locate

FOLDERS = ("shards", "manifests")


def config(
    folder: Path, name: str, lists: Sequence[str], hosts: Sequence[str], sleep_s: float, deadly: int = 0, **parts: Any
) -> Path:
    """Writes a config: lists of recordings on the web, two recognisers of which one sleeps a stated time for each unit."""
    crawl = {"contact": "https://example.org/contact", "allow_private": list(hosts), **parts.pop("crawl", {})}
    settings = {
        "sources": [
            {"name": f"list-{n}", "url": url, "kind": "list", "language": "en", "licence": "cc0-1.0"}
            for n, url in enumerate(lists)
        ],
        "crawl": crawl,
        "transcribe": [
            {"kind": "python", "name": "instant", "call": "benchmarks.instant:Instant", "version": "1"},
            {
                "kind": "python",
                "name": "sleeping",
                "call": "benchmarks.instant:Sleeping",
                "version": "1",
                "options": {"seconds": sleep_s, **({"deadly": deadly} if deadly else {})},
            },
        ],
        "select": {"languages": []},
        **parts,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def on_one_machine(cluster: RayCluster, settings: Path) -> tuple[dict[str, str], str]:
    """The contents of the same run on one machine that is in no cluster, in a folder there, and its screen; nobody sleeps."""
    machine, path = cluster.switch_on("hermit", HERMIT), settings.with_suffix("")
    words = ["run", "-c", str(settings), "-o", str(path), "--executor", "local"]
    code, said = machine.ask(str(BIN / "voxmill"), *words, seconds=600, environment={AWAKE: "1"})
    machine.kill()
    if code:
        raise RuntimeError(f"the run on one machine ended with {code}:\n{said[-3000:]}")
    return contents(str(path)), said


def contents(root: str) -> dict[str, str]:
    """SHA-256 of every shard and table of a run by its name in the run; what units cost is measured, and differs by nature."""
    files, path = locate(root)
    found = {}
    for folder in FOLDERS:
        for name in files.find(f"{path}/{folder}"):
            short = name[name.index(path.lstrip("/")) + len(path.lstrip("/")) + 1 :]
            if not short.endswith(".costs.parquet"):
                found[short] = hashlib.sha256(files.cat_file(name)).hexdigest()
    return found


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Names of files that only one has, or that differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))

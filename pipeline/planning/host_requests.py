"""What the gate of a crawl remembers of its hosts: how many requests each got, and what pause its robots.txt asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from voxmill.manifests.user_input import json_object
from voxmill.operators.crawl.policy.robots import RobotsFile
from voxmill.pipeline.planning.observe import Tried
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import exists, read_bytes


def requests_so_far(run: Run) -> dict[str, int]:
    """Requests to each host since the run began, where the gate has kept their number; it forgets hosts that are idle."""
    hosts = _saved(run).get("hosts", {})
    return {host: int(state["num_requests"]) for host, state in hosts.items() if "num_requests" in state}


def requests_per_item(items: Sequence[Tried], before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, float]:
    """Requests to each host for one of its items, from the numbers before and after they were fetched; one where these are not known.

    A stream of many parts then counts as one request: the time at its host comes out too short.
    """
    counts = Counter(one.host for one in items if one.host)
    return {host: (after[host] - before.get(host, 0)) / count if host in after else 1.0 for host, count in counts.items()}


def delays_asked_for(run: Run) -> dict[str, float]:
    """Seconds between requests that the robots.txt of each host asks for; hosts that ask for none are left out."""
    found = {}
    for key, (text, _) in _saved(run).get("notes", {}).items():
        name, _, origin = key.partition(" ")
        if name == "robots" and (delay := RobotsFile.from_json(text).crawl_delay):
            found[origin.partition("://")[2]] = delay
    return found


def _saved(run: Run) -> dict[str, Any]:
    uri = run.uri("hosts.json")
    return json_object(read_bytes(uri), uri, "delete it: hosts that said stop are then asked once more") if exists(uri) else {}

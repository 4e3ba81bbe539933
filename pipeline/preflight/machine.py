"""Whether the Ray cluster can be reached, and the servers on this machine that sources name."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import psutil

from voxmill.operators.crawl.facts.urls import is_web
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.load_config import RECIPES, recipe_names
from voxmill.pipeline.preflight.issues import Issue, error, warning
from voxmill.pipeline.preflight.packages import installed
from voxmill.pipeline.preflight.places import hosts_of

SECONDS = 3.0
"""Timeout of a connection attempt."""


def cluster_of(config: RunConfig, kind: str, address: str | None) -> str | None:
    """Address of the Ray cluster to join: of the command, the config, or RAY_ADDRESS, as Ray itself does. None: this machine alone."""
    return (address or config.executor.address or os.environ.get("RAY_ADDRESS")) if kind == "ray" else None


def unreachable_cluster(kind: str, address: str | None) -> Iterator[Issue]:
    """A Ray cluster that is not running, found within seconds; Ray itself would take minutes. `packages` reports a missing Ray."""
    if kind != "ray" or address is None or not installed("ray"):
        return
    start = "start one (`ray start --head`), correct the address, or leave it out to run on this machine"
    if address in ("auto", "local"):
        if address == "auto" and not _ray_here():
            yield error("executor.address auto:", "no Ray is running on this machine", start, external=True)
        return
    if address.startswith("ray://"):
        head = urlsplit(address).hostname or "HEAD"
        yield error(
            f"executor.address {address}:",
            "is Ray Client, through which a driver does not hear who dies",
            f"submit the command as a job (`ray job submit --address http://{head}:8265 -- voxmill run … --address auto`), "
            f"or run it on a machine of the cluster with `--address auto`, or `--address {head}:6379`",
        )
        return
    place = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = place.hostname, place.port or 6379
    except ValueError:
        host, port = None, 0
    if not host:
        yield error(f"executor.address {address}:", "is no address of a cluster", "`auto` or `host:6379`")
    elif cause := refuses(host, port):
        yield error(f"executor.address {address}:", f"nobody answers ({cause})", start, external=True)


def _ray_here() -> bool:
    """Whether a Ray node runs on this machine. The file that `ray start` leaves is no proof: it may outlive the processes."""
    if os.environ.get("RAY_ADDRESS"):
        return True
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error):
            if process.info["name"] in ("gcs_server", "raylet"):
                return True
    return False


def unreachable_sources(config: RunConfig, recipe: str | None = None, fetched: Collection[str] = ()) -> Iterator[Issue]:
    """Sources on loopback addresses whose server does not answer. `fetched` names the sources that are already complete."""
    hosts = {place: names for place, names in hosts_of(config).items() if _is_loopback(place[0]) and set(names) - set(fetched)}
    with ThreadPoolExecutor(max(1, min(16, len(hosts)))) as pool:
        silent = {
            place: cause for place, cause in zip(hosts, pool.map(lambda place: refuses(*place), hosts), strict=True) if cause
        }
    if not silent:
        return
    asked = {name for place in silent for name in hosts[place]} - set(fetched)
    answering = {name for place, names in hosts_of(config).items() if place not in silent for name in names}
    mixed = {source.name for source in config.sources if not all(is_web(a.strip()) for a in source.addresses)}
    where = ", ".join(f"{host}:{port} ({cause})" for (host, port), cause in silent.items())
    if asked - answering - mixed != {source.name for source in config.sources}:
        yield warning(
            f"source {', '.join(sorted(asked))}:", f"nobody answers on {where}", "start that server, or take the source out"
        )
    elif recipe in recipe_names():
        cause = f"reads from a server on this machine, and nobody answers on {where}. It is {purpose(str(recipe))}"
        yield error(f"the recipe {recipe}", cause.rstrip(". "), _instead(str(recipe)), external=True)
    else:
        yield error(
            "every source",
            f"is on this machine, and nobody answers on {where}",
            "start that server, or correct the addresses",
            external=True,
        )


def purpose(recipe: str) -> str:
    """What a shipped recipe is for: the comment at its top, on one line."""
    lines = (RECIPES / f"{recipe}.yaml").read_text(encoding="utf-8").splitlines()
    head = lines[: next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))]
    text = " ".join(line.lstrip("# ").strip() for line in head)
    return text[:1].lower() + text[1:]


def _instead(recipe: str) -> str:
    own = "for your own audio, `voxmill run FOLDER -o RUN`, or `voxmill config init english -o mine.yaml`"
    return (
        f"run `make demo`, which serves that site and runs this recipe; {own}"
        if recipe == "demo"
        else f"start that server; {own}"
    )


def refuses(host: str, port: int) -> str | None:
    """Why a TCP connection fails; None if it succeeds."""
    try:
        socket.create_connection((host, port), timeout=SECONDS).close()
    except TimeoutError:
        return f"no answer within {SECONDS:.0f} s"
    except (OSError, UnicodeError) as cause:
        return (getattr(cause, "strerror", None) or str(cause)).lower()
    return None


def _is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost"):
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False

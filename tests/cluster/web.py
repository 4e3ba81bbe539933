"""nginx on a machine of its own: real speech under several host names, and what its access log says of politeness."""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

from cluster.namespaces import Machine
from speech.packaged import BECKETT, ENDGAME, PYANNOTE_SAMPLE, TWO_CITIES

_CONFIG = """
user root;
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  log_format seen '$msec $request_time $host $remote_addr $status $request_uri';
  access_log {folder}/access.log seen;
  types {{ audio/flac flac; audio/mpeg mp3; text/plain txt; }}
  server {{ listen 80; root {folder}/www; limit_rate {bytes_a_second}; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Request:
    """A line of the access log. Times in seconds, as nginx has them: to the millisecond."""

    begun: float
    ended: float
    host: str
    client: str
    path: str


def missing_nginx() -> str:
    """Why there is no nginx, after trying to install it; empty where there is one."""
    if not shutil.which("nginx"):
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "nginx-light"],
        ):
            subprocess.run(command, capture_output=True, check=False)
    return "" if shutil.which("nginx") else "nginx is not installed: apt-get install nginx-light"


def recordings(folder: Path, count: int, seconds: float) -> list[str]:
    """Names of `count` files of real speech, no two alike: stretches of readings and conversations, as FLAC."""
    heard = np.concatenate([one.samples() for one in (TWO_CITIES, BECKETT, ENDGAME, PYANNOTE_SAMPLE)])
    names = [f"{number:03d}.flac" for number in range(count)]
    for number, name in enumerate(names):
        soundfile.write(folder / name, np.resize(np.roll(heard, -number * 7919 * 13), round(seconds * 16000)), 16000)
    return names


class Web:
    """nginx on `machine`; every host name serves the same files."""

    def __init__(self, machine: Machine, hosts: Sequence[str], bytes_a_second: int) -> None:
        self._folder, self.hosts = machine.folder / "web", hosts
        (self._folder / "www").mkdir(parents=True, exist_ok=True)
        config = self._folder / "nginx.conf"
        config.write_text(_CONFIG.format(folder=self._folder, bytes_a_second=bytes_a_second))
        (self._folder / "access.log").write_text("")
        self._server = machine.start("nginx", "-c", str(config), log=self._folder / "nginx.log")

    def publish(self, count: int, seconds: float) -> list[str]:
        """Real speech in `count` files; they are shared out to the hosts, each of which lists its own in a file. Addresses of these lists."""
        www = self._folder / "www"
        names = recordings(www, count, seconds)
        lists = []
        for number, host in enumerate(self.hosts):
            mine = names[number :: len(self.hosts)]
            (www / f"{host}.txt").write_text("".join(f"http://{host}/{name}\n" for name in mine))
            lists.append(f"http://{host}/{host}.txt")
        return lists

    def publish_one(self, name: str, num_samples: int) -> str:
        """One more recording, of exactly so many samples: the address of a list with nothing else."""
        www, host = self._folder / "www", self.hosts[0]
        soundfile.write(www / f"{name}.flac", TWO_CITIES.samples()[20_000 : 20_000 + num_samples], 16000)
        (www / f"{name}.txt").write_text(f"http://{host}/{name}.flac\n")
        return f"http://{host}/{name}.txt"

    def requests(self) -> list[Request]:
        """All that it was asked since `forget`."""
        found = []
        for line in (self._folder / "access.log").read_text().splitlines():
            ended, took, host, client, _, path = line.split(" ", 5)
            found.append(Request(float(ended) - float(took), float(ended), host, client, path))
        return found

    def forget(self) -> None:
        """Empties the log."""
        (self._folder / "access.log").write_text("")


def most_at_once(requests: Iterable[Request]) -> int:
    """Requests that one host was answering at one time."""
    most = 0
    for seen in _by_host(requests).values():
        changes = sorted([(r.begun, 1) for r in seen] + [(r.ended, -1) for r in seen])
        now = 0
        for _, change in changes:
            now += change
            most = max(most, now)
    return most


def most_within(requests: Iterable[Request], seconds: float) -> int:
    """Requests that began at one host within so many seconds."""
    starts = [sorted(r.begun for r in seen) for seen in _by_host(requests).values()]
    return max(sum(t <= other < t + seconds for other in each) for each in starts for t in each)


def closest(requests: Iterable[Request]) -> float:
    """Shortest time between the beginnings of two requests at one host (s)."""
    return min(b - a for seen in _by_host(requests).values() for a, b in pairwise(sorted(r.begun for r in seen)))


def _by_host(requests: Iterable[Request]) -> dict[str, list[Request]]:
    found: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        found[request.host].append(request)
    return found

"""Machines out of Linux namespaces: each has its own address, process tree, host name, home, cache, temporary files and /dev/shm.

`alone()` first moves this program itself into namespaces of its own, where it is the switch that machines are plugged into: whatever it
makes is gone when it ends, however it ends, and nothing of this system's network is touched. Needs root, `ip` and util-linux.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SWITCH = "10.77.0.1"
"""Address of this program on the network of its machines; machine N has 10.77.0.N."""

_SWITCH_MAC = "02:00:00:00:00:01"
_INSIDE = "VOXMILL_CHECK_INSIDE"
_START_S = 30.0
_APART = ["--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]

_FIRST_PROCESS = """
hostname "$1"
mount --make-rprivate /
mount -t tmpfs tmpfs /dev/shm
mount --bind "$2/ray" /tmp/ray
mount --bind "$2/var" /var/tmp
mount --bind "$2/hosts" /etc/hosts
until ip -4 addr show dev eth0 2>/dev/null | grep -q inet; do sleep 0.05; done
touch "$2/is-up"
while :; do sleep 1000 & wait; done
"""
"""Bash as the first process of a machine: it takes the place of parents that have died, and when it is killed the whole machine dies."""


def missing() -> str:
    """Why machines cannot be made here, in one line; empty where they can."""
    if os.geteuid() != 0:
        return "machines out of namespaces need root: run this as root"
    for program, package in (("ip", "iproute2"), ("unshare", "util-linux"), ("nsenter", "util-linux")):
        if not shutil.which(program):
            return f"{program} is not installed: apt-get install {package}"
    tried = subprocess.run(["unshare", *_APART, "true"], capture_output=True, text=True, check=False)
    return f"namespaces cannot be made here: {tried.stderr.strip()}" if tried.returncode else ""


def alone(prepare: Callable[[Path], None] = lambda folder: None) -> Path:
    """Runs this program once more in namespaces of its own, and returns there, with a temporary folder; outside it does not return.

    There is no network inside but that of the machines: `prepare(folder)` is called before, to download what will be needed.
    """
    if folder := os.environ.get(_INSIDE):
        Path("/tmp/ray").mkdir(exist_ok=True)  # each machine puts its own folder in its place
        # an address of its own: else the switch takes that of one of the machines, another one when that machine goes, and for half a
        # minute the others send what is for the store to nobody
        bridge = f"link add br0 address {_SWITCH_MAC} type bridge"
        for words in ("link set lo up", bridge, f"addr add {SWITCH}/24 dev br0", "link set br0 up"):
            _ip(*words.split())
        return Path(folder)
    with tempfile.TemporaryDirectory(prefix="voxmill-cluster-") as folder:
        prepare(Path(folder))
        again = subprocess.Popen(["unshare", *_APART, sys.executable, *sys.argv], env={**os.environ, _INSIDE: folder})
        signal.signal(signal.SIGTERM, lambda *_: again.kill())
        try:
            code = again.wait()
        except KeyboardInterrupt:
            code = 130
        finally:
            again.kill()
    sys.exit(code if code >= 0 else 128 - code)


@dataclass(slots=True)
class Machine:
    """One machine that is on."""

    name: str
    number: int
    folder: Path
    pid: int
    """Of its first process, as seen from here."""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"10.77.0.{self.number}"

    def start(self, *command: str, log: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """A command on this machine, with its output added to a file. The process that is returned waits for it."""
        with log.open("ab") as file:
            return subprocess.Popen(
                [*self._enter(), *command],
                env={**self.environment, **(environment or {})},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    def ask(self, *command: str, seconds: float = 300, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
        """A command on this machine, waited for: its exit code, and what it says."""
        done = subprocess.run(
            [*self._enter(), *command],
            env={**self.environment, **(environment or {})},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=seconds,
        )
        return done.returncode, done.stdout

    def kill(self) -> None:
        """Power off: every process at once, nothing is written any more."""
        with suppress(psutil.NoSuchProcess):
            self._first().kill()
        while self.is_on:
            time.sleep(0.02)

    def cut(self) -> None:
        """Off the network; everything runs on."""
        _ip("link", "set", f"v{self.number}", "down")

    def join(self) -> None:
        """On the network again."""
        _ip("link", "set", f"v{self.number}", "up")

    @property
    def is_on(self) -> bool:
        """Whether it runs."""
        try:
            return self._first().status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def _first(self) -> psutil.Process:
        return psutil.Process(self.pid)

    def _enter(self) -> list[str]:
        return [
            "nsenter",
            "-t",
            str(self.pid),
            "--mount",
            "--uts",
            "--ipc",
            "--pid",
            "--net",
            "env",
            "-C",
            self.environment["HOME"],
        ]


def switch_on(name: str, number: int, folder: Path, names: Mapping[str, str], environment: Mapping[str, str]) -> Machine:
    """A machine, new or after a `kill`. What it keeps on its disk is in `folder`; `names` (to addresses) is its /etc/hosts."""
    for part in ("ray", "var", "home", "cache"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "hosts").write_text("".join(f"{ip} {host}\n" for host, ip in {"localhost": "127.0.0.1", **names}.items()))
    (folder / "is-up").unlink(missing_ok=True)
    apart = ["unshare", *_APART, "--uts", "--ipc", "bash", "-c", _FIRST_PROCESS, "machine", name, str(folder)]
    started = subprocess.Popen(apart, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first = _wait(lambda: next(iter(psutil.Process(started.pid).children()), None), f"{name} does not start")
    link = f"v{number}"
    subprocess.run(["ip", "link", "del", link], capture_output=True, check=False)  # of a machine that was killed just now
    _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(first.pid))
    _ip("link", "set", link, "master", "br0", "up")
    inside = ["nsenter", "-t", str(first.pid), "--net", "ip"]
    for words in (
        f"addr add 10.77.0.{number}/24 dev eth0",
        "link set lo up",
        "link set eth0 up",
        f"route add default via {SWITCH}",
    ):
        subprocess.run([*inside, *words.split()], check=True, capture_output=True)
    _wait((folder / "is-up").exists, f"{name} does not come up")
    own = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": "/var/tmp"}
    return Machine(name, number, folder, first.pid, {**environment, **own})


def signal_to(process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> None:
    """Sends a signal to the command that a `Machine.start` runs, not to the process that waits for it."""
    for child in psutil.Process(process.pid).children():
        child.send_signal(number)


def _wait(found: object, otherwise: str) -> psutil.Process:
    until = time.monotonic() + _START_S
    while not (answer := found()):  # type: ignore[operator]
        if time.monotonic() > until:
            raise RuntimeError(otherwise)
        time.sleep(0.02)
    return answer  # type: ignore[no-any-return]


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")

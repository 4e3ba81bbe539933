"""Machines out of network namespaces, each with an address of its own, and the two commands of SLURM that the batch script calls."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX, NETWORK = "vxs", "10.213.7"

SRUN = """#!/bin/bash
# srun for a test: each task in the namespace of its node. Options that choose machines are understood, others are not looked at.
ntasks=1 nodes=$FAKE_NODES
while [[ $1 == --* ]]; do
  case $1 in
    --ntasks=*) ntasks=${1#*=} ;;
    --nodelist=*) nodes=${1#*=} ;;
    --exclude=*) nodes=$(printf '%s\\n' $FAKE_NODES | grep -vx "${1#*=}") ;;
    --nodes=*|--overlap|--no-kill|--kill-on-bad-exit=0|--cpus-per-task=*|--mem=0) ;;
    *) echo "srun: unrecognized option '$1'" >&2; exit 1 ;;
  esac
  shift
done
trap 'kill $(jobs -p) 2>/dev/null; wait; exit 143' TERM INT
echo "$ntasks $* on" $nodes >>"$FAKE_LOG"
for node in $(printf '%s\\n' $nodes | head -n "$ntasks"); do ip netns exec "$node" "$@" & done
code=0
for job in $(jobs -p); do wait "$job" || code=$?; done
exit $code
"""

SCONTROL = """#!/bin/bash
# scontrol for a test.
echo "scontrol $*" >>"$FAKE_LOG"
if [ "$1" = show ]; then printf '%s\\n' $FAKE_NODES; fi
"""


def missing() -> str:
    """Why machines cannot be made here; empty where they can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if not shutil.which("ip"):
        return "iproute2 is not installed"
    made = subprocess.run(["ip", "netns", "add", f"{PREFIX}try"], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", f"{PREFIX}try"], capture_output=True, check=False)
    return made.stderr.strip()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@contextmanager
def machines(count: int) -> Iterator[list[str]]:
    """Names of `count` machines on one network; machine `i` has the address 10.213.7.i."""
    names = [f"{PREFIX}{number}" for number in range(1, count + 1)]
    _remove(names)
    try:
        _ip("link", "add", f"{PREFIX}br", "type", "bridge")
        _ip("addr", "add", f"{NETWORK}.254/24", "dev", f"{PREFIX}br")
        _ip("link", "set", f"{PREFIX}br", "up")
        for number, name in enumerate(names, 1):
            _ip("netns", "add", name)
            _ip("link", "add", f"{name}v", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"{name}v", "master", f"{PREFIX}br", "up")
            _ip("-n", name, "addr", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "route", "add", "default", "via", f"{NETWORK}.254")
        yield names
    finally:
        _remove(names)


def _remove(names: list[str]) -> None:
    for name in names:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    subprocess.run(["ip", "link", "del", f"{PREFIX}br"], capture_output=True, check=False)


def slurm_environment(folder: Path, names: list[str], job: int, path_first: str) -> dict[str, str]:
    """What a batch script finds in an allocation of these machines; `folder` gets `srun`, `scontrol` and their log, `calls`."""
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{folder}:{path_first}:{os.environ['PATH']}",
        "FAKE_NODES": " ".join(names),
        "FAKE_LOG": str(folder / "calls"),
        "SLURM_JOB_ID": str(job),
        "SLURM_JOB_NODELIST": f"{PREFIX}[1-{len(names)}]",
        "SLURM_JOB_NUM_NODES": str(len(names)),
        "SLURM_CPUS_PER_TASK": "2",
    }

"""Kills a chosen process at a chosen commit event: a listener for VOXMILL_ON_COMMIT=killer:on_event.

Every event of every process of a run is appended to the file in VOXMILL_EVENTS, one line each. When a line is the one that a
file `<events>.kill-<number>` waits for (or a later one), the process that the file names is killed with SIGKILL: `self` (the worker, or the driver
where it commits itself), `driver`, or `raylet`. The file is taken away first, so that each kill happens once.
"""

from __future__ import annotations

import os
import signal
from fnmatch import fnmatch
from pathlib import Path

import psutil


def on_event(event: str, uri: str) -> None:
    log = os.environ.get("VOXMILL_EVENTS")
    if not log or uri.endswith(("lease.json", "hosts.json")):  # their number depends on the clock
        return
    line = f"{event} {os.getpid()} {uri}\n"
    with open(log, "a") as file:
        file.write(line)  # one short write in append mode: lines of several processes do not mix
        file.flush()
    # what is done again after a kill does not count again, or all kills would fall on the same few files
    number = len(
        {line.split(b" ")[0] + line.split(b" ")[2] for line in Path(log).read_bytes().splitlines() if line.count(b" ") == 2}
    )
    order = next((o for o in sorted(Path(log).parent.glob(f"{Path(log).name}.kill-*")) if is_due(o, number, event, uri)), None)
    if order is None:
        return
    try:
        whom = order.read_text().split()[0]
        order.unlink()
    except FileNotFoundError:  # another process was quicker
        return
    with open(f"{log}.killed", "a") as file:
        file.write(f"{number} {whom} {line}")
    for pid in victims(whom):
        os.kill(pid, signal.SIGKILL)


def is_due(order: Path, number: int, event: str, uri: str) -> bool:
    """`self` alone is due by its number; `self committed */shards/*.tar` also waits for that event of such a file."""
    try:
        _, *wanted = order.read_text().split()
    except FileNotFoundError:
        return False
    return int(order.name[-6:]) <= number and (not wanted or (event == wanted[0] and fnmatch(uri, wanted[1])))


def victims(whom: str) -> list[int]:
    if whom == "driver":
        return [int(Path(f"{os.environ['VOXMILL_EVENTS']}.driver").read_text())]
    if whom == "raylet":
        driver = psutil.Process(victims("driver")[0])  # its own raylet: other runs on this machine are nobody's victims
        return [p.pid for p in driver.children(recursive=True) if p.name() == "raylet"]
    return [os.getpid()]

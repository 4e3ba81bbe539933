"""The machines of a plan: how many of which kind, what an hour of one costs, and how fast an engine is on their GPUs.

Known kinds and published speeds are in `machines.yaml`, each with its source.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import yaml

from voxmill.manifests.errors import UserError, nearest

HERE = "here"


@dataclass(frozen=True, slots=True)
class MachineGroup:
    """Some machines of one kind."""

    name: str
    count: int
    cores: int
    """Cores of each, as its operating system counts them."""
    gpus: int
    """GPUs of each."""
    memory_gb: float
    """Memory of each (GiB)."""
    source: str
    """Where these figures are from."""

    def workers(self, worker_gb: float) -> int:
        """Workers of one core each that all of them can hold, a worker needing `worker_gb` of memory."""
        return self.count * max(1, min(self.cores, int(self.memory_gb / max(worker_gb, 1e-9))))


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast an engine is on one GPU, or on one core of a machine without."""

    times: float | None
    """Times real time, of the audio that enters the stage; None: not known."""
    basis: str
    """`published`, `given` or `not known`."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Prices:
    """What an hour of each kind of machine costs, and a gigabyte in the store for a month."""

    per_hour: Mapping[str, float]
    store_gb_month: float | None = None
    currency: str = ""


def parse_machines(texts: Sequence[str]) -> tuple[MachineGroup, ...]:
    """Machines as `NAME:COUNT` or `NAME:COUNT:CORES`; without any, this one. Raises UserError.

    >>> [(m.name, m.count, m.cores, m.gpus) for m in parse_machines(["h100:8", "cpu64:2", "l4:4:16"])]
    [('h100', 8, 24, 1), ('cpu64', 2, 64, 0), ('l4', 4, 16, 1)]
    """
    machines = [_machine(text) for text in texts or (HERE,)]
    names = [machine.name for machine in machines]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"--machine {twice[0]} is given twice: state its whole number once")
    return tuple(machines)


def parse_prices(texts: Sequence[str], machines: Sequence[MachineGroup], store: str | None = None) -> Prices:
    """Prices as `NAME=PER_HOUR`, with a currency or without: `h100=2.50EUR`. Raises UserError.

    >>> parse_prices(["h100=2.50EUR"], parse_machines(["h100:8"]), "0.02EUR")
    Prices(per_hour={'h100': 2.5}, store_gb_month=0.02, currency='EUR')
    """
    found: dict[str, float] = {}
    currencies: set[str] = set()
    names = {machine.name for machine in machines}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in names:
            raise UserError(f"--price {text}: NAME=PER_HOUR, and NAME is one of --machine{nearest(name, names)}")
        if name in found:
            raise UserError(f"--price {name} is given twice")
        found[name] = _money(f"--price {text}", value, currencies)
    stored = None if store is None else _money(f"--store-price {store}", store, currencies)
    if len(currencies) > 1:
        raise UserError(f"prices in {' and '.join(sorted(currencies))}: state all of them in one currency")
    return Prices(found, stored, next(iter(currencies), ""))


def parse_speeds(
    texts: Sequence[str], stages: Sequence[str], machines: Sequence[MachineGroup]
) -> dict[tuple[str, str | None], float]:
    """Speeds as `STAGE=X` or `STAGE@NAME=X`, X times real time; keys are `(stage, machine or None)`. Raises UserError.

    >>> parse_speeds(["transcribe:a@h100=120"], ["transcribe:a"], parse_machines(["h100:8"]))
    {('transcribe:a', 'h100'): 120.0}
    """
    found: dict[tuple[str, str | None], float] = {}
    names = {machine.name for machine in machines}
    for text in texts:
        key, equals, value = text.rpartition("=")
        stage, at, name = key.partition("@")
        if not equals or stage not in stages:
            raise UserError(f"--speed {text}: STAGE=X, times real time{nearest(stage, set(stages))}")
        if at and name not in names:
            raise UserError(f"--speed {text}: {name} is none of --machine{nearest(name, names)}")
        times = _positive(f"--speed {text}", value.removesuffix("x"))
        found[stage, name or None] = times
    return found


def speed_on(
    machine: MachineGroup, stage: str, engine: str, model: str, given: Mapping[tuple[str, str | None], float]
) -> Speed:
    """The speed of a stage on a machine's GPU: as given for this machine, as given for all, as published, or not known."""
    times = given.get((stage, machine.name), given.get((stage, None)))
    if times is not None:
        return Speed(times, "given")
    for row in _table()["speeds"]:
        if row["gpu"] == machine.name and engine in row["engines"] and row["model"] == model:
            return Speed(float(row["times"]), "published", row["source"])
    return Speed(None, "not known")


def gpu_here() -> bool:
    """Whether this machine has an NVIDIA GPU with its driver."""
    return Path("/proc/driver/nvidia/version").exists()


def _machine(text: str) -> MachineGroup:
    name, _, rest = text.partition(":")
    count, _, cores = rest.partition(":")
    kind = _kind(name, text)
    how_many = _whole(f"--machine {text}", count or "1")
    each = _whole(f"--machine {text}", cores) if cores else int(kind["cores"])
    source = "as given" if cores else str(kind["source"])
    return MachineGroup(name, how_many, each, int(kind["gpus"]), float(kind["memory_gb"]), source)


def _kind(name: str, text: str) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = _table()["kinds"]
    if name == HERE:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        memory = psutil.virtual_memory().total / 2**30
        return {"gpus": int(gpu_here()), "cores": cores, "memory_gb": memory, "source": "this machine"}
    if found := re.fullmatch(r"cpu([1-9]\d{0,3})", name):
        return {"gpus": 0, "cores": int(found[1]), "memory_gb": 4 * int(found[1]), "source": "4 GiB of memory a core"}
    if name not in kinds:
        known = f"{', '.join(sorted(kinds))}, cpuN (N cores), here"
        raise UserError(f"--machine {text}: no machine `{name}` is known; NAME:COUNT, and NAME is one of {known}")
    return kinds[name]


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("machines.yaml").read_text(encoding="utf-8"))
    return table


def _whole(what: str, text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,6}", text):
        raise UserError(f"{what}: `{text}` is no whole number from 1 on: NAME:COUNT or NAME:COUNT:CORES, as in h100:8")
    return int(text)


def _positive(what: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise UserError(f"{what}: `{text}` is no number above 0")
    return value


def _money(what: str, text: str, currencies: set[str]) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+) ?([A-Z]{3}|[$€£¥])?", text.strip())
    if not found:
        raise UserError(f"{what}: `{text}` is no price: a number, with a currency or without, as in 2.50 or 2.50EUR")
    if found[2]:
        currencies.add(found[2])
    return float(found[1])

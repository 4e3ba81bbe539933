"""`voxmill doctor`: which installs, packages and weights are here, which are missing, and the commands that get them."""

from __future__ import annotations

import os
import platform
import shutil
from typing import get_args

import psutil
from rich.console import Console

from voxmill.operators.contract.user_code import Group, registered
from voxmill.operators.weights import registry as weights
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.extras import FOR_DEVELOPERS, extras, pip_install
from voxmill.pipeline.preflight import models, packages, print_issues
from voxmill.pipeline.reports.installs import INSTALLS, here
from voxmill.pipeline.terminal.table import print_table, prose


def examine(config: RunConfig | None, out: Console) -> bool:
    """Prints what is installed and what is missing.

    Returns whether an install that makes shards is complete, and all packages and weights of the config are here.
    """
    installed = _installs(out)
    _packages(out)
    _extensions(out)
    _machine(out)
    _weights(config, out)
    issues = [*packages.missing(config, config.executor.kind), *models.missing(config)] if config else []
    ready = installed and not print_issues(issues, out)
    if not installed:
        out.print("not ready: no install that makes shards is complete (see the first table)", style="red", soft_wrap=True)
    elif ready:
        out.print(f"ready to make shards{' with this config' if config else ''}", style="green", soft_wrap=True)
    return ready


def _installs(out: Console) -> bool:
    """Returns whether at least one install that makes shards is complete."""
    lacking = [(one, one.missing()) for one in INSTALLS]
    rows = [
        (one.command, one.purpose, f"{one.gigabytes:.1f} GB", f"lacks {len(missing)} of its packages" if missing else "yes")
        for one, missing in lacking
    ]
    print_table(out, ("install", prose("for"), "disk", "here"), rows)
    out.print()
    return any(one.makes_shards and not missing for one, missing in lacking)


def _packages(out: Console) -> None:
    rows = []
    for extra, names in extras().items():
        found = {name: here(name) for name in names}
        missing = [name for name, number in found.items() if number is None]
        text = ", ".join(f"{name} {number}" for name, number in found.items() if number)
        if extra not in FOR_DEVELOPERS:
            rows.append((extra, text, ", ".join(missing), pip_install([extra]) if missing else ""))
    print_table(out, ("extra", prose("installed"), prose("missing"), "get it"), rows)


def _extensions(out: Console) -> None:
    """What installed packages add to a run, where any does."""
    rows = [(group, kind, call) for group in get_args(Group) for kind, call in sorted(registered(group).items())]
    if rows:
        print_table(out, ("adds to", "kind", "code"), rows)


def _machine(out: Console) -> None:
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(".")
    out.print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {memory.available / 2**30:.0f} of "
        f"{memory.total / 2**30:.0f} GiB memory free, {disk.free / 2**30:.0f} GiB disk free here, {_gpu()}",
        soft_wrap=True,
    )
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        text = "PYTHONDONTWRITEBYTECODE is set: importing the engines takes half a minute; unset it"
        out.print(text, style="yellow", soft_wrap=True)


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "no GPU (torch is not installed)"
    if not torch.cuda.is_available():
        return "no GPU: engines run on the CPU"
    return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def _weights(config: RunConfig | None, out: Console) -> None:
    wanted = models.named(config) if config else {}
    rows = [(row.name, "yes" if row.ready else "no", "yes" if row.name in wanted else "", row.fix) for row in weights.status()]
    out.print()
    print_table(out, ("weights", "here", "needed", prose("get them", 1)), rows)

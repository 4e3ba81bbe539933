"""How every benchmark and check speaks: what was measured on what, tables, and one line of JSON at the end."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypedDict

import psutil


class Target(TypedDict):
    """A figure beside what it should be. `met` is computed where the figure is, never asserted."""

    value: Any
    target: str
    met: bool


def full_form(arguments: Sequence[str]) -> bool:
    """`--full` or `FULL=1` asks for the full form."""
    return "--full" in arguments or os.environ.get("FULL", "") not in ("", "0")


def machine() -> str:
    """Processor, cores that we may use, memory, load: what a time depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf8").splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / 2**30
    return f"{processor}, {cores} cores, {memory:.0f} GB, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


def versions(names: Iterable[str]) -> str:
    """`name version` of installed distributions, comma-separated."""

    def one(name: str) -> str:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            return f"{name} absent"

    return ", ".join(map(one, names))


def heading(bench: str, full: bool, data: str, packages: Iterable[str]) -> None:
    print(f"{bench}, {'full' if full else 'reduced'} form")
    print(f"  machine   {machine()}\n  data      {data}\n  versions  {versions(packages)}\n")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; the first to the left, the others to the right."""
    cells = [list(header), *map(list, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        aligned = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  " + "  ".join(aligned).rstrip())
    print()


def finish(bench: str, figures: Mapping[str, Any], targets: Mapping[str, Target], full: bool) -> None:
    """Prints the targets, and as the last line one JSON object; `ok` only where every target is met."""
    table(
        ("target", "wanted", "measured", ""),
        ((name, t["target"], str(t["value"]), "met" if t["met"] else "NOT MET") for name, t in targets.items()),
    )
    ok = bool(targets) and all(target["met"] for target in targets.values())
    line = {"bench": bench, "figures": figures, "targets": targets, "form": "full" if full else "reduced", "ok": ok}
    print(json.dumps(line, ensure_ascii=False), flush=True)

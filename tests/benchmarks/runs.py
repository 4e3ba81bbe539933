"""Starting `voxmill` as a user does, for benchmarks: a config in, a finished run out, with what it cost."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

VOXMILL = str(Path(sys.executable).with_name("voxmill"))
TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one command with all its child processes that it waited for."""

    wall_s: float
    cpu_s: float
    code: int


def files(paths: Mapping[str, Path] | list[Path], **fields: Any) -> list[dict[str, Any]]:
    """Sources of local files, one each."""
    named = paths.items() if isinstance(paths, Mapping) else [(p.stem, p) for p in paths]
    return [{"name": name, "path": str(path), "licence": "cc-by-sa-3.0", **fields} for name, path in named]


def config(sources: list[dict[str, Any]], engines: list[dict[str, Any]], **parts: Any) -> dict[str, Any]:
    return {"sources": sources, "crawl": {"contact": "https://example.org/contact"}, "transcribe": engines, **parts}


MOONSHINE: dict[str, Any] = {"kind": "moonshine", "name": "moonshine", "model": "moonshine-tiny-en"}
WHISPERX: dict[str, Any] = {"kind": "whisperx", "name": "whisperx", "model": "whisper-base", "languages": ["en"]}
SPHINX: dict[str, Any] = {"kind": "pocketsphinx", "name": "sphinx"}


def write(root: Path, settings: Mapping[str, Any]) -> Path:
    path = root.with_suffix(".yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True))
    return path


def run(root: Path, settings: Mapping[str, Any], *arguments: str, env: Mapping[str, str] | None = None) -> Cost:
    """`voxmill run` to its end; output goes to `<root>.log`."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [VOXMILL, "run", "-c", str(write(root, settings)), "-o", str(root), "--quiet", *arguments]
    with root.with_suffix(".log").open("ab") as log:
        full_env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
            **(env or {}),
        }
        code = subprocess.run(command, stdout=log, stderr=log, env=full_env, check=False).returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - began, cpu, code)


def run_or_exit(root: Path, settings: Mapping[str, Any], *arguments: str, env: Mapping[str, str] | None = None) -> Cost:
    cost = run(root, settings, *arguments, env=env)
    if cost.code:
        sys.exit(f"voxmill run ended with {cost.code}:\n{root.with_suffix('.log').read_text()[-3000:]}")
    return cost


Calls = Counter[str]


def counting(root: Path) -> dict[str, str]:
    """Environment of a command that notes in `<root>.events` what its workers begin, for `calls`."""
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    return {"VOXMILL_ON_COMMIT": "killer:on_event", "VOXMILL_EVENTS": str(root.with_suffix(".events")), "PYTHONPATH": path}


def calls(root: Path) -> Calls:
    """Units begun so far, by stage: lines `began PROCESS STAGE/FINGERPRINT/UNIT`. Raises FileNotFoundError where nothing was counted."""
    lines = root.with_suffix(".events").read_text().splitlines()
    return Counter(line.split()[2].partition("/")[0] for line in lines if line.startswith("began "))


def verified(root: Path) -> bool:
    """Whether `voxmill verify` holds."""
    return subprocess.run([VOXMILL, "verify", str(root)], stdout=subprocess.DEVNULL, check=False).returncode == 0

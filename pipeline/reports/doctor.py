"""What is installed, which weights are here, what is missing, and the command that gets it."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

import psutil
from rich.console import Console

from voxmill.operators import weights
from voxmill.operators.label.merge import asked
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.terminal.table import print_table, prose

EXTRAS = {
    "crawl": ("yt-dlp",),
    "text": ("wetext", "whisper-normalizer"),
    "vad": ("silero-vad", "onnxruntime"),
    "asr": ("torch", "whisperx", "faster-whisper", "pyannote.audio"),
    "funasr": ("funasr",),
    "cluster": ("ray",),
    "s3": ("s3fs",),
    "gcs": ("gcsfs",),
}
OPTIONAL = ("funasr", "s3", "gcs")


def examine(config: RunConfig | None, out: Console) -> bool:
    """Prints the findings; False where something that is needed is missing."""
    ok = _packages(out)
    _machine(out)
    return _weights(config, out) and ok


def _packages(out: Console) -> bool:
    rows = []
    ok = True
    for extra, packages in EXTRAS.items():
        found = {name: _version(name) for name in packages}
        missing = [name for name, number in found.items() if number is None]
        ok &= not missing or extra in OPTIONAL
        here = ", ".join(f"{name} {number}" for name, number in found.items() if number)
        rows.append((extra, here, ", ".join(missing), f"pip install 'voxmill[{extra}]'" if missing else ""))
    print_table(out, ("extra", prose("installed"), prose("missing"), "get it"), rows)
    return ok


def _machine(out: Console) -> None:
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(".")
    out.print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {memory.available / 2**30:.0f} of "
        f"{memory.total / 2**30:.0f} GiB memory free, {disk.free / 2**30:.0f} GiB disk free here, {_gpu()}",
        soft_wrap=True,
    )
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        said = "PYTHONDONTWRITEBYTECODE is set: importing the engines takes half a minute; unset it"
        out.print(said, style="yellow", soft_wrap=True)


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "no GPU (torch is not installed)"
    if not torch.cuda.is_available():
        return "no GPU: engines run on the CPU"
    return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def _weights(config: RunConfig | None, out: Console) -> bool:
    wanted = weights_of(config) if config else set()
    rows = []
    ok = True
    for row in weights.status():
        needed = row.name in wanted
        ok &= row.ready or not needed
        rows.append((row.name, "yes" if row.ready else "no", "yes" if needed else "", row.fix))
    out.print()
    print_table(out, ("weights", "here", "needed", prose("get them", 1)), rows)
    return ok


def weights_of(config: RunConfig) -> set[str]:
    """Names, or folders, of what its engines and labellers load."""
    return {str(getattr(each, "model", "")) for each in (*config.transcribe, *asked(config.label, config.labels))}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

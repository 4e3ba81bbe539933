"""Which CPU a worker runs on, and how different CPUs can be made to compute the same.

Fast numerical libraries choose their code by the CPU that they find: sums come in another order, and with int8 weights a word may come out as another.
So every fragment's cost says on which CPU it was made (table `costs`: `cpu`, `isa`), and `executor.same_results` pins all that can be pinned.
"""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

SAME_RESULTS = {
    "VOXMILL_SAME_RESULTS": "1",
    "CT2_FORCE_CPU_ISA": "AVX2",
    "CT2_USE_MKL": "0",  # otherwise CTranslate2 takes MKL on Intel and oneDNN elsewhere
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "avx2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
"""Environment in which CTranslate2, oneDNN, MKL, torch, OpenBLAS and numpy use AVX2 and nothing newer. It must be there before a process starts,
and wins over what is there. onnxruntime has no such switch: its float kernels for AVX2 and AVX-512 may differ in the last bits of a sum, which
voice detection and Moonshine turn into another frame or word very rarely. libav's resampler has no code for AVX-512."""

_LEVELS = (
    ("avx512", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
    ("avx2", {"avx2", "fma"}),
    ("avx", {"avx"}),
    ("sse4.2", {"sse4_2"}),
)


@cache
def cpu() -> str:
    """The CPU's own name, as in `AMD EPYC 9354`; the architecture where it tells none."""
    return _field("model name") or platform.processor() or platform.machine()


@cache
def instruction_set() -> str:
    """The best that this CPU has, as in `avx512` (with `+amx`, `+vnni` where it has them), `avx2` or `aarch64`."""
    flags = set(_field("flags").split())
    level = next((name for name, needed in _LEVELS if needed <= flags), platform.machine())
    more = [name for name, flag in (("vnni", "avx512_vnni"), ("amx", "amx_int8")) if flag in flags]
    return "+".join([level, *more])


def used() -> str:
    """The instruction set that this process may use: the CPU's, or less where the environment says so."""
    if os.environ.get("VOXMILL_SAME_RESULTS"):
        return "avx2 (same_results)"
    forced = os.environ.get("CT2_FORCE_CPU_ISA", "").lower()
    return f"{instruction_set()}, ctranslate2 {forced}" if forced else instruction_set()


def pin() -> None:
    """For every process that this one starts from now on."""
    os.environ.update(SAME_RESULTS)


def refuses_to_pin() -> str | None:
    """Why a worker with `same_results` cannot work on this machine; None where it can."""
    if not os.environ.get("VOXMILL_SAME_RESULTS") or instruction_set().startswith(("avx2", "avx512")):
        return None
    return (
        f"executor.same_results needs AVX2, and {platform.node()} ({cpu()}, {instruction_set()}) has none: "
        "keep this machine out of the run, or set `executor.same_results: false`"
    )


def _field(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":", 1)[0].strip() == name), "")

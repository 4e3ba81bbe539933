"""How a worker's process keeps its memory: for itself, until it ends, in huge pages."""

from __future__ import annotations

import os

KEEP_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(2**26),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""Environment in which glibc's malloc gives nothing back while a process lives, and serves every thread from one arena.

An engine asks for the same hundreds of megabytes for every window and returns them. By default each of them goes back to the kernel and
comes again page by page: a tenth of the CPU-seconds of transcription (`make bench-pipeline`). The peak stays what it was
(`make bench-memory`). To be set before a process starts; other C libraries ignore it, and glibc before 2.35 the huge pages.
"""


def keep_memory() -> None:
    """For every process that this one starts from now on; what the environment says already stays."""
    for name, value in KEEP_MEMORY.items():
        os.environ.setdefault(name, value)

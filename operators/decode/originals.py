"""Files that are used where they lie: whether they still are what was fetched, which nobody but their owner can promise."""

from __future__ import annotations

import os
from functools import lru_cache

from voxmill.manifests.records import Recording
from voxmill.manifests.storage import file_sha256


class OriginalChanged(Exception):
    """A file holds other bytes than when it was fetched: what is known of the recording is not known of it."""


def check_original(recording: Recording) -> None:
    """Raises OriginalChanged where a recording's file, used in place, is another one now; OSError where it cannot be read.

    What was copied into the run or a store is named by its content and is not read.
    """
    uri = recording.audio
    if uri is None or "://" in uri or recording.id in uri or not recording.num_bytes:
        return
    state = os.stat(uri)
    if (
        state.st_size != recording.num_bytes
        or _sha256(uri, state.st_size, state.st_mtime_ns, state.st_ctime_ns) != recording.id
    ):
        raise OriginalChanged(
            f"{uri} is not the file that was fetched (sha256 {recording.id[:12]}…): put that back, or name this one anew as a source"
        )


@lru_cache(maxsize=4096)
def _sha256(path: str, size: int, mtime_ns: int, ctime_ns: int) -> str:
    """Read once in a process for each state of the file."""
    return file_sha256(path)

"""Files of a run, on local and shared disks, in S3-compatible stores and in GCS: written whole or not at all, once and for all.

`commit_bytes` and `commit_file` are the only ways to write, `locate` gives whoever reads an fsspec filesystem. In an object store both
send few requests, count them (`requests`), and wait for a store that is away (`store_retry.py`).
"""

from voxmill.manifests.storage.commit import NondeterministicError, commit_bytes, commit_file, file_sha256
from voxmill.manifests.storage.commit_events import Event, emit, events
from voxmill.manifests.storage.local_files import make_folder, staged, sweep
from voxmill.manifests.storage.locate import locate
from voxmill.manifests.storage.remote_files import exists, is_folder, names_in, open_file, read_bytes, remove, remove_all
from voxmill.manifests.storage.request_count import RequestCount, requests
from voxmill.manifests.storage.store_retry import StoreError, outage_listeners, wait_at_most

__all__ = [
    "Event",
    "NondeterministicError",
    "RequestCount",
    "StoreError",
    "commit_bytes",
    "commit_file",
    "emit",
    "events",
    "exists",
    "file_sha256",
    "is_folder",
    "locate",
    "make_folder",
    "names_in",
    "open_file",
    "outage_listeners",
    "read_bytes",
    "remove",
    "remove_all",
    "requests",
    "staged",
    "sweep",
    "wait_at_most",
]

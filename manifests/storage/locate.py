"""From an address to the filesystem that serves it."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from fsspec.core import url_to_fs

from voxmill.manifests.errors import UserError

_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID", "AWS_CONFIG_FILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "STORAGE_EMULATOR_HOST",
)  # fmt: skip
"""Environment variables that say which store an address means; a change of one is another store."""


def locate(uri: str | os.PathLike[str]) -> tuple[Any, str]:
    """The fsspec filesystem of a path or URL, and the path in it. Never answers from a cached listing. Raises UserError.

    S3 and GCS have filesystems of our own (`s3_store.py`, `gcs_store.py`), one of each in a process.
    """
    address = os.fspath(uri)
    protocol, found, _ = address.partition("://")
    if found and protocol in ("s3", "s3a", "gs", "gcs"):
        fs = _store(protocol, os.getpid(), tuple(os.environ.get(name) for name in _CREDENTIALS))
        return fs, fs._strip_protocol(address)
    try:
        fs, path = url_to_fs(address, use_listings_cache=False)
    except ValueError as error:  # of the kind `Protocol not known`
        raise UserError(
            f"{uri}: no such kind of store ({error}): give a folder, or an address such as s3://bucket/prefix"
        ) from None
    return fs, path


@cache
def _store(protocol: str, _process: int, _credentials: tuple[str | None, ...]) -> Any:
    """One for all threads: every request runs in fsspec's own thread, and a client takes a second to make. A fork needs its own."""
    if protocol.startswith("s3"):
        from voxmill.manifests.storage.s3_store import S3Store

        return S3Store(use_listings_cache=False, skip_instance_cache=True)
    from voxmill.manifests.storage.gcs_store import GCSStore

    return GCSStore(use_listings_cache=False, skip_instance_cache=True)

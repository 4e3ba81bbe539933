"""Any S3-compatible store, through s3fs: one request for one question, and every request waited for, sent again and counted here.

s3fs and botocore send a failed request again for a few seconds, in two loops of their own. Both are replaced by one, at the event that
botocore raises after every try: so pages of listings and parts of uploads are sent again alone, and signed anew each time.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from botocore.exceptions import ClientError, HTTPClientError, SSLError
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError
from fsspec.asyn import sync_wrapper
from s3fs import S3FileSystem
from s3fs.core import S3_RETRYABLE_ERRORS

from voxmill.manifests.storage import clock_skew
from voxmill.manifests.storage.request_count import count_request
from voxmill.manifests.storage.store_retry import TRANSIENT_STATUS, StoreError, StoreHealth

_KINDS = {
    "GetObject": "get", "HeadObject": "head", "HeadBucket": "head", "ListObjectsV2": "list", "PutObject": "put",
    "CreateMultipartUpload": "put", "UploadPart": "put", "CompleteMultipartUpload": "put", "DeleteObject": "delete",
    "DeleteObjects": "delete", "AbortMultipartUpload": "delete",
}  # fmt: skip
_TRANSIENT_CODES = frozenset(
    [
        "InternalError",
        "OperationAborted",
        "ConditionalRequestConflict",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "RequestLimitExceeded",
        "XAmzContentSHA256Mismatch",
    ]
)
"""Codes of error answers that pass, whatever their HTTP status. A conflict: two writers of one name at the same moment."""

_LOCAL_FAULTS = (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ENOMEM)
_MAX_DELETED = 1000
"""Names in one DeleteObjects."""


class S3Store(S3FileSystem):  # type: ignore[misc]
    """An s3fs filesystem with few requests. `exists` is about one object (one HEAD); whether a prefix has objects says `isdir` (one LIST).

    Raises StoreError where the store did not come back in time or has no such bucket, FileExistsError where a create is refused.
    """

    refuses_to_overwrite = True
    part_size = 50 << 20
    """Bytes in a part of a large upload."""

    def __init__(self, *args: Any, config_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        # The process is named in the store's own log, so that requests can be told apart there.
        ours = {"connect_timeout": 10, "read_timeout": 60, "user_agent_extra": f"md/voxmill#{os.getpid()}"}
        super().__init__(*args, config_kwargs={**ours, **(config_kwargs or {})}, **kwargs)
        self._health: WeakKeyDictionary[Any, StoreHealth] = WeakKeyDictionary()

    async def get_s3(self, bucket: str | None = None) -> Any:
        """The botocore client, with our retries in the place of its own."""
        client = await super().get_s3(bucket)
        if client not in self._health:
            self._health[client] = health = StoreHealth(f"the store at {client.meta.endpoint_url}")
            client.meta.events.unregister("needs-retry.s3", unique_id="retry-config-s3")
            client.meta.events.register("needs-retry.s3", lambda **told: _after_try(health, **told), unique_id="voxmill")
        return client

    async def _exists(self, path: str) -> bool:
        bucket, key, version = self.split_path(path)
        if not key:
            return bool(await super()._exists(path))
        try:
            named = {} if version is None else {"VersionId": version}
            await self._call_s3("head_object", Bucket=bucket, Key=key, **named, **self.req_kw)
        except FileNotFoundError:
            return False
        return True

    async def _isdir(self, path: str) -> bool:
        bucket, key, _ = self.split_path(path)
        if not key:
            return bool(await super()._isdir(path))
        with _plainly(path):
            prefix = f"{key.rstrip('/')}/"
            found = await self._call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1, **self.req_kw)
        return bool(found.get("KeyCount") or found.get("Contents"))

    exists = sync_wrapper(_exists)
    isdir = sync_wrapper(_isdir)

    async def _ls(self, path: str, detail: bool = False, refresh: bool = False, versions: bool = False) -> list[Any]:
        """The entries of a folder, a thousand in each request. Raises FileNotFoundError, without a look at the folder above."""
        path = self._strip_protocol(path).rstrip("/")
        if "/" not in path or versions:
            listed: list[Any] = await super()._ls(path, detail=detail, refresh=refresh, versions=versions)
            return listed
        entries = [
            entry for entry in await self._lsdir(path) if entry["name"].rstrip("/") != path
        ]  # some stores list the folder
        if not entries:
            raise FileNotFoundError(path)
        return list(entries) if detail else sorted(entry["name"] for entry in entries)

    async def _lsdir(self, path: str, *args: Any, **options: Any) -> Any:
        with _plainly(path):
            for attempt in range(self.retries):
                try:
                    return await super()._lsdir(path, *args, **options)
                except S3_RETRYABLE_ERRORS:  # an answer that broke off, of which botocore's event does not know
                    if attempt + 1 == self.retries:
                        raise

    async def _cat_file(self, path: str, *args: Any, **options: Any) -> bytes:
        """One GET. s3fs asks for the size first, to read large objects in several requests at a time."""
        with _plainly(path):
            blob: bytes = await super()._cat_file(path, *args, **{"max_concurrency": 1, **options})
        return blob

    async def _pipe_file(self, path: str, data: bytes, *args: Any, **options: Any) -> Any:
        with _plainly(path):
            return await super()._pipe_file(path, data, *args, **{"chunksize": self.part_size, **options})

    async def _put_file(self, lpath: str, rpath: str, *args: Any, **options: Any) -> None:
        with _plainly(rpath):
            await super()._put_file(lpath, rpath, *args, **{"chunksize": self.part_size, **options})

    async def _remove_all(self, paths: list[str]) -> None:
        """Deletes objects of one bucket, a thousand in each request; those that are not there are no error."""
        for start in range(0, len(paths), _MAX_DELETED):
            part = [self.split_path(path) for path in paths[start : start + _MAX_DELETED]]
            names = {"Objects": [{"Key": key} for _, key, _ in part], "Quiet": True}
            with _plainly(paths[start]):
                answer = await self._call_s3("delete_objects", Bucket=part[0][0], Delete=names)
            for error in answer.get("Errors", ()):
                await self._rm_file(f"{part[0][0]}/{error['Key']}")  # says what is wrong, or is lucky this time

    remove_all = sync_wrapper(_remove_all)


def _after_try(
    health: StoreHealth, *, response: Any, operation: Any, attempts: int, caught_exception: Any, request_dict: Any, **_: Any
) -> float | None:
    """Called by botocore after each try of a request: the seconds until the next one, None for no other."""
    count_request(_KINDS.get(operation.name, "other"), again=attempts > 1)
    if clock_skew.correct(response, request_dict["context"]):
        return 0.0
    why = _transient(response, caught_exception)
    if why is None:
        if caught_exception is None:
            health.answered()
        return None
    since = request_dict["context"].setdefault("voxmill_since", time.monotonic())
    return health.pause(why, attempts, since, _asked_for(request_dict))


def _asked_for(request_dict: Any) -> str:
    """The name that a request is about, for people."""
    prefix = request_dict.get("query_string") or {}
    return "/".join(filter(None, (urlsplit(request_dict["url"]).path.strip("/"), str(prefix.get("prefix", "")))))


def _transient(response: Any, error: BaseException | None) -> str | None:
    """What went wrong with a try, if another one may succeed."""
    if error is not None:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, SSLError) or getattr(cause, "errno", None) in _LOCAL_FAULTS:
                return None
            cause = getattr(cause, "kwargs", {}).get("error") or cause.__cause__
        # botocore's own family of refused and timed-out connections is not Python's of the same name
        passing = isinstance(error, (HTTPClientError, ResponseParserError, NoConnection, ConnectionError, TimeoutError))
        return type(error).__name__ if passing else None
    status, code = response[0].status_code, response[1].get("Error", {}).get("Code", "")
    if status in TRANSIENT_STATUS or code in _TRANSIENT_CODES:
        return f"HTTP {status}" + (f" {code}" if code and code != str(status) else "")
    return None


@contextmanager
def _plainly(path: str) -> Iterator[None]:
    """Says two answers plainly that s3fs words by the body: 412 to a create is `exists`, whatever it states, and a bucket that is missing."""
    try:
        yield
    except OSError as error:
        answer = error.__cause__.response if isinstance(error.__cause__, ClientError) else {}
        if answer.get("ResponseMetadata", {}).get("HTTPStatusCode") == 412:
            raise FileExistsError(errno.EEXIST, "there already", f"s3://{path}") from error.__cause__
        if answer.get("Error", {}).get("Code") == "NoSuchBucket":
            bucket = path.split("/")[0]
            raise StoreError(f"s3://{bucket}: there is no such bucket: create it, or give another place") from error.__cause__
        raise

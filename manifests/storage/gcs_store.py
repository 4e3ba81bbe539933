"""Google Cloud Storage, through gcsfs: one request for one question, and every request waited for, sent again and counted here."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import google.auth.exceptions
import requests as http
from gcsfs.core import GCSFileSystem
from gcsfs.retry import HttpError

from voxmill.manifests.storage.request_count import count_request
from voxmill.manifests.storage.store_retry import TRANSIENT_STATUS, StoreHealth

_send_once = GCSFileSystem._request.__wrapped__
"""A request without gcsfs's own retries, which end after a minute."""


class GCSStore(GCSFileSystem):  # type: ignore[misc]
    """A gcsfs filesystem with few requests. `exists` is about one object; whether a prefix has objects says `isdir`.

    Raises StoreError where the store did not come back in time, FileExistsError where a create is refused.
    """

    refuses_to_overwrite = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._health = StoreHealth(f"the store at {self._location}")

    async def _request(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        attempt, since = 0, None
        while True:
            attempt += 1
            count_request(_kind(method, path), again=attempt > 1)
            try:
                answer = await _send_once(self, method, path, *args, **kwargs)
            except Exception as error:
                if (why := _transient(error)) is None:
                    self._health.answered()
                    if isinstance(error, OSError) and str(error).startswith("Forbidden"):
                        raise PermissionError(str(error)) from error  # gcsfs itself looks for the word
                    raise
                since = since or time.monotonic()
                await asyncio.sleep(self._health.pause(why, attempt, since))
            else:
                self._health.answered()
                return answer

    async def _exists(self, path: str, **_: Any) -> bool:
        path = self._strip_protocol(path).rstrip("/")
        if "/" not in path:
            return bool(await super()._exists(path))
        try:
            await self._get_object(path)
        except FileNotFoundError:
            return False
        return True

    async def _isdir(self, path: str) -> bool:
        bucket, key, _ = self.split_path(path)
        prefix = f"{key.rstrip('/')}/" if key else ""
        try:
            found = await self._call("GET", "b/{}/o", bucket, prefix=prefix, maxResults=1, json_out=True)
        except FileNotFoundError:
            return False
        return bool(found.get("items"))

    async def _ls(self, path: str, detail: bool = False, **options: Any) -> list[Any]:
        """The entries of a folder, a thousand in each request. Raises FileNotFoundError."""
        entries: list[Any] = await super()._ls(path, detail=detail, **options)
        if not entries:
            raise FileNotFoundError(path)
        return entries

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        blob: bytes = await super()._cat_file(path, start=start, end=end, **{"concurrency": 1, **options})
        return blob


def _kind(method: str, path: str) -> str:
    """Of a request of the JSON API, by the names that S3's have."""
    if method == "GET":
        listing = path.rstrip("/").endswith("/o")
        return "list" if listing else "get" if "alt=media" in path else "head"
    return {"POST": "put", "PUT": "put", "DELETE": "delete"}.get(method, "other")


def _transient(error: Exception) -> str | None:
    """What went wrong with a try, if another one may succeed."""
    if isinstance(error, HttpError):
        code = str(error.code)
        return f"HTTP {code}" if code.isdigit() and int(code) in TRANSIENT_STATUS else None
    if isinstance(error, (aiohttp.ClientSSLError, aiohttp.ClientResponseError)):
        return None
    passing = (
        aiohttp.ClientError,
        http.exceptions.RequestException,
        google.auth.exceptions.TransportError,
        asyncio.TimeoutError,
    )
    return type(error).__name__ if isinstance(error, (*passing, ConnectionError)) else None

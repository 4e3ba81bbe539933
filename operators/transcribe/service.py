"""One recognition service over HTTP: paced requests with retries, and what each failure means for a run.

What is wrong with the service, or with the key, stops the run: every segment that comes next would be refused as well. What is wrong
with one request is an outcome of its segment. Connections go to checked addresses, as the crawler's do, and no redirect is followed.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from urllib3 import encode_multipart_formdata
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, SSLError

from voxmill.manifests.public_form import public_text
from voxmill.manifests.secret_patterns import HIDDEN
from voxmill.operators.crawl.facts.crawl_errors import NetworkError, PrivateAddress, Unsupported
from voxmill.operators.crawl.fetch.address import AddressPolicy
from voxmill.operators.crawl.fetch.http_transport import Transport
from voxmill.operators.transcribe.service_errors import FormField, NoAnswer, ServiceUnavailable

RETRIED = (408, 409, 429, 500, 502, 503, 504)
LARGEST = 16 * 1024**2
"""Bytes of an answer that are read."""
LONGEST_PAUSE = 60.0
"""Seconds between two attempts, whatever the service asks for."""
SILENT = 5
"""Requests in a row that came to nothing, with all their retries, after which the service counts as down."""

Sleep = Callable[[float], object]


class RecognitionService:
    """Posts forms to `url`, from any number of threads. `key_variable` names the environment variable that holds the key."""

    def __init__(
        self,
        url: str,
        key_variable: str | None,
        *,
        allow_private: tuple[str, ...],
        timeout: float,
        retries: int,
        backoff: float,
        per_second: float,
        ca_file: str | None = None,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._url, self._host = url, urlsplit(url).netloc
        self._variable, self._key = key_variable, _key(key_variable)
        self._retries, self._backoff, self._timeout, self._sleep = retries, backoff, timeout, sleep
        self._transport = Transport(AddressPolicy(allow_private), timeout, ca_file=ca_file)
        self._pace, self._lock, self._next, self._silent = 1 / per_second, threading.Lock(), 0.0, 0

    def post(self, fields: Sequence[FormField]) -> bytes:
        """The body of the answer to a form. Raises NoAnswer, ServiceUnavailable."""
        body, kind = encode_multipart_formdata(fields)
        headers = {"Content-Type": kind, "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        for attempt in range(self._retries + 1):
            self._wait_for_turn()
            last = attempt == self._retries
            try:
                status, told, asked = self._exchange(headers, body)
            except NetworkError as error:
                if last:
                    self._give_up(f"no answer, {attempt + 1} times: {self._public(error.detail)}", error)
                asked = None
            else:
                if status == 200:
                    self._silent = 0
                    return told
                self._judge(status, told, last)
            self._sleep(self._pause(attempt, asked))
        raise AssertionError("unreachable")

    def _exchange(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, float | None]:
        """Status, body, and the pause (s) that the service asks for. Raises NetworkError, ServiceUnavailable."""
        try:
            response = self._transport.send("POST", self._url, headers, body)
        except PrivateAddress as error:
            raise ServiceUnavailable(
                f"{error.detail}, which is private: list the host in `allow_private` if it is yours"
            ) from error
        except Unsupported as error:
            raise ServiceUnavailable(f"{self._host}: {error.detail}: mend `url`") from error
        try:
            told = response.read(LARGEST)
            stated = response.headers.get("retry-after", "")
            return response.status, told, float(stated) if stated.strip().isdigit() else None
        except Exception as error:
            raise NetworkError(f"{type(error).__name__}: {error}") from error
        finally:
            response.close()

    def _judge(self, status: int, told: bytes, last: bool) -> None:
        """Returns where another attempt may help. Raises NoAnswer, ServiceUnavailable."""
        said = f"HTTP {status}: {self._public(told.decode('utf-8', 'replace'))[:200]}".rstrip(": ")
        if status in (401, 403):
            cause = f"the key in the environment variable {self._variable}" if self._variable else "requests without a key"
            raise ServiceUnavailable(f"{self._host} refuses {cause} ({said}): set `key_variable`, or the right key in it")
        if status == 404 or 300 <= status < 400:
            raise ServiceUnavailable(f"{self._host} has nothing there ({said}): mend `url` or `served_model`")
        if status == 429 and last:
            raise ServiceUnavailable(
                f"{self._host} takes no more requests ({said}): lower `requests_per_second`, or wait, then run again"
            )
        if status not in RETRIED:
            self._silent = 0
            raise NoAnswer(said)
        if last:
            self._give_up(said)

    def _give_up(self, said: str, error: NetworkError | None = None) -> None:
        """Always raises: ServiceUnavailable where nothing is there, or where no request was answered for long; else NoAnswer."""
        if error and isinstance(error.__cause__, (NewConnectionError, ConnectTimeoutError, SSLError)):
            raise ServiceUnavailable(f"{self._host} cannot be reached ({said}): start it, or mend `url`") from error
        with self._lock:
            self._silent += 1
            silent = self._silent
        if silent >= SILENT:
            raise ServiceUnavailable(
                f"{self._host} has not answered {silent} requests in a row ({said}): mend it, or raise `timeout` ({self._timeout:g} s)"
            ) from error
        raise NoAnswer(said) from error

    def _wait_for_turn(self) -> None:
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._pace
        if turn > now:
            self._sleep(turn - now)

    def _pause(self, attempt: int, asked: float | None) -> float:
        """Exponential, between half and all of it by chance, so that those who were refused together do not come back together."""
        pause = self._backoff * 2.0**attempt * random.uniform(0.5, 1.0)
        return min(LONGEST_PAUSE, max(pause, asked or 0.0))

    def _public(self, text: str) -> str:
        text = public_text(" ".join(text.split()))
        return text.replace(self._key, HIDDEN) if self._key else text


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not (key := os.environ.get(variable, "").strip()):
        raise ServiceUnavailable(
            f"the environment variable {variable} is not set: export it on every machine that works on the run"
        )
    return key

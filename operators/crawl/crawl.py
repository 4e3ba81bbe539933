"""Fetches every listed item, many at once: `Item` in, `Recording` out, with its file in the store or the reason why it has none."""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, BinaryIO

from voxmill.manifests.public_form import public_address, public_recording, public_text, secrets_of
from voxmill.manifests.records import SAMPLE_RATE, Item, Licence, Recording
from voxmill.manifests.storage import open_file
from voxmill.manifests.tombstones import REVOKED, Tombstones
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.crawl.facts import licence
from voxmill.operators.crawl.facts.crawl_errors import CrawlError, Denylisted, NotFound, Tombstoned, TooLarge, Unsupported
from voxmill.operators.crawl.facts.media_types import suffix
from voxmill.operators.crawl.facts.private_addresses import PrivateAddresses
from voxmill.operators.crawl.facts.urls import file_path, is_local, is_web
from voxmill.operators.crawl.fetch.audio_store import STORE_THREADS, AudioStore
from voxmill.operators.crawl.fetch.copy_member import copy_member
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig
from voxmill.operators.crawl.fetch.download import RESUMABLE, ResponseFacts, discard, download, part_file, sha256_of
from voxmill.operators.crawl.fetch.fetcher import Fetcher, host_of
from voxmill.operators.crawl.fetch.hls_download import clear_parts, fetch_stream
from voxmill.operators.crawl.fetch.side_by_side import Lane, fetch_all
from voxmill.operators.crawl.policy.denylist import DenyList
from voxmill.operators.crawl.policy.host_limit import HostGate
from voxmill.operators.decode.telephony_formats import raw_suffix

THREADS = 8
"""For each request that may run at once: most fetches wait for their host's turn, and a thread that waits costs little."""

LOCAL, STORE = Lane("this machine", 1), Lane("a store", STORE_THREADS)
"""Lanes of items that no web server is asked for. A second local file at a time would only take another core."""


class Crawl:
    """Fetches the items of a unit, those of different hosts side by side; their recordings have the order of the items.

    Cheap to make and to pickle: connections are opened in the worker. `private` holds the whole addresses of items whose listing was stripped of secrets; no secret is in the recordings returned.
    """

    def __init__(
        self,
        config: CrawlConfig,
        audio_dir: str,
        gate: HostGate,
        revoked: Tombstones | None = None,
        private: PrivateAddresses | None = None,
    ) -> None:
        self.config = config
        self.audio_dir = audio_dir
        self.gate = gate
        self.revoked = revoked or Tombstones()
        self.private = private
        self._deny = DenyList(config.denied)
        self._store = AudioStore(audio_dir)
        self._fetcher: Fetcher | None = None
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.config, self.audio_dir, self.gate, self.revoked, self.private)

    def __call__(self, work: UnitInput) -> list[Recording]:
        items = self.private.whole(f"items/{work.unit}", work.items) if self.private else work.items
        if any(is_web(item.provenance.url) and not item.rejection for item in items):
            self._web().resume()
        rows = fetch_all(items, self.fetch, self._lane, THREADS * self.config.in_flight, self._stop)
        if self._fetcher is not None:
            self._fetcher.gate.flush()  # what it ended is free for other workers now
        return rows

    def fetch(self, item: Item) -> Recording:
        """Fetches one item, given with its whole address.

        An item that was fetched before is not fetched again: its receipt in the store gives the same recording.
        """
        known = secrets_of(item.provenance.url)
        return public_recording(self._outcome(item), known)

    def _outcome(self, item: Item) -> Recording:
        if item.rejection:
            return Recording(item.id, item.id, item.provenance, item.licence, rejection=item.rejection)
        try:
            if item.provenance.url.startswith(REVOKED) or self.revoked.item(item):
                raise Tombstoned
            if entry := self._deny.address(item.provenance.url):
                raise Denylisted(f"denied by {entry!r}")
            receipt = self._store.read(_receipt(item))
            if receipt is None or not self._store.has(receipt["name"]):
                receipt = self._fetched(item)
                if receipt["name"]:  # a file that stays in its place may change there: no receipt
                    self._store.write_once(_receipt(item), receipt)
            if self.revoked.hash(receipt["sha256"]):
                raise Tombstoned
            if self._deny.content(receipt["sha256"]):
                raise Denylisted(f"content sha256:{receipt['sha256']}")
            return self._recording(item, receipt)
        except CrawlError as error:
            return Recording(item.id, item.id, item.provenance, item.licence, rejection=error.rejection())

    def close(self) -> None:
        """Closes the connections."""
        if self._fetcher is not None:
            self._fetcher.close()

    def _lane(self, item: Item) -> Lane:
        url = item.provenance.url
        if item.rejection or not is_web(url):
            return LOCAL if item.rejection or is_local(url) else STORE
        try:
            return Lane(host_of(url), self.config.max_in_flight)
        except ValueError:  # `http://[::1/`: fetching it says what is wrong
            return LOCAL

    def _fetched(self, item: Item) -> dict[str, Any]:
        """Fetches and stores the bytes of an item; returns its receipt. Raises CrawlError."""
        if item.kind in ("file", "manifest"):
            return self._store.near(item.provenance.url, lambda: self._file(item))
        if item.kind == "member":
            return self._store.near(item.provenance.url, lambda: self._member(item))
        return self._stream(item) if item.kind == "hls" else self._download(item)

    def _download(self, item: Item) -> dict[str, Any]:
        with part_file(self._store.scratch, item.id) as part:
            got = download(self._web(), item.provenance.url, part, self.config.max_bytes)
            receipt = self._kept(item, part, got.sha256, got.num_bytes, got.facts, resumed_at=got.resumed_at)
        discard(Path(part.name))
        return receipt

    def _stream(self, item: Item) -> dict[str, Any]:
        with part_file(self._store.scratch, item.id) as part:  # only its lock is used
            target = Path(part.name).with_suffix(".hls")
            try:
                limits = self.config.max_bytes, self.config.max_seconds
                got = fetch_stream(self._web(), item.provenance.url, target, *limits, language=item.language)
            except CrawlError as error:
                if not isinstance(error, RESUMABLE):
                    clear_parts(target)
                raise
            with target.open("rb") as file:
                said = {"num_parts": got.num_parts, "seconds": got.seconds, "lost": [asdict(one) for one in got.lost]}
                receipt = self._kept(item, file, got.sha256, got.num_bytes, got.facts, **said)
                receipt |= {"lost": said["lost"], "least_seconds": got.least_seconds}
        clear_parts(target)
        discard(Path(part.name))
        return receipt

    def _file(self, item: Item) -> dict[str, Any]:
        address = file_path(item.provenance.url)
        try:
            if is_local(address) and not stat.S_ISREG(os.stat(address).st_mode):
                what = (
                    "a folder: name its files, or make the folder a source" if os.path.isdir(address) else "a pipe or a device"
                )
                raise Unsupported(f"no file but {what}: {address}")  # reading one may never end
            with open(address, "rb") if is_local(address) else open_file(address) as file:
                size = file.seek(0, os.SEEK_END)
                if size > self.config.max_bytes:
                    raise TooLarge(f"{size} bytes, the limit is {self.config.max_bytes}")
                if is_local(address) and not self.config.copy_local and _plain(address):
                    sha256 = sha256_of(file)
                    return {"sha256": sha256, "num_bytes": size, "name": None, "audio": os.path.abspath(address), "facts": {}}
                with part_file(self._store.scratch, item.id) as copy:
                    sha256 = _copy(file, copy)
                    receipt = self._kept(item, copy, sha256, size, ResponseFacts(public_address(item.provenance.url), status=0))
                discard(Path(copy.name))
                return receipt
        except FileNotFoundError as error:
            raise NotFound(str(error)) from error
        except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
            raise Unsupported(str(error)) from error

    def _member(self, item: Item) -> dict[str, Any]:
        """One member of an archive or table, copied into the store. Raises CrawlError."""
        with part_file(self._store.scratch, item.id) as copy:
            copy.truncate(0)
            num_bytes = copy_member(item.provenance.url, copy, self.config.max_bytes)
            facts = ResponseFacts(public_address(item.provenance.url), status=0)
            receipt = self._kept(item, copy, sha256_of(copy), num_bytes, facts)
        discard(Path(copy.name))
        return receipt

    def _kept(
        self, item: Item, file: BinaryIO, sha256: str, num_bytes: int, facts: ResponseFacts, **evidence: Any
    ) -> dict[str, Any]:
        """Stores the bytes unless they are denied or revoked, with the evidence of the fetch beside them; returns the receipt."""
        if self.revoked.hash(sha256):
            raise Tombstoned
        if self._deny.content(sha256):
            raise Denylisted(f"content sha256:{sha256}")
        name = self._store.put(file, sha256, raw_suffix(f".{suffix(item.provenance.url)}", facts.content_type))
        known = secrets_of(item.provenance.url)
        facts = replace(facts, permission=facts.permission and public_text(facts.permission, known))
        said = {key: value for key, value in asdict(facts).items() if value is not None}
        self._store.write_once(
            f"{name}.evidence.json",
            {
                "item": item.id,
                "url": public_address(item.provenance.url),
                "fetched_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "user_agent": self.config.user_agent,
                "sha256": sha256,
                "num_bytes": num_bytes,
                **said,
                **evidence,
            },
        )
        said.pop("headers")
        audio = f"{PurePosixPath(self._store.root).name}/{name}"
        return {"sha256": sha256, "num_bytes": num_bytes, "name": name, "audio": audio, "facts": said if facts.status else {}}

    def _recording(self, item: Item, receipt: dict[str, Any]) -> Recording:
        facts, lost = receipt["facts"], receipt.get("lost", [])
        said = {key: facts.get(key) for key in ("final_url", "content_type", "etag", "last_modified", "permission")}
        return Recording(
            id=receipt["sha256"],
            item_id=item.id,
            provenance=replace(item.provenance, **said),
            licence=_licence(item, facts.get("link")),
            audio=receipt["audio"],
            num_bytes=receipt["num_bytes"],
            lost_samples=round(SAMPLE_RATE * sum(one["seconds"] for one in lost)),
            lost_why=f"not fetched ({'; '.join(sorted({one['why'] for one in lost}))})" if lost else None,
            promised_samples=round(SAMPLE_RATE * receipt["least_seconds"]) if "least_seconds" in receipt else None,
            language=item.language,
            domain=item.domain,
            given=item.given,
        )

    def _web(self) -> Fetcher:
        with self._lock:
            if self._fetcher is None:
                self._fetcher = Fetcher(self.config, self.gate)
            return self._fetcher

    def _stop(self) -> None:
        if self._fetcher is not None:
            self._fetcher.stop()


def _licence(item: Item, link: str | None) -> Licence:
    """The licence from the listing; if it found none, that of the Link header of the media."""
    if item.licence.name != "unknown" or not link:
        return item.licence
    stated = licence.of_headers(link)
    return stated if stated.name != "unknown" else item.licence


def _receipt(item: Item) -> str:
    return f"receipts/{item.id[:2]}/{item.id}.json"


def _plain(path: str) -> bool:
    """Whether a record can hold the path unchanged (UTF-8, no fsspec chain); other files are copied."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "::" not in path and "://" not in path


def _copy(source: Any, target: BinaryIO) -> str:
    source.seek(0)
    target.truncate(0)
    while block := source.read(1 << 20):
        target.write(block)
    target.flush()
    return sha256_of(target)

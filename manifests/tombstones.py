"""Tombstones: records of what was revoked, which refuse it if it comes again without saying what it was.

A tombstone holds *marks*: HMACs, under the tombstone's salt, of the addresses, hosts, ids and content hashes that are revoked.
Whoever holds such a value can ask whether it is revoked; nobody can read the values off the tombstone. (An address that can be
guessed can be tested, so a tombstone hides content, not the fact that a known address was revoked.)

What was revoked keeps its place in the books under a *pseudonym*: hours stay counted, and no shard boundary moves.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from voxmill.manifests.ids import SHORT, archive_key, segment_id
from voxmill.manifests.public_form import public_address
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Item, Licence, Provenance, Recording, Segment

REMEMBERED = 1 << 20
"""Ids of which it is remembered whether they are revoked: neighbours ask for the same ones, and a run may have a hundred million."""
REVOKED = "revoked:"
"""The address of an item that was revoked: this, and its pseudonym. Nothing is ever fetched from there."""

HEX = re.compile(rf"(?<![0-9a-f])[0-9a-f]{{{SHORT}}}(?:[0-9a-f]{{40}})?(?![0-9a-f])")
"""What an id or a content hash looks like in any text, whole or as in a segment id."""


@dataclass(frozen=True, slots=True)
class Ghost:
    """Placeholder for a revoked sample: not packed, but counted in part sizes so that shard boundaries do not move."""

    recording_id: str
    """A pseudonym."""
    start: int
    num_samples: int
    split: str


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One revocation. Its file is named by the hash of its bytes and never changes."""

    salt: str
    reason: str
    """Why, in the words of whoever asked; no name belongs here."""
    asked: tuple[str, ...]
    """`kind:mark` of everything that was asked for."""
    marks: tuple[str, ...]
    """Marks of all that this refuses: what was asked for and what it led to. Sorted."""
    num_recordings: int
    """Recordings found, the rejected ones included."""
    num_samples: int
    """Decoded audio of those that were kept (at 16 kHz)."""
    ghosts: tuple[Ghost, ...] = ()


def mark(salt: str, kind: str, value: str) -> str:
    """The mark of a value; `kind` is `url`, `host` or `hash`."""
    return hmac.new(salt.encode(), f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()


def pseudonym(salt: str, ident: str, attempt: int = 0) -> str:
    """Another id in place of one that is revoked, the same wherever it stood. Looks like an id, 64 hex digits."""
    return mark(salt, f"pseudonym {attempt}", ident)


class Tombstones:
    """The tombstones of a run, asked whether a value is revoked. Without any, every answer is no.

    >>> salt = "s"
    >>> stone = Tombstone(salt, "", (), (mark(salt, "host", "example.org"), mark(salt, "url", "http://a.net/1")), 0, 0)
    >>> stones = Tombstones([stone])
    >>> stones.address("https://cdn.example.org/x.mp3"), stones.address("http://A.net:80/1"), stones.address("http://a.net/2")
    (True, True, False)
    """

    def __init__(self, stones: Iterable[Tombstone] = ()) -> None:
        self._marks: dict[str, set[str]] = defaultdict(set)
        self.ghosts: list[Ghost] = []
        for stone in stones:
            self._marks[stone.salt].update(stone.marks)
            self.ghosts += stone.ghosts
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._marks)

    def has(self, kind: str, value: str) -> bool:
        """Whether a tombstone holds the mark of this value; `kind` is `url`, `host` or `hash`."""
        return any(mark(salt, kind, value) in marks for salt, marks in self._marks.items())

    def hash(self, value: str | None) -> bool:
        """Whether an id or a content hash is revoked; of a segment id, whether its recording is."""
        if not self._marks or not value:
            return False
        if value not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[value] = any(self.has("hash", found) for found in HEX.findall(value))
        return self._known[value]

    def address(self, url: str | None) -> bool:
        """Whether an address or its host is revoked; `www.example.org` belongs to `example.org`.

        An address with secrets in it is revoked where the one without them is: it stood there for all that differ only in those.
        """
        if not self._marks or not url or url.startswith(REVOKED):
            return False
        key = archive_key(url)
        try:
            labels = (urlsplit(key).hostname or "").lower().rstrip(".").split(".")
        except ValueError:
            labels = [""]
        hosts = (".".join(labels[n:]) for n in range(len(labels)))
        keys = dict.fromkeys((key, archive_key(public_address(url))))
        return any(self.has("url", k) for k in keys) or any(host and self.has("host", host) for host in hosts)

    def provenance(self, origin: Provenance) -> bool:
        """Whether any address of a provenance is revoked."""
        return any(map(self.address, (origin.url, origin.final_url, origin.page_url)))

    def item(self, item: Item) -> bool:
        """Whether an item is revoked, by its id or by an address."""
        return self.hash(item.id) or self.provenance(item.provenance)

    def recording(self, recording: Recording) -> bool:
        """Whether a recording is revoked, by an id, by the hash of its samples, or by an address."""
        return (
            self.hash(recording.id)
            or self.hash(recording.item_id)
            or self.hash(recording.pcm_sha256)
            or self.provenance(recording.provenance)
        )

    def refuse(self, items: Iterable[Item]) -> list[Item]:
        """The listed items, revoked ones scrubbed: they stay in the counts, and their addresses are not stored."""
        salt = min(self._marks, default="")
        return [scrubbed_item(item, salt) if self.item(item) else item for item in items]


def scrubbed_item(item: Item, salt: str) -> Item:
    """The item under a pseudonym: only its source, kind, licence name and reason are left."""
    ident = pseudonym(salt, item.id)
    rejection = replace(item.rejection, detail="") if item.rejection else None
    licence = Licence(item.licence.name, source=item.licence.source)
    return Item(ident, _scrubbed(item.provenance, ident), licence, item.kind, rejection=rejection)


def scrubbed_recording(recording: Recording, salt: str, ident: str) -> Recording:
    """The recording under the pseudonym `ident`: only its length, reason, source and licence name are left."""
    item = pseudonym(salt, recording.item_id)
    return Recording(
        item if recording.id == recording.item_id else ident,
        item,
        _scrubbed(recording.provenance, item),
        Licence(recording.licence.name, source=recording.licence.source),
        num_samples=recording.num_samples,
        rejection=replace(recording.rejection, detail="") if recording.rejection else None,
    )


def is_scrubbed(recording: Recording) -> bool:
    """Whether a recording was revoked and its content removed: only its length, source and licence are left."""
    return recording.provenance.url.startswith(REVOKED)


def refused(recording: Recording) -> Recording:
    """A scrubbed recording that no unit holds yet is rejected as `crawl.revoked`, so that it gets none; others are unchanged."""
    lives = is_scrubbed(recording) and recording.rejection is None
    return replace(recording, rejection=reject("crawl.revoked")) if lives else recording


def revoked_tile(recording_id: str, start: int, num_samples: int) -> Segment:
    """The one rejected segment that stands for a part of a revoked recording. `start` and `num_samples` are of the part."""
    key = segment_id(recording_id, start, start + num_samples)
    return Segment(key, recording_id, start, num_samples, rejection=reject("segment.revoked"))


def _scrubbed(origin: Provenance, ident: str) -> Provenance:
    return Provenance(origin.source, REVOKED + ident)

"""Proves that a folder of shards holds exactly what it should: ledger = commits = Parquet rows = tar members.

Each tar is read as a tar (by the standard library, not by our offsets), so an error in the offsets is found as well.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import soundfile

from voxmill.manifests.records import SAMPLE_RATE, Labels
from voxmill.manifests.schema import SchemaError, from_plain
from voxmill.manifests.storage import locate
from voxmill.sharding.layout import bucket_of_key, bucket_of_name, slug
from voxmill.sharding.sample import old_picture_name, pictures_name, read_document
from voxmill.sharding.shard_files import beside, commit_of, shard_files
from voxmill.sharding.sidecar import (
    PACK_AGAIN,
    Member,
    Place,
    ShardError,
    ShardSummary,
    read_commit,
    read_members,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExpectedSample:
    """What the ledger says of one selected segment."""

    key: str
    recording_id: str
    start: int
    num_samples: int
    split: str
    licence: str
    tier: str
    num_pictures: int | None = None
    is_new: bool = False
    """It was selected after shards were last packed: it may have to wait for the next time."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be, and what to do."""

    what: str
    """Stable name: `missing`, `extra`, `twice`, `differs`, `damaged`, `uncommitted`."""
    where: str
    """A file, or a key where no file holds it."""
    detail: str
    fix: str = PACK_AGAIN

    def __str__(self) -> str:
        return f"{self.what}: {self.where}: {self.detail}; {self.fix}"


@dataclass(slots=True)
class Verdict:
    """All problems, and what was counted on the way."""

    shards: int = 0
    samples: int = 0
    num_samples: int = 0
    """Audio samples at 16 kHz."""
    members: int = 0
    """Files in all tars."""
    tar_bytes: int = 0
    new: int = 0
    """Of what was selected after shards were last packed: how many are in shards."""
    waiting: int = 0
    """And how many are not."""
    samples_waiting: int = 0
    """Audio samples of these."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    @property
    def seconds(self) -> float:
        """Length of all samples in seconds."""
        return self.num_samples / SAMPLE_RATE


def verify_shards(root: str, expected: Iterable[tuple[int, Sequence[ExpectedSample]]] | None = None) -> Verdict:
    """Reads every byte under `root`, bucket after bucket, so that what is in memory is that of one.

    `expected` gives for each bucket that has any, in order, the samples that must be there; None leaves the ledger out.
    """
    verdict = Verdict()
    names: dict[int, set[str]] = {}
    for name, *_ in shard_files(root):
        names.setdefault(bucket_of_name(name), set()).add(name)
    if expected is None:
        for bucket in sorted(names):
            _verify_bucket(root, sorted(names[bucket]), None, verdict)
        return verdict
    for bucket, mine in _in_step(sorted(names), expected):
        _verify_bucket(root, sorted(names.get(bucket, ())), {one.key: one for one in mine}, verdict)
    return verdict


def _in_step(
    buckets: Sequence[int], expected: Iterable[tuple[int, Sequence[ExpectedSample]]]
) -> Iterator[tuple[int, Sequence[ExpectedSample]]]:
    """Every bucket that has shards or should have, in order."""
    waiting = list(reversed(buckets))
    for bucket, mine in expected:
        while waiting and waiting[-1] < bucket:
            yield waiting.pop(), ()
        if waiting and waiting[-1] == bucket:
            waiting.pop()
        yield bucket, mine
    while waiting:
        yield waiting.pop(), ()


def _verify_bucket(root: str, names: Sequence[str], expected: Mapping[str, ExpectedSample] | None, verdict: Verdict) -> None:
    seen: dict[str, str] = {}
    for name in names:
        try:
            shard = read_commit(root, name)
            if shard is None:
                verdict.problems.append(
                    Problem("uncommitted", beside(root, name), "files without a commit", "run `voxmill run` again")
                )
                continue
            rows = read_members(root, shard)
            verdict.problems += _check_counts(root, shard, rows)
            verdict.problems += _check_tar(root, shard, rows, verdict)
        except (ShardError, SchemaError) as error:
            verdict.problems.append(Problem("damaged", getattr(error, "file", name), getattr(error, "cause", str(error))))
            continue
        verdict.shards += 1
        verdict.samples += len(rows)
        verdict.num_samples += sum(row.num_samples for row in rows)
        for row in rows:
            if other := seen.get(row.key):
                verdict.problems.append(Problem("twice", row.key, f"in {other} and in {name}"))
            seen[row.key] = name
            if expected is not None:
                verdict.problems += _check_fact(row, name, expected.get(row.key))
    for key, one in sorted((expected or {}).items()):
        if one.is_new:
            verdict.new += key in seen
            verdict.waiting += key not in seen
            verdict.samples_waiting += 0 if key in seen else one.num_samples
        elif key not in seen:
            verdict.problems.append(Problem("missing", key, "selected, and in no committed shard", "run `voxmill run` again"))


def _check_counts(root: str, shard: ShardSummary, rows: list[Member]) -> Iterator[Problem]:
    counted = {
        "num_shard_samples": len(rows),
        "num_samples": sum(row.num_samples for row in rows),
        "num_recordings": len({row.recording_id for row in rows}),
    }
    for name, value in counted.items():
        if getattr(shard, name) != value:
            yield Problem(
                "differs", beside(root, commit_of(shard.name)), f"{name} is {getattr(shard, name)}, the rows say {value}"
            )
    for row in rows:
        place = (row.split, slug(row.licence), bucket_of_key(row.key, shard.buckets))
        if place != (shard.split, slug(shard.licence), shard.bucket):
            yield Problem("differs", row.key, f"belongs to {place} and lies in {shard.name}")


def _check_tar(root: str, shard: ShardSummary, rows: list[Member], verdict: Verdict) -> Iterator[Problem]:
    """One pass over the bytes: the digest of the whole, and every member against its row."""
    file = beside(root, shard.tar)
    want = {name: (row, place) for row in rows for name, place in _files(row, int(shard.packer))}
    empty = {pictures_name(row.key): row for row in rows if not row.pictures}
    names: list[str] = []
    fs, path = locate(file)
    try:
        with fs.open(path, "rb") as raw:
            source = _Hashing(raw)
            with tarfile.open(fileobj=source, mode="r|") as tar:  # type: ignore[call-overload]
                for info in tar:
                    names.append(info.name)
                    body = tar.extractfile(info)
                    blob = body.read() if body else b""
                    if info.name in empty and not blob:
                        continue
                    if info.name not in want:
                        yield Problem("extra", file, f"member {info.name} has no row in the sidecar")
                    elif fault := _member_fault(info, blob, *want[info.name]):
                        yield Problem("damaged", file, f"{info.name}: {fault}")
            source.drain()
    except FileNotFoundError:
        yield Problem("missing", file, "the shard is committed and its tar is not there")
        return
    except tarfile.TarError as error:
        yield Problem("damaged", file, f"not readable as a tar ({error})")
        return
    verdict.members += len(names)
    verdict.tar_bytes += source.num_bytes
    if source.sha256 != shard.tar_sha256:
        yield Problem("damaged", file, f"its sha256 is {source.sha256}, committed was {shard.tar_sha256}")
    for name in sorted(want.keys() - set(names)):
        yield Problem("missing", file, f"member {name} of the sidecar is not in the tar")
    for name, times in sorted(Counter(names).items()):
        if times > 1:
            yield Problem("twice", file, f"member {name} is there {times} times")


def _files(row: Member, packer: int) -> Iterator[tuple[str, Place]]:
    """The tar members of a sample, and where the sidecar says that they lie. An empty one for pictures may follow."""
    yield f"{row.key}.flac", Place(row.flac_offset, row.flac_size, row.audio_sha256)
    yield f"{row.key}.json", Place(row.json_offset, row.json_size, row.json_sha256)
    if packer < 3:
        yield from ((old_picture_name(row.key, index), place) for index, place in enumerate(row.pictures))
    elif row.pictures:
        yield pictures_name(row.key), Place(row.pictures[0].offset, sum(place.size for place in row.pictures), "")


def _member_fault(info: tarfile.TarInfo, blob: bytes, row: Member, place: Place) -> str | None:
    if (info.offset_data, info.size) != (place.offset, place.size):
        return f"lies at {info.offset_data}+{info.size}, the sidecar says {place.offset}+{place.size}"
    if info.name == pictures_name(row.key):
        return _picture_fault(blob, row)
    if hashlib.sha256(blob).hexdigest() != place.sha256:
        return "its digest differs from the sidecar's"
    if info.name.endswith(".jpg"):
        return None if blob.startswith(b"\xff\xd8") and blob.endswith(b"\xff\xd9") else "is no JPEG"
    if info.name.endswith(".flac"):
        head = soundfile.info(io.BytesIO(blob))
        return None if (head.frames, head.samplerate, head.channels) == (row.num_samples, SAMPLE_RATE, 1) else f"holds {head}"
    words = read_document(blob)
    seen = None if words.get("pictures") is None else [picture["sha256"] for picture in words["pictures"]]
    facts = (words["key"], words["num_samples"], words["text"], words["split"], words["licence"]["name"], seen)
    placed = None if row.num_pictures is None else [one.sha256 for one in row.pictures]
    wanted = (row.key, row.num_samples, row.text, row.split, row.licence, placed)
    if facts != wanted:
        return f"says {facts}, the sidecar {wanted}"
    if words["schema_version"] < 2:  # sidecars had no labels then
        return None
    labels = from_plain(words["labels"], Labels) if words["labels"] else None
    return None if labels == row.labels else "is labelled otherwise than the sidecar says"


def _picture_fault(blob: bytes, row: Member) -> str | None:
    at = 0
    for index, place in enumerate(row.pictures):
        picture = blob[at : at + place.size]
        if place.offset != row.pictures[0].offset + at:
            return f"picture {index} lies at {row.pictures[0].offset + at}, the sidecar says {place.offset}"
        if hashlib.sha256(picture).hexdigest() != place.sha256:
            return f"the digest of picture {index} differs from the sidecar's"
        if not (picture.startswith(b"\xff\xd8") and picture.endswith(b"\xff\xd9")):
            return f"picture {index} is no JPEG"
        at += place.size
    return None


def _check_fact(row: Member, shard: str, fact: ExpectedSample | None) -> Iterator[Problem]:
    if fact is None:
        yield Problem("extra", row.key, f"in shard {shard}, and not selected")
        return
    stored = ExpectedSample(
        row.key, row.recording_id, row.start, row.num_samples, row.split, row.licence, row.tier, row.num_pictures, fact.is_new
    )
    if stored != fact:
        yield Problem("differs", row.key, f"the shard has {stored}, the ledger {fact}")


class _Hashing:
    """Passes reads through and hashes them."""

    def __init__(self, raw: io.BufferedIOBase) -> None:
        self._raw, self._hasher, self.num_bytes = raw, hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        blob = self._raw.read(size)
        self._hasher.update(blob)
        self.num_bytes += len(blob)
        return blob

    def drain(self) -> None:
        while self.read(1 << 20):
            pass

    @property
    def sha256(self) -> str:
        return self._hasher.hexdigest()

"""Makes one shard: tar, then Parquet sidecar, then JSON sidecar, which is the commit. And removes those no longer wanted.

Whatever is interrupted, `pack_shard` run again gives the same bytes; a committed shard of the same inputs is left alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from voxmill.manifests.records import SAMPLE_RATE, Pictures, Recording
from voxmill.manifests.storage import commit_bytes, commit_file, locate, remove, staged, sweep
from voxmill.sharding import flac
from voxmill.sharding.layout import ShardPlan
from voxmill.sharding.sample import Entry, Sample, document_bytes, pictures_name
from voxmill.sharding.shard_files import METADATA, beside, commit_of, commits_of, remove_shard, shard_files, sidecar_of, tar_of
from voxmill.sharding.sidecar import (
    Member,
    Place,
    ShardError,
    ShardSummary,
    commit_document,
    members_document,
    read_commit,
)
from voxmill.sharding.tarball import TarSink

ReadAudio = Callable[[Recording, int, int], flac.Audio]
"""(recording, start, num_samples) -> exactly these samples at 16 kHz, shape (num_samples,)."""

ReadPictures = Callable[[Pictures], Sequence[bytes]]
"""The bytes of each of a segment's pictures, in order."""

MAX_RUN = 600 * SAMPLE_RATE
"""Samples of one recording that are decoded at once: bounds a worker's memory (38 MB of float32)."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What `pack_shard` did."""

    summary: ShardSummary
    fresh: bool
    """False where the committed shard was up to date and nothing was read or written."""


def pack_shard(
    plan: ShardPlan, samples: Iterable[Sample], read_audio: ReadAudio, root: str, read_pictures: ReadPictures | None = None
) -> Packed:
    """Writes one shard under `root`, a folder or an fsspec URL.

    `samples` may come in any order and may hold samples of other shards; it is not touched where nothing is to be done.
    `read_pictures` is needed where one has any. Raises ValueError where a planned sample is missing, its audio has another
    length, or a picture differs from its digest.
    """
    if old := up_to_date(plan, root):
        return Packed(old, fresh=False)
    _sweep(root, plan.name)
    for commit in commits_of(plan.name):
        remove(beside(root, commit))  # first: from here on the shard does not exist
    members, tar = _write_tar(plan, _by_key(plan, samples), read_audio, read_pictures, root)
    rows = members_document(members)
    commit_bytes(beside(root, sidecar_of(plan.name)), rows, replace=True)
    num_samples = sum(entry.num_samples for entry in plan.entries)
    summary = ShardSummary(
        name=plan.name,
        split=plan.split,
        licence=plan.licence,
        bucket=plan.bucket,
        buckets=plan.buckets,
        part=plan.part,
        generation=plan.generation,
        num_shard_samples=len(members),
        num_recordings=len({entry.recording_id for entry in plan.entries}),
        num_samples=num_samples,
        seconds=num_samples / SAMPLE_RATE,
        tar=tar_of(plan.name),
        tar_bytes=tar.num_bytes,
        tar_sha256=tar.sha256,
        parquet=sidecar_of(plan.name),
        parquet_bytes=len(rows),
        parquet_sha256=hashlib.sha256(rows).hexdigest(),
        input_digest=plan.digest,
    )
    commit_bytes(beside(root, commit_of(plan.name)), commit_document(summary), replace=True)
    return Packed(summary, fresh=True)


def up_to_date(plan: ShardPlan, root: str) -> ShardSummary | None:
    """The committed shard, where `pack_shard` would have nothing to do."""
    try:
        old = read_commit(root, plan.name)
    except ShardError:  # unreadable: packing again is the cure
        return None
    return old if old and old.input_digest == plan.digest and _files_are_there(root, old) else None


def prune(root: str, plans: Iterable[ShardPlan]) -> list[str]:
    """Removes the shards that no plan names, each commit first, and what killed writers left. Returns the removed files."""
    wanted = {plan.name for plan in plans}
    _sweep(root)
    files = shard_files(root)
    gone = [file for name in sorted({name for name, *_ in files} - wanted) for file in remove_shard(root, name)]
    kept = {file for name in wanted for file in (tar_of(name), sidecar_of(name), commit_of(name))}
    older = [file for name, _, file in files if name in wanted and file not in kept]
    return gone + [file for file in older if _is_replaced(root, file) and remove(beside(root, file))]


def _is_replaced(root: str, file: str) -> bool:
    """Whether a sidecar in the place of older packers has a newer one: a shard may have been packed by them and not again."""
    fs, path = locate(beside(root, f"{METADATA}/{file}"))
    return bool(fs.exists(path))


def _sweep(root: str, name: str = "") -> None:
    for folder in (root, beside(root, METADATA)):
        sweep(folder, name)


def _files_are_there(root: str, shard: ShardSummary) -> bool:
    for file, size in ((shard.tar, shard.tar_bytes), (shard.parquet, shard.parquet_bytes)):
        fs, path = locate(beside(root, file))
        try:
            if fs.info(path)["size"] != size:
                return False
        except FileNotFoundError:
            return False
    return True


def _by_key(plan: ShardPlan, samples: Iterable[Sample]) -> dict[str, Sample]:
    wanted = {entry.key for entry in plan.entries}
    found = {sample.key: sample for sample in samples if sample.key in wanted}
    if missing := wanted - found.keys():
        raise ValueError(
            f"shard {plan.name} was planned with {len(missing)} samples that were not given: {sorted(missing)[:3]}"
        )
    for entry in plan.entries:
        if found[entry.key].entry != entry:
            raise ValueError(f"sample {entry.key} is not the one that shard {plan.name} was planned with: plan again")
    return found


def _write_tar(
    plan: ShardPlan, samples: dict[str, Sample], read_audio: ReadAudio, read_pictures: ReadPictures | None, root: str
) -> tuple[list[Member], TarSink]:
    members = []
    uri = beside(root, tar_of(plan.name))
    with staged(uri) as temp:
        with TarSink(temp) as tar:
            for run in _runs(plan.entries):
                audio = _read_run(run, samples[run[0].key].recording, read_audio)
                for entry in run:
                    at = entry.start - run[0].start
                    sample = samples[entry.key]
                    jpegs = _read_jpegs(sample, read_pictures)
                    members.append(_add(tar, sample, audio[at : at + entry.num_samples], jpegs))
        commit_file(temp, uri, replace=True)
    return members, tar


def _runs(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Neighbours in one recording that are decoded together, so that a long file is not opened once per segment."""
    run: list[Entry] = []
    for entry in entries:
        end = entry.start + entry.num_samples
        if run and (entry.recording_id != run[0].recording_id or end - run[0].start > MAX_RUN):
            yield run
            run = []
        run.append(entry)
    yield run


def _read_run(run: list[Entry], recording: Recording, read_audio: ReadAudio) -> flac.Audio:
    start = run[0].start
    length = max(entry.start + entry.num_samples for entry in run) - start
    audio = read_audio(recording, start, length)
    if audio.shape != (length,):
        raise ValueError(f"recording {recording.id}: asked for {length} samples from {start}, got shape {audio.shape}")
    return audio


def _read_jpegs(sample: Sample, read_pictures: ReadPictures | None) -> Sequence[bytes]:
    if not sample.seen:
        return ()
    if sample.pictures is None or read_pictures is None:
        raise ValueError(f"sample {sample.key} has pictures and nothing to read them with: give `read_pictures`")
    blobs = read_pictures(sample.pictures)
    if [hashlib.sha256(blob).hexdigest() for blob in blobs] != [picture.sha256 for picture in sample.seen]:
        raise ValueError(f"sample {sample.key}: a picture in {sample.pictures.file} differs from its digest")
    return blobs


def _add_pictures(tar: TarSink, sample: Sample, jpegs: Sequence[bytes]) -> Iterator[Place]:
    """One member for all, also where there are none, so that all samples of a run have the same members."""
    if sample.pictures is not None:
        offset = tar.add(pictures_name(sample.key), b"".join(jpegs))
        for blob in jpegs:
            yield Place(offset, len(blob), hashlib.sha256(blob).hexdigest())
            offset += len(blob)


def _add(tar: TarSink, sample: Sample, audio: flac.Audio, jpegs: Sequence[bytes]) -> Member:
    """The FLAC first, then the JSON, then the pictures: the order of the members is part of the format."""
    flac_bytes, json_bytes = flac.encode(audio), document_bytes(sample)
    flac_offset, json_offset = tar.add(f"{sample.key}.flac", flac_bytes), tar.add(f"{sample.key}.json", json_bytes)
    pictures = tuple(_add_pictures(tar, sample, jpegs))
    return Member(
        key=sample.key,
        segment_id=sample.segment.id,
        recording_id=sample.recording.id,
        start=sample.segment.start,
        num_samples=sample.segment.num_samples,
        split=sample.selection.split,
        licence=sample.recording.licence.name,
        tier=sample.selection.tier,
        weight=sample.selection.weight,
        labels=sample.labels,
        text=sample.text,
        language=sample.consensus.language or sample.recording.language,
        agreement=sample.consensus.agreement,
        flac_offset=flac_offset,
        flac_size=len(flac_bytes),
        json_offset=json_offset,
        json_size=len(json_bytes),
        audio_sha256=hashlib.sha256(flac_bytes).hexdigest(),
        json_sha256=hashlib.sha256(json_bytes).hexdigest(),
        num_pictures=None if sample.seen is None else len(pictures),
        pictures=pictures,
    )

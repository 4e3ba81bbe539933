"""Audio of an export of addresses, made again from the originals of a run, and proven equal sample by sample."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voxmill.manifests.errors import UserError
from voxmill.manifests.records import Recording
from voxmill.manifests.storage import commit_bytes, exists, open_file
from voxmill.operators.decode.audio import AudioReader, Playback
from voxmill.pipeline.execution.worker import openable
from voxmill.pipeline.state.run import Run
from voxmill.sharding import flac
from voxmill.sharding.exports.url_lists import SAMPLES, pcm_of, pcm_sha256
from voxmill.sharding.shard_files import beside

OTHER, MISSING = "other audio than the export's", "its recording is not among the originals"


@dataclass(slots=True)
class Rebuilt:
    """What was made again."""

    samples: int = 0
    seconds: float = 0.0
    problems: dict[str, str] = field(default_factory=dict)
    """By key: why a sample could not be made, or not proven."""


def originals_of(run: Run) -> dict[str, str]:
    """Where the originals of a run's recordings can be opened, by their ids."""
    found = (openable(run, recording) for batch in run.listing.batches(Recording) for recording in batch)
    return {recording.id: recording.audio for recording in found if recording.audio}


def rebuild(export: str, originals: Mapping[str, str], out: str) -> Rebuilt:
    """Writes `OUT/KEY.flac` for each sample of one set of an export of addresses; what differs is not written.

    `originals` are found by their hash (the id of a recording), so that it does not matter where they were fetched. Raises UserError where `export` is no such set.
    """
    made, reader = Rebuilt(), None
    for row in _rows(export):
        uri = originals.get(row["recording_id"])
        if uri is None:
            made.problems[row["key"]] = MISSING
            continue
        how = _playback(uri, row["reading"])
        if reader is None or reader.source != how:
            reader = AudioReader(how)
        try:
            sound = _sound(reader, row)
        except (OSError, ValueError) as error:
            made.problems[row["key"]] = str(error)
            continue
        if sound is None:
            made.problems[row["key"]] = OTHER
            continue
        commit_bytes(beside(out, f"{row['key']}.flac"), sound, replace=True)
        made.samples += 1
        made.seconds += row["span"]["num_samples"] / 16_000
    return made


def _sound(reader: AudioReader, row: dict[str, Any]) -> bytes | None:
    """The FLAC file of a sample; None where its samples are others."""
    span = row["span"]
    audio = np.array(reader.read(span["start"], span["num_samples"]))
    for start, end in row["silent"]:
        audio[start:end] = 0
    sound = flac.encode(audio)
    return sound if pcm_sha256(pcm_of(sound)) == row["pcm_sha256"] else None


def _playback(uri: str, reading: dict[str, Any]) -> Playback:
    channels, apart = reading["channels"], reading["apart"]
    each = reading["num_samples"] // apart if apart else None
    return Playback(uri, reading["track"], tuple(channels) if channels else None, reading["dc"], reading["gain_db"], each)


def _rows(export: str) -> Iterator[dict[str, Any]]:
    file = beside(export, SAMPLES)
    if not exists(file):
        raise UserError(
            f"{export} holds no {SAMPLES}: give one folder of `voxmill export-data --to urls`, as in exports/urls/cc0-1_0/train"
        )
    with open_file(file) as lines:
        for line in lines:
            row = json.loads(line)
            if "pcm_sha256" not in row:
                raise UserError(f"{file} is not of `voxmill export-data --to urls`: give one of its folders")
            yield row

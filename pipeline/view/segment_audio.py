"""The sound of a segment, with what comes before and after it where the original is still there. Personal data stays silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from voxmill.manifests.errors import UserError
from voxmill.manifests.records import SAMPLE_RATE
from voxmill.manifests.storage import StoreError, exists
from voxmill.operators.decode.audio import Playback, read
from voxmill.pipeline.view.run_view import Row, RunView
from voxmill.sharding import flac
from voxmill.sharding.index import NoShards
from voxmill.sharding.reader import SampleReader
from voxmill.sharding.redacted import silenced
from voxmill.sharding.sidecar import ShardError

CONTEXT_S = 3.0
"""Seconds before and after a segment that can be heard as well."""
MOST_CONTEXT_S = 30.0
LONGEST_S = 300.0
"""No more of one segment is sent to a page."""

ORIGINAL, SHARD = "original", "shard"


def context_of(params: Mapping[str, str]) -> float:
    """Seconds of context that a question asks for: at most `MOST_CONTEXT_S`. Raises UserError."""
    try:
        return min(MOST_CONTEXT_S, max(0.0, float(params.get("context", CONTEXT_S))))
    except ValueError:
        raise UserError(f"context={params['context']}: a number of seconds is wanted") from None


def audio_of(view: RunView, span: Row, context_s: float = CONTEXT_S) -> Row:
    """Where a segment can be heard: `source` (`original`, `shard` or None and `why`), the first sample and the length of the clip."""
    start, length = span["start"], span["num_samples"]
    nothing = {"source": None, "start": start, "num_samples": 0}
    if (
        span["speech"]
        and (silent := _silent(view, span["recording_id"], start, start + length))
        and (start, start + length) in silent
    ):
        return nothing | {"why": "it has, or may have, personal data: nothing says where"}
    playback, num_samples = _original(view, span["recording_id"])
    if playback is not None:
        first = max(0, start - round(context_s * SAMPLE_RATE))
        last = min(num_samples, start + min(length, round(LONGEST_S * SAMPLE_RATE)) + round(context_s * SAMPLE_RATE))
        stretches = [list(one) for one in _silent(view, span["recording_id"], first, last)]
        return {"source": ORIGINAL, "start": first, "num_samples": last - first, "silent": stretches}
    if view.about(span, "samples", "key"):
        return {"source": SHARD, "start": start, "num_samples": length, "silent": []}
    return nothing | {"why": "its original is not there any more, and it is in no shard"}


def audio(view: RunView, span: Row, place: Row) -> bytes:
    """The clip that `audio_of` found, as FLAC. Raises UserError where there is none, or it cannot be read."""
    if place["source"] is None:
        raise UserError(f"no sound of {span['segment_id']}: {place['why']}")
    if place["source"] == SHARD:
        try:
            return flac.encode(SampleReader(view.run.shards_dir, pictures=False)[span["segment_id"]].audio)
        except (KeyError, ShardError, NoShards) as error:
            raise UserError(f"no sound of {span['segment_id']}: {error}") from None
    playback, _ = _original(view, span["recording_id"])
    if playback is None:
        raise UserError(f"no sound of {span['segment_id']}: its original is not there any more")
    try:
        sound = read(playback, place["start"], place["num_samples"])
    except (OSError, ValueError, StoreError) as error:
        raise UserError(f"no sound of {span['segment_id']}: the original cannot be read ({type(error).__name__})") from None
    sound = silenced(
        sound, place["start"], _silent(view, span["recording_id"], place["start"], place["start"] + place["num_samples"])
    )
    return flac.encode(np.ascontiguousarray(sound))


def _original(view: RunView, recording_id: str) -> tuple[Playback | None, int]:
    """How the original of a recording is read, and its length; None where it is gone."""
    rows = view.ask(
        "SELECT audio, track, channels, dc, gain_db, apart, num_samples FROM recordings WHERE id = ? AND rejection IS NULL LIMIT 1",
        [recording_id],
    )
    if not rows or not rows[0]["audio"]:
        return None, 0
    row = rows[0]
    uri = row["audio"] if "://" in row["audio"] or row["audio"].startswith("/") else view.run.uri(row["audio"])
    if not exists(uri):
        return None, 0
    channels, each = row["channels"], row["num_samples"] // row["apart"] if row["apart"] else None
    return Playback(uri, row["track"], tuple(channels) if channels else None, row["dc"], row["gain_db"], each), row[
        "num_samples"
    ]


def _silent(view: RunView, recording_id: str, first: int, last: int) -> Sequence[tuple[int, int]]:
    """Stretches of a recording, in its samples, that nobody may hear: what is masked, and speech that was not searched."""
    if not view.redacts:
        return []
    rows = view.ask(
        """
        SELECT t.start, t.num_samples, t.kept, t.speech, d.segment_id IS NULL OR (len(d.masked) = 0 AND d.text <> coalesce(c.text, '')) AS unsearched,
            d.masked
        FROM spans AS t LEFT JOIN redactions AS d USING (segment_id) LEFT JOIN consensus AS c USING (segment_id)
        WHERE t.recording_id = ? AND t.start < ? AND t.start + t.num_samples > ? AND t.speech ORDER BY t.start
        """,
        [recording_id, last, first],
    )
    found: list[tuple[int, int]] = []
    for row in rows:
        masks = row["masked"] or []
        if (row["unsearched"] and not row["kept"]) or any(one["start"] is None for one in masks):
            found.append((row["start"], row["start"] + row["num_samples"]))
        else:
            found += [(one["start"], one["end"]) for one in masks]
    return found

"""The stage `frames`: a few pictures of every segment, as JPEGs in one file per stretch of a recording.

Records refer to the pictures by file, offset and digest. A broken video is an outcome of this stage alone: the audio goes on.
Without this stage in the config no video stream is ever opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from av.video.frame import VideoFrame
from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import SAMPLE_RATE, Picture, Pictures, Recording, Segment
from voxmill.manifests.storage import commit_bytes
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.container import Undecodable
from voxmill.operators.frames.video import Unwatchable, Video, jpeg, open_video, pictures_at


class FramesConfig(Settings):
    """Which pictures of a video are kept with a segment."""

    per_segment: int = Field(default=8, ge=1, le=1000)
    """Pictures per segment, evenly spaced; with `fps` set, the most."""
    fps: float | None = Field(default=None, gt=0, le=100)
    """Pictures per second instead; `per_segment` is then the most per segment."""
    size: int = Field(default=224, ge=16, le=4096)
    """Shorter side of a stored picture (pixels); smaller ones stay as they are. 224 is what CLIP looks at."""
    quality: int = Field(default=3, ge=2, le=31)
    """JPEG quality on libavcodec's scale: 2 is best, 31 worst."""
    max_pixels: int = Field(default=7680 * 4320, ge=1)
    """A video with larger pictures is `frames.too_large`: it bounds a worker's memory (6 bytes a pixel)."""


@dataclass(slots=True)
class _File:
    """Concatenated JPEGs."""

    blobs: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, blob: bytes) -> int:
        offset = self.size
        self.blobs.append(blob)
        self.size += len(blob)
        return offset


class TakePictures:
    """One `Pictures` for each segment, in order. Recordings are opened once for each stretch of neighbouring segments."""

    def __init__(self, config: FramesConfig, folder: str) -> None:
        """`folder`: where the files of JPEGs go, named by their sha256."""
        self.config, self.folder = config, folder

    def __call__(self, work: UnitInput) -> list[Pictures]:
        by_segment: dict[str, Pictures] = {}
        stretches: dict[str, list[Segment]] = {}
        for segment in work.segments:
            stretches.setdefault(segment.recording_id, []).append(segment)
        for recording_id, segments in stretches.items():
            recording = work.recording(recording_id)
            if recording.audio is None:
                raise ValueError(f"recording {recording_id} has no audio")
            by_segment |= {row.segment_id: row for row in self._stretch(recording, segments)}
        return [by_segment[segment.id] for segment in work.segments]

    def _stretch(self, recording: Recording, segments: Sequence[Segment]) -> list[Pictures]:
        each = recording.num_samples // recording.apart if recording.apart else None
        try:
            with open_video(str(recording.audio), self.config.max_pixels, recording.track) as video:
                return list(self._take(video, segments, each))
        except Undecodable as error:
            reason = error.reason if isinstance(error, Unwatchable) else "frames.corrupt"
            return [Pictures(segment.id, rejection=reject(reason, error.detail)) for segment in segments]

    def _take(self, video: Video, segments: Sequence[Segment], each: int | None) -> Iterator[Pictures]:
        """`each`: length of the file in samples, where the recording is its channels one after the other."""
        wanted = [(position, segment.id) for segment in segments for position in self._positions(segment)]
        wanted.sort(key=lambda one: (one[0] % each if each else one[0], one))
        found: dict[str, list[Picture]] = {segment.id: [] for segment in segments}
        file = _File()
        last: tuple[VideoFrame, Picture] | None = None
        for index, frame in pictures_at(
            video, [(position % each if each else position) / SAMPLE_RATE for position, _ in wanted]
        ):
            position, key = wanted[index]
            if last is not None and last[0] is frame and found[key] and found[key][-1] == last[1]:
                continue  # a slow video shows the same picture at two moments of a segment: once is enough
            blob, width, height = jpeg(frame, self.config.size, self.config.quality)
            picture = Picture(position, width, height, file.add(blob), len(blob), hashlib.sha256(blob).hexdigest())
            found[key].append(picture)
            last = frame, picture
        uri = self._commit(file) if file.size else None
        for segment in segments:
            if found[segment.id]:
                yield Pictures(segment.id, tuple(found[segment.id]), uri)
            elif video.failures:
                yield Pictures(segment.id, rejection=reject("frames.corrupt", f"nothing to see, {video.failures} errors"))
            else:
                yield Pictures(segment.id)

    def _positions(self, segment: Segment) -> list[int]:
        """Samples of the recording: the middles of equal parts of the segment."""
        count = self.config.per_segment
        if self.config.fps is not None:
            count = max(1, min(count, int(segment.seconds * self.config.fps)))
        return [segment.start + (2 * index + 1) * segment.num_samples // (2 * count) for index in range(count)]

    def _commit(self, file: _File) -> str:
        blob = b"".join(file.blobs)
        uri = f"{self.folder.rstrip('/')}/{hashlib.sha256(blob).hexdigest()}.mjpeg"
        commit_bytes(uri, blob)
        return uri

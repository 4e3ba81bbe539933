"""The stage `decode`: one pass over each fetched file tells how long it is, what it is, and whether it is audio at all."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from pydantic import Field

from voxmill.manifests.reasons import reject
from voxmill.manifests.records import SAMPLE_RATE, Recording, Rejection
from voxmill.manifests.settings import Settings
from voxmill.operators.decode.audio import blocks
from voxmill.operators.decode.bandwidth import BandwidthConfig, Spectrum, bandwidth, cutoff_hz
from voxmill.operators.decode.media import DECODER, Media, open_media
from voxmill.operators.engines import Audio
from voxmill.operators.media import Undecodable
from voxmill.operators.work import Work


class DecodeConfig(Settings):
    """What a file must hold to be taken as a recording."""

    min_seconds: float = Field(default=1.0, ge=0)
    """A shorter recording is `decode.too_short` (s)."""
    max_seconds: float = Field(default=24 * 3600.0, gt=0)
    """A longer recording is `crawl.too_long` (s); decoding stops there."""
    max_expansion: float = Field(default=0.02, gt=0)
    """More decoded seconds than this per byte of the file is `decode.bomb` (s/B). Speech at 5 kbit/s has 0.0016."""
    expansion_grace: float = Field(default=600.0, ge=0)
    """So much audio is never a bomb (s): digital silence, which FLAC stores in 0.02 s/B and more, may be honest."""
    bandwidth: BandwidthConfig = BandwidthConfig()


class Decode:
    """Fills in what only decoding tells. A recording that arrives with a rejection passes unchanged."""

    def __init__(self, config: DecodeConfig) -> None:
        self.config = config

    def __call__(self, work: Work) -> list[Recording]:
        return [recording if recording.rejection else self._probe(recording) for recording in work.recordings]

    def _probe(self, recording: Recording) -> Recording:
        if recording.audio is None:
            raise ValueError(f"recording {recording.id} has neither audio nor a rejection")
        try:
            with open_media(recording.audio) as media:
                return self._measure(recording, media)
        except Undecodable as error:
            return replace(recording, rejection=reject(error.reason, error.detail))

    def _measure(self, recording: Recording, media: Media) -> Recording:
        measured = _Measured()
        rejection = self._too_much(measured, media) or self._too_little(measured, media)
        cutoff = None if rejection else cutoff_hz(measured.spectrum.histogram, self.config.bandwidth)
        return replace(
            recording,
            num_samples=measured.num_samples,
            sampling_rate=media.codec.sample_rate or None,
            num_channels=media.codec.channels or None,
            codec=media.codec.codec.canonical_name,
            container=media.container_name,
            bandwidth=bandwidth(cutoff, self.config.bandwidth),
            cutoff_hz=cutoff,
            pcm_sha256=None if rejection else measured.hasher.hexdigest(),
            rejection=rejection,
            lost_samples=media.lost.num_samples,
            silent_samples=min(media.lost.silent_samples, measured.num_samples),
            lost_why=media.lost.why,
        )

    def _too_much(self, measured: _Measured, media: Media) -> Rejection | None:
        """Runs through the audio to its end, or until it is clear that there is too much of it."""
        config = self.config
        allowed = max(config.expansion_grace, config.max_expansion * media.num_bytes)
        for block in blocks(media):
            measured.add(block)
            seconds = measured.num_samples / SAMPLE_RATE
            if seconds > config.max_seconds:
                return reject("crawl.too_long", f"more than {config.max_seconds:g} s")
            if seconds > allowed:
                return reject("decode.bomb", f"more than {allowed:g} s in {media.num_bytes} bytes")
        return None

    def _too_little(self, measured: _Measured, media: Media) -> Rejection | None:
        seconds = measured.num_samples / SAMPLE_RATE
        if seconds >= self.config.min_seconds and seconds > 0:
            return None
        if media.lost.failures:
            return reject("decode.corrupt", f"{seconds:.3f} s before or between {media.lost.failures} errors")
        return reject("decode.too_short", f"{seconds:.3f} s") if seconds else reject("decode.empty", "no samples")


class _Measured:
    """What accumulates over the blocks of one recording."""

    def __init__(self) -> None:
        self.num_samples = 0
        self.spectrum = Spectrum()
        self.hasher = hashlib.sha256(DECODER.encode() + b"\0")

    def add(self, block: Audio) -> None:
        self.num_samples += len(block)
        self.spectrum.add(block)
        scaled = np.rint(block * np.float32(32768))
        self.hasher.update(np.clip(scaled, -32768, 32767, out=scaled).astype("<i2"))

"""The stage `decode`: one pass over each fetched file measures its length, format and channels, and how to play it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import SAMPLE_RATE, Recording, Rejection
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.audio_stream import MediaFile, open_media
from voxmill.operators.decode.bandwidth import BandwidthConfig, bandwidth, cutoff_hz
from voxmill.operators.decode.channel_mix import LIVELY, ChannelMix, ChannelStats
from voxmill.operators.decode.container import Undecodable
from voxmill.operators.decode.given_spans import settle_spans
from voxmill.operators.decode.loudness import LevelConfig, gain_db
from voxmill.operators.decode.packets import decode_frames
from voxmill.operators.decode.resample import split_channels
from voxmill.operators.decode.tracks import choose_track, language_contradicts


class DecodeConfig(Settings):
    """Limits that a file must meet to be taken as a recording."""

    min_seconds: float = Field(default=1.0, ge=0)
    """A shorter recording is `decode.too_short` (s)."""
    max_seconds: float = Field(default=24 * 3600.0, gt=0)
    """A longer recording is `crawl.too_long` (s); decoding stops there."""
    max_expansion: float = Field(default=0.02, gt=0)
    """More decoded seconds than this per byte of the file is `decode.bomb` (s/B). Speech at 5 kbit/s has 0.0016."""
    expansion_grace: float = Field(default=600.0, ge=0)
    """Audio up to this long is never a bomb (s): FLAC stores digital silence in 0.02 s/B and more."""
    max_given_seconds: float = Field(default=120.0, gt=0)
    """A longer span that a corpus names is `decode.given_too_long` (s): it is more than one unit of hearing."""
    bandwidth: BandwidthConfig = BandwidthConfig()
    level: LevelConfig = LevelConfig()


Mix = Literal["choose", "mix", "split"]
"""What becomes of the channels of a source: the best by measurement, always their mean, or different talkers kept apart."""


class Decode:
    """Fills in what only decoding tells: length, format, channels, level. A rejected recording passes unchanged."""

    def __init__(self, config: DecodeConfig, channels: Mapping[str, Mix] | None = None) -> None:
        """`channels`: how channels are mixed, by name of the source (`choose_track` if absent)."""
        self.config, self._channels = config, channels or {}

    def __call__(self, work: UnitInput) -> list[Recording]:
        return [recording if recording.rejection else self._probe(recording) for recording in work.recordings]

    def _probe(self, recording: Recording) -> Recording:
        if recording.audio is None:
            raise ValueError(f"recording {recording.id} has neither audio nor a rejection")
        try:
            with open_media(recording.audio, choose=partial(choose_track, language=recording.language)) as media:
                return self._measure(recording, media)
        except Undecodable as error:
            return replace(recording, rejection=reject(error.reason, error.detail))

    def _measure(self, recording: Recording, media: MediaFile) -> Recording:
        measured = _Measured()
        rejection = self._too_much(measured, media) or self._too_little(measured, media)
        if recording.lost_samples:
            media.lost.never_came(recording.lost_samples, recording.lost_why or "not fetched")
        if recording.promised_samples and (rejection is None or rejection.reason in ("decode.too_short", "decode.empty")):
            media.lost.promise(recording.promised_samples, measured.num_samples)
        several = len(media.tracks) > 1
        found = replace(
            recording,
            num_samples=measured.num_samples,
            sampling_rate=media.codec.sample_rate or None,
            num_channels=media.codec.channels or None,
            codec=media.codec.codec.canonical_name,
            container=media.container_name,
            track=media.track,
            tracks=tuple(map(str, media.tracks)) if several else None,
            rejection=rejection,
            lost_samples=media.lost.num_samples,
            silent_samples=min(media.lost.silent_samples, measured.num_samples),
            lost_why=media.lost.why,
        )
        if media.track and language_contradicts(media.tracks, media.track, recording.language):
            found = replace(found, language=None)  # the language of the source is that of another stream
        return found if rejection else self._settled(self._heard(found, measured))

    def _settled(self, found: Recording) -> Recording:
        """With the spans that a corpus names as they can be heard."""
        if found.given is None:
            return found
        longest = round(self.config.max_given_seconds * SAMPLE_RATE)
        return replace(found, given=settle_spans(found.given, found.num_samples, longest))

    def _heard(self, found: Recording, measured: _Measured) -> Recording:
        """The recording with its playback, by its most frequent channel layout; stretches with another one play the mean."""
        main = max(measured.layouts.values(), key=lambda one: one.num_samples)
        wanted = self._channels.get(found.provenance.source)
        choice = main.choose(split=wanted == "split" and found.given is None)
        if wanted == "mix":
            choice = ChannelMix(None, main.count, choice.turns)
        cutoff = cutoff_hz(main.histogram(choice), self.config.bandwidth)
        heard = main.heard(choice)
        times = choice.apart or 1
        return replace(
            found,
            num_samples=found.num_samples * times,
            lost_samples=found.lost_samples * times,
            silent_samples=found.silent_samples * times,
            bandwidth=bandwidth(cutoff, self.config.bandwidth),
            cutoff_hz=cutoff,
            pcm_sha256=measured.digest(main, choice),
            channels=choice.weights,
            turns=choice.turns,
            apart=choice.apart,
            dc=heard.dc,
            gain_db=gain_db(heard.active, heard.peak, heard.contrast >= LIVELY, self.config.level),
        )

    def _too_much(self, measured: _Measured, media: MediaFile) -> Rejection | None:
        """Measures the audio to its end, or until it exceeds a limit."""
        config = self.config
        allowed = max(config.expansion_grace, config.max_expansion * media.num_bytes)
        for names, block in split_channels(decode_frames(media)):
            measured.add(names, block)
            seconds = measured.num_samples / SAMPLE_RATE
            if seconds > config.max_seconds:
                return reject("crawl.too_long", f"more than {config.max_seconds:g} s")
            if seconds > allowed:
                return reject("decode.bomb", f"more than {allowed:g} s in {media.num_bytes} bytes")
        return None

    def _too_little(self, measured: _Measured, media: MediaFile) -> Rejection | None:
        seconds = measured.num_samples / SAMPLE_RATE
        if seconds >= self.config.min_seconds and seconds > 0:
            return None
        if media.lost.failures:
            return reject("decode.corrupt", f"{seconds:.3f} s before or between {media.lost.failures} errors")
        return reject("decode.too_short", f"{seconds:.3f} s") if seconds else reject("decode.empty", "no samples")


class _Measured:
    """Statistics of one recording by number of channels, which broadcasts change between programmes."""

    def __init__(self) -> None:
        self.num_samples = 0
        self.layouts: dict[int, ChannelStats] = {}

    def add(self, names: tuple[str, ...], block: NDArray[np.float32]) -> None:
        self.num_samples += len(block)
        if len(names) not in self.layouts:
            self.layouts[len(names)] = ChannelStats(names)
        self.layouts[len(names)].add(np.ascontiguousarray(block.T))

    def digest(self, main: ChannelStats, choice: ChannelMix) -> str:
        heard = choice.weights, choice.apart
        if len(self.layouts) == 1:
            return main.digest(*heard)
        parts = [one.digest(*heard if one is main else (None, None)) for _, one in sorted(self.layouts.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

"""Decoded frames of any rate, format and layout to 16 kHz mono float32, by one libswresample chain.

Mono is the weighted sum of the recording's `Playback`; without weights, or while the stream has another number of channels, the
mean of all channels, whatever the layout claims (libswresample's own rule weighs by position, gives the sum of two channels +3 dB
for float input and 0 dB for integers, and refuses unknown layouts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import gcd

import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph
from numpy.typing import NDArray

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Audio
from voxmill.operators.decode.container import Undecodable
from voxmill.operators.decode.packets import FramePosition, length_16k

MOST_WAITING = 1 << 21
"""Most samples of all channels that wait before the chain runs."""


MOST_APART = 16
"""With more channels than this, only their mean is used."""


def resample(
    frames: Iterable[tuple[FramePosition, AudioFrame]], start: int = 0, weights: Sequence[float] | None = None
) -> Iterator[Audio]:
    """Arrays of at most a second, from sample `start` (at 16 kHz) of the timeline on.

    `frames` are without gaps, from before `start` on. The output grid is that of the timeline, wherever the frames begin: input is
    dropped up to the next sample that falls on an output sample. A new run starts a new chain. Whatever libswresample makes of a
    run's end, a run is as long as its samples say (`length_16k`), so that places in it and after it can be counted without decoding.
    """
    for _, audio in _resample(frames, start, lambda channels: _mono(channels, weights)):
        yield audio[:, 0]


def split_channels(frames: Iterable[tuple[FramePosition, AudioFrame]]) -> Iterator[tuple[tuple[str, ...], NDArray[np.float32]]]:
    """Channel names and blocks of all channels side by side, shape (samples, channels), each as `resample` gives it alone.

    Of more than `MOST_APART` channels the mean, under one empty name. Raises Undecodable.
    """
    return _resample(frames, 0, lambda channels: _mono(channels, None) if channels > MOST_APART else "")


def _resample(
    frames: Iterable[tuple[FramePosition, AudioFrame]], start: int, mix: Callable[[int], str]
) -> Iterator[tuple[tuple[str, ...], NDArray[np.float32]]]:
    """`mix`: what `pan` is to make of so many channels."""
    chain: _Chain | None = None
    run = place = ahead = 0
    """`ahead`: samples from `run` to the end of the last frame, at its rate."""
    for (base, position), frame in frames:
        shape = (frame.sample_rate, frame.format.name, frame.layout.name)
        if chain is None or chain.shape != shape or run != base:
            if chain is not None:
                for audio in chain.finish(run + length_16k(ahead, chain.shape[0]) - place):
                    yield chain.names, audio[max(0, start - place) :]
                    place += len(audio)
            trim = -position % _grid(frame.sample_rate)
            run, place = base, base + (position + trim) * SAMPLE_RATE // frame.sample_rate
            chain = _chain(frame, trim, mix(frame.layout.nb_channels))
        ahead = position + frame.samples
        for audio in chain.push(frame):
            yield chain.names, audio[max(0, start - place) :]
            place += len(audio)
    if chain is not None:
        for audio in chain.finish(run + length_16k(ahead, chain.shape[0]) - place):
            yield chain.names, audio[max(0, start - place) :]
            place += len(audio)


def _mono(channels: int, weights: Sequence[float] | None) -> str:
    """The argument of libavfilter's `pan`; empty for a single channel with weight 1.

    >>> _mono(2, None), _mono(3, (1.0, 0.0, -0.5)), _mono(2, (1.0, 0.0, -0.5)), _mono(1, None)
    ('mono|c0=0.5*c0+0.5*c1', 'mono|c0=1.0*c0-0.5*c2', 'mono|c0=0.5*c0+0.5*c1', '')
    """
    if weights is None or len(weights) != channels:
        weights = [1 / channels] * channels
    if weights == [1.0] or tuple(weights) == (1.0,):
        return ""
    return "mono|c0=" + "".join(f"{w:+}*c{c}" for c, w in enumerate(weights) if w).lstrip("+")


def _grid(rate: int) -> int:
    """Every so many input samples, one falls on an output sample: 441 at 44.1 kHz, 3 at 48 kHz, 1 at 8 and 16 kHz."""
    return rate // gcd(rate, SAMPLE_RATE)


def _chain(frame: AudioFrame, trim: int, pan: str) -> _Chain:
    try:
        return _Chain(frame, trim, pan)
    except (av.error.FFmpegError, ValueError) as error:
        shape = f"{frame.sample_rate} Hz, {frame.format.name}, {frame.layout.name}"
        raise Undecodable("decode.corrupt", f"cannot be resampled: {shape}") from error


class _Chain:
    """abuffer → float → drop the first `trim` samples → channels to one, where `pan` says how → 16 kHz → arrays of a second."""

    def __init__(self, like: AudioFrame, trim: int, pan: str) -> None:
        rate, sample_format, layout = self.shape = (like.sample_rate, like.format.name, like.layout.name)
        self.names = ("",) if pan else tuple(channel.name for channel in like.layout.channels)
        self.graph = Graph()
        self.graph.threads = 1
        add = self.graph.add
        source = {"sample_rate": str(rate), "sample_fmt": sample_format, "channel_layout": layout, "time_base": f"1/{rate}"}
        nodes = [add("abuffer", **source), add("aformat", sample_fmts="fltp")]
        if trim:
            nodes.append(add("atrim", start_sample=str(trim)))
        if pan:
            nodes.append(add("pan", pan))
        nodes.append(add("aresample", sample_rate=str(SAMPLE_RATE)))
        nodes.append(add("aformat", sample_fmts="flt", sample_rates=str(SAMPLE_RATE)))
        nodes.append(add("abuffersink"))
        self.graph.link_nodes(*nodes)
        self.graph.configure()
        self.graph.set_audio_frame_size(SAMPLE_RATE)
        self.waiting = 0

    def push(self, frame: AudioFrame) -> Iterable[NDArray[np.float32]]:
        """Queues the frame; the chain runs once a second of input waits, so that small frames cost little."""
        frame.pts = None
        try:
            self.graph.push(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise Undecodable("decode.corrupt", f"cannot be resampled: {error}") from error
        self.waiting += frame.samples
        if self.waiting < min(frame.sample_rate, MOST_WAITING // frame.layout.nb_channels):
            return ()
        self.waiting = 0
        return self._pull()

    def finish(self, samples: int) -> Iterator[NDArray[np.float32]]:
        """Exactly so many more samples: the rest of the chain, cut or padded with zeros."""
        self.graph.push(None)
        for audio in self._pull():
            audio = audio[: max(0, samples)]
            yield audio
            samples -= len(audio)
        if samples > 0:
            yield np.zeros((samples, len(self.names)), np.float32)

    def _pull(self) -> Iterator[NDArray[np.float32]]:
        while True:
            try:
                frame = self.graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            audio = frame.to_ndarray().reshape(-1, len(self.names)).astype(np.float32, copy=False)
            yield audio if np.isfinite(audio).all() else np.nan_to_num(audio, nan=0.0, posinf=1.0, neginf=-1.0)

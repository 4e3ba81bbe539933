"""Decoded frames of any rate, format and layout to 16 kHz mono float32, by one libswresample chain.

Mono is the mean of all channels, whatever the layout claims (libswresample's own rule weighs by position, leaves the sum of two
channels at +3 dB for float input and at 0 dB for integers, and refuses layouts that it does not know).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import gcd

import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.decode.frames import Place, length
from voxmill.operators.engines import Audio
from voxmill.operators.media import Undecodable

MOST_WAITING = 1 << 21
"""Samples of all channels that may wait for the chain to run."""


def resample(frames: Iterable[tuple[Place, AudioFrame]], start: int = 0) -> Iterator[Audio]:
    """Arrays of at most a second, from sample `start` (at 16 kHz) of the timeline on.

    `frames` are without gaps, from before `start` on. The output grid is that of the timeline, wherever the frames begin: input is
    dropped up to the next sample that falls on an output sample. A new run starts a new chain. Whatever libswresample makes of a
    run's end, a run is as long as its samples say (`length`), so that places in it and after it can be counted without decoding.
    """
    chain: _Chain | None = None
    run = place = end = 0
    for (base, position), frame in frames:
        shape = (frame.sample_rate, frame.format.name, frame.layout.name)
        if chain is None or chain.shape != shape or run != base:
            for audio in chain.finish(end - place) if chain else ():
                yield audio[max(0, start - place) :]
                place += len(audio)
            trim = -position % _grid(frame.sample_rate)
            run, place = base, base + (position + trim) * SAMPLE_RATE // frame.sample_rate
            chain = _chain(frame, trim)
        end = base + length(position + frame.samples, frame.sample_rate)
        for audio in chain.push(frame):
            yield audio[max(0, start - place) :]
            place += len(audio)
    for audio in chain.finish(end - place) if chain else ():
        yield audio[max(0, start - place) :]
        place += len(audio)


def _grid(rate: int) -> int:
    """Every so many input samples, one falls on an output sample: 441 at 44.1 kHz, 3 at 48 kHz, 1 at 8 and 16 kHz."""
    return rate // gcd(rate, SAMPLE_RATE)


def _chain(frame: AudioFrame, trim: int) -> _Chain:
    try:
        return _Chain(frame, trim)
    except (av.error.FFmpegError, ValueError) as error:
        shape = f"{frame.sample_rate} Hz, {frame.format.name}, {frame.layout.name}"
        raise Undecodable("decode.corrupt", f"cannot be resampled: {shape}") from error


class _Chain:
    """abuffer → float → drop the first `trim` samples → mean of channels → 16 kHz → arrays of a second."""

    def __init__(self, like: AudioFrame, trim: int) -> None:
        rate, sample_format, layout = self.shape = (like.sample_rate, like.format.name, like.layout.name)
        channels = len(like.layout.channels)
        self.graph = Graph()
        self.graph.threads = 1
        add = self.graph.add
        source = {"sample_rate": str(rate), "sample_fmt": sample_format, "channel_layout": layout, "time_base": f"1/{rate}"}
        nodes = [add("abuffer", **source), add("aformat", sample_fmts="fltp")]
        if trim:
            nodes.append(add("atrim", start_sample=str(trim)))
        if channels > 1:
            nodes.append(add("pan", "mono|c0=" + "+".join(f"{1 / channels!r}*c{channel}" for channel in range(channels))))
        nodes.append(add("aresample", sample_rate=str(SAMPLE_RATE)))
        nodes.append(add("aformat", sample_fmts="flt", sample_rates=str(SAMPLE_RATE), channel_layouts="mono"))
        nodes.append(add("abuffersink"))
        self.graph.link_nodes(*nodes)
        self.graph.configure()
        self.graph.set_audio_frame_size(SAMPLE_RATE)
        self.waiting = 0

    def push(self, frame: AudioFrame) -> Iterator[Audio]:
        """Queues the frame; the chain runs once a second of input waits, so that small frames cost little."""
        frame.pts = None
        try:
            self.graph.push(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise Undecodable("decode.corrupt", f"cannot be resampled: {error}") from error
        self.waiting += frame.samples
        if self.waiting >= min(frame.sample_rate, MOST_WAITING // len(frame.layout.channels)):
            self.waiting = 0
            yield from self._pull()

    def finish(self, samples: int) -> Iterator[Audio]:
        """So many more, whatever is left in the chain."""
        self.graph.push(None)
        for audio in self._pull():
            audio = audio[: max(0, samples)]
            yield audio
            samples -= len(audio)
        if samples > 0:
            yield np.zeros(samples, np.float32)

    def _pull(self) -> Iterator[Audio]:
        while True:
            try:
                frame = self.graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield frame.to_ndarray()[0].astype(np.float32, copy=False)

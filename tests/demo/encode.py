"""Samples to the file formats that the web uses, with PyAV, and the same bytes every time."""

from __future__ import annotations

from pathlib import Path

from speech.waves import RATE, Pcm


def encode(
    path: Path,
    samples: Pcm,
    codec: str,
    *,
    rate: int = RATE,
    bit_rate: int | None = None,
    tags: dict[str, str] | None = None,
    container: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Writes `path`; the container follows its suffix unless named. `rate` is the file's, in Hz."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    # bitexact: no random stream serials (ogg) and no creation times (mp4)
    with av.open(str(path), "w", format=container, options={"fflags": "+bitexact", **(options or {})}) as out:
        out.metadata.update(tags or {})
        stream = out.add_stream(codec, rate=rate, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        for block in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(block))
        out.mux(stream.encode(None))
    return path


def encode_hls(playlist: Path, samples: Pcm, seconds: int = 6) -> Path:
    """An on-demand HTTP Live Stream: `playlist` and AAC segments of about `seconds` beside it."""
    segments = str(playlist.parent / f"{playlist.stem}-%03d.ts")
    options = {"hls_time": str(seconds), "hls_playlist_type": "vod", "hls_segment_filename": segments}
    return encode(playlist, samples, "aac", bit_rate=64_000, container="hls", options=options)

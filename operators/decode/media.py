"""A media file and the sound in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream

from voxmill.operators.media import OpenFile, Undecodable, only, open_container

_libraries = av.library_versions
DECODER = "1 " + " ".join(
    name + ".".join(map(str, _libraries[name])) for name in ("libavformat", "libavcodec", "libswresample") if name in _libraries
)
"""Version of the samples that decoding yields: ours (bump it when they change) and those of the libraries."""


@dataclass(slots=True)
class Media(OpenFile):
    """An open file and the one audio stream of it that is used."""

    stream: AudioStream

    @property
    def codec(self) -> AudioCodecContext:
        return self.stream.codec_context


@contextmanager
def open_media(uri: str) -> Iterator[Media]:
    """Raises Undecodable; errors of the storage (OSError and the file system's own) pass."""
    with open_container(uri) as (container, size):
        yield Media(container, size, only(container, AudioStream, Undecodable, "decode.not_audio"))

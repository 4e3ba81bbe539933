"""Opening a media file that nobody vouches for: by its content alone, through a file object, and never by a URL.

libavformat would follow what a file points to (playlists, `concat` scripts, `file:` and `http:` references), believe a file
name's suffix, and try formats that execute descriptions. So it is given an anonymous file object, a list of plain containers,
no protocols, and an opener that refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Literal, TypeVar, cast

import av
import av.error
import fsspec
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream

CONTAINERS = (
    "wav w64 aiff caf au voc flac mp3 aac loas ac3 eac3 dts amr ape tta tak wv mpc mpc8 dsf "
    "ogg mov matroska mpegts mpeg flv avi asf rm"
)
"""The libavformat demuxers that may open a file. Playlists, image sequences and scripts are not among them."""

MAGIC = (b"RIFF", b"RF64", b"FORM", b"fLaC", b"OggS", b"ID3", b"\x1aE\xdf\xa3", b"\x30\x26\xb2\x75", b"FLV", b"caff", b"wvpk")
"""How files of audio begin: one that begins so and cannot be opened is broken, any other is no audio."""

BUFFER = 1 << 16
"""Bytes that libavformat asks the file object for at a time."""

S = TypeVar("S", AudioStream, VideoStream)


class Undecodable(Exception):
    """The file does not give what is wanted of it; `reason` is one of `decode.*`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(slots=True)
class OpenFile:
    """A container that is being read."""

    container: InputContainer
    num_bytes: int
    failures: int = field(default=0, kw_only=True)
    """How often decoding or reading has failed so far; what could be decoded is kept."""

    @property
    def container_name(self) -> str:
        """Short name of the format. libavformat lists aliases: `mov,mp4,m4a,3gp,3g2,mj2` is `mp4` here."""
        aliases = self.container.format.name.split(",")
        return "mp4" if "mp4" in aliases else aliases[0]


def open_bytes(uri: str) -> IO[bytes]:
    """A local path (of any bytes, as `os.fsdecode` gives it) or any fsspec URL. Raises OSError."""
    if "://" in uri:
        return cast(IO[bytes], fsspec.open(uri, "rb").open())
    return open(uri, "rb")


@contextmanager
def open_container(uri: str) -> Iterator[tuple[InputContainer, int]]:
    """The file with all its streams, and its size in bytes.

    Raises Undecodable where it is no media at all; errors of the storage (OSError and the file system's own) pass.
    """
    with open_bytes(uri) as raw:
        head = raw.read(16)
        if not head:
            raise Undecodable("decode.empty", "zero bytes")
        size = raw.seek(0, 2)
        raw.seek(0)
        try:
            container = av.open(
                _Anonymous(raw),
                "r",
                options={"format_whitelist": CONTAINERS.replace(" ", ","), "protocol_whitelist": "none"},
                metadata_errors="replace",
                buffer_size=BUFFER,
                io_open=_refuse,
            )
        except av.error.FFmpegError as error:
            known = head.startswith(MAGIC) or head[4:8] == b"ftyp"
            raise Undecodable("decode.corrupt" if known else "decode.not_audio", _words(error)) from error
        with container:
            yield container, size


def only(container: InputContainer, kind: type[S], missing: type[Undecodable], reason: str) -> S:
    """The stream of that kind that libavformat calls best; nothing else of the file is read from now on.

    Raises `missing` with that reason where there is none, or none that can be decoded.
    """
    name: Literal["audio", "video"] = "audio" if kind is AudioStream else "video"
    stream = container.streams.best(name)
    if not isinstance(stream, kind):
        raise missing(reason, f"no {name} stream in {container.format.name}")
    if stream.codec_context is None:
        raise missing(reason, f"no decoder for the {name} stream in {container.format.name}")
    for other in container.streams:
        other.discard = Discard.default if other is stream else Discard.all
    stream.codec_context.thread_count = 1
    return stream


class _Anonymous:
    """The file without its name, so that only the bytes decide what it is."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.read, self.seek, self.tell = raw.read, raw.seek, raw.tell


def _refuse(url: str, flags: int, options: dict[str, str]) -> Any:
    raise Undecodable("decode.not_audio", f"the file refers to {url[:200]!r}")


def _words(error: av.error.FFmpegError) -> str:
    return f"{type(error).__name__}: {error.strerror}"

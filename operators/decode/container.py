"""Opens untrusted media files: by content alone, through a file object, never by URL.

libavformat would follow references inside a file (playlists, `concat` scripts, `file:` and `http:` URLs), trust the suffix of its
name, and try formats that execute descriptions. So it gets an anonymous file object (`byte_source.py`), a list of plain
containers, no protocols, and an opener that returns nothing. A few telephony formats have no signature: only where nothing else
fits does a suffix such as `.g722` decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any, Literal, TypeVar, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from voxmill.manifests.storage import open_file
from voxmill.operators.decode.byte_source import Broken, ByteSource, Undecodable
from voxmill.operators.decode.telephony_formats import OPTIONS, RAW, raw_suffix

__all__ = ["OpenFile", "Undecodable", "only_stream", "open_bytes", "open_container", "open_source"]

CONTAINERS = (
    "wav w64 aiff caf au voc flac mp3 aac loas ac3 eac3 dts dtshd truehd mlp amr amrnb amrwb ape tta tak wv mpc mpc8 dsf wsd "
    "nistsphere shn gsm qcp ircam sox pvf avr dss ilbc iff wve xwma oma qoa osq bonk rka wavarc "
    "ogg mov matroska mpegts mpeg flv avi asf rm nut mxf gxf swf dv wtv pva adx spdif epaf mmf nsp"
)
"""The libavformat demuxers that may open a file. Playlists, image sequences and scripts are not among them."""

MAGIC = (
    b"RIFF", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b"ID3", b"\x1aE\xdf\xa3", b"\x30\x26\xb2\x75", b"FLV", b"caff", b"wvpk",
    b"NIST_1A", b"ajkg", b"Creative Voice", b".snd", b"#!AMR",
)  # fmt: skip
"""Signatures of audio files: one with such a start that cannot be opened is `decode.corrupt`, any other is `decode.not_audio`."""

FAR = 1 << 26
"""Bytes searched for streams where the first few megabytes list no audio; held in memory."""

BUFFER = 1 << 16
"""Bytes that libavformat asks the file object for at a time."""

S = TypeVar("S", AudioStream, VideoStream)


@dataclass(slots=True)
class OpenFile:
    """A container being read."""

    container: InputContainer
    source: ByteSource

    @property
    def container_name(self) -> str:
        """Short name of the format. libavformat lists aliases: `mov,mp4,m4a,3gp,3g2,mj2` is `mp4` here."""
        aliases = self.container.format.name.split(",")
        return "mp4" if "mp4" in aliases else aliases[0]


def open_bytes(uri: str) -> IO[bytes]:
    """Opens a local path (any bytes, as `os.fsdecode` gives them) or an fsspec URL. Raises OSError."""
    if "://" in uri:
        return cast(IO[bytes], open_file(uri))
    return open(uri, "rb")


@contextmanager
def open_container(uri: str) -> Iterator[tuple[InputContainer, ByteSource]]:
    """Opens a whole file: its container with all streams, and the source that libavformat reads.

    Raises Undecodable where it is no media; errors of the storage (OSError and those of the file system) pass through.
    """
    with open_bytes(uri) as raw, open_source(ByteSource(raw, 0, raw.seek(0, 2)), uri) as both:
        yield both


@contextmanager
def open_source(source: ByteSource, uri: str = "", far: bool = False) -> Iterator[tuple[InputContainer, ByteSource]]:
    """Opens one stretch of a file; see `open_container`. Only the suffix of `uri` is used, and only where the content does not tell.

    `far` searches `FAR` bytes for streams: some containers do not list streams that start later.
    """
    head = source.look(0, 16)
    if not head:
        raise Undecodable("decode.empty", "zero bytes")
    referred: list[str] = []

    def nothing(url: str, flags: int, options: dict[str, str]) -> Any:
        referred.append(url)
        return BytesIO()

    def attempt(form: str | None) -> InputContainer:
        source.seek(0)
        with source:
            container: InputContainer = av.open(
                cast(Any, source),
                "r",
                format=form,
                options={
                    "format_whitelist": f"{CONTAINERS} {form or ''}".strip().replace(" ", ","),
                    "protocol_whitelist": "none",
                    **OPTIONS.get(form or "", {}),
                    **({"probesize": str(FAR), "analyzeduration": "3600000000"} if far else {}),
                },
                metadata_errors="replace",
                buffer_size=BUFFER,
                io_open=nothing,
            )
        return container

    try:
        container = attempt(None)
    except Broken as error:
        if head.startswith(MAGIC) or head[4:8] == b"ftyp":
            raise Undecodable("decode.corrupt", str(error)) from error
        suffix = raw_suffix(uri)
        if suffix is None:
            raise Undecodable("decode.not_audio", str(error)) from error
        form = RAW[suffix]
        try:
            container = attempt(form)
        except Broken as again:
            raise Undecodable("decode.not_audio", f"not {form} either: {again}") from again
    with container:
        if referred:
            raise Undecodable("decode.not_audio", f"the file refers to {referred[0][:200]!r}")
        yield container, source


def only_stream(
    container: InputContainer, kind: type[S], missing: type[Undecodable], reason: str, chosen: S | None = None
) -> S:
    """The chosen stream, or libavformat's best one of that kind; all other streams are discarded from now on.

    Raises `missing(reason, …)` where there is none, or no decoder for it.
    """
    name: Literal["audio", "video"] = "audio" if kind is AudioStream else "video"
    stream = chosen or container.streams.best(name)
    if not isinstance(stream, kind):
        raise missing(reason, f"no {name} stream in {container.format.name}")
    if stream.codec_context is None:
        raise missing(reason, f"no decoder for the {name} stream in {container.format.name}")
    for other in container.streams:
        other.discard = Discard.default if other is stream else Discard.all
    stream.codec_context.thread_count = 1
    return stream

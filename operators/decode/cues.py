"""Subtitles and captions of a media file: in the file itself, or in a `.vtt` or `.srt` file beside it. libavformat reads all of them."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import av
from av.container import InputContainer
from av.stream import Discard
from av.subtitles.stream import SubtitleStream

from voxmill.operators.contract.languages import primary
from voxmill.operators.decode.byte_source import Broken, ByteSource, Undecodable
from voxmill.operators.decode.container import open_container

FORMATS = {"vtt": "webvtt", "srt": "srt"}
"""Suffixes of files of captions, and libavformat's names of their formats."""

LARGEST = 1 << 24
"""Largest file of captions that is read (bytes)."""
TEXTUAL = ("subrip", "srt", "webvtt", "mov_text", "ass", "ssa", "text")
"""Codecs of captions that are text; others are pictures."""

_TAGS = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_LANGUAGES = {"eng": "en", "ger": "de", "deu": "de", "fre": "fr", "fra": "fr", "spa": "es", "ita": "it", "chi": "zh", "zho": "zh", "por": "pt", "rus": "ru", "jpn": "ja", "kor": "ko", "dut": "nl", "nld": "nl"}  # fmt: skip
"""Three-letter codes as media files have them."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A line of captions and when it is shown, in seconds from the first sample of the audio."""

    start: float
    end: float
    text: str


def read_cues(uri: str, language: str | None) -> list[Cue]:
    """The cues of a media file in order of time, without markup and without lines that only repeat the one before.

    Of several tracks that in the `language`, else the first. A file beside it is looked at where the media has none. Empty where there
    are no captions, or none that can be read; errors of the storage pass through.
    """
    found = _inside(uri, language) or _beside(uri, language)
    return list(_once(sorted(found, key=lambda cue: (cue.start, cue.end))))


def _inside(uri: str, language: str | None) -> list[Cue]:
    try:
        with open_container(uri) as (container, source):
            tracks = [one for one in container.streams.subtitles if one.codec_context and one.codec_context.name in TEXTUAL]
            if not tracks:
                return []
            chosen = next((one for one in tracks if language and _code(one.language) == primary(language)), tracks[0])
            audio = container.streams.best("audio")
            begins = float(audio.start_time * audio.time_base) if audio and audio.start_time and audio.time_base else 0.0
            return [replace(cue, start=cue.start - begins, end=cue.end - begins) for cue in _cues(container, chosen, source)]
    except (Undecodable, Broken):
        return []


def _beside(uri: str, language: str | None) -> list[Cue]:
    """Of `talk.vtt`, `talk.srt`, `talk.en.vtt` or `talk.en.srt` beside `talk.mp4` on this machine."""
    if "://" in uri:
        return []
    stem = os.path.splitext(uri)[0]
    middles = ("", f".{language}", f".{primary(language)}") if language else ("",)
    for suffix, form in FORMATS.items():
        for path in dict.fromkeys(f"{stem}{middle}.{suffix}" for middle in middles):
            if os.path.isfile(path) and os.path.getsize(path) <= LARGEST:
                with open(path, "rb") as file:
                    return _of_text(file.read(), form)
    return []


def _of_text(blob: bytes, form: str) -> list[Cue]:
    """The cues of a file of captions. What is not UTF-8 in it becomes U+FFFD."""
    plain = blob.decode("utf-8-sig", "replace").encode()
    source = ByteSource(BytesIO(plain), 0, len(plain))
    try:
        with source:
            options = {"format_whitelist": form, "protocol_whitelist": "none"}
            container = av.open(source, "r", format=form, options=options)
        with container:
            return list(_cues(container, container.streams.subtitles[0], source)) if container.streams.subtitles else []
    except Broken:
        return []


def _cues(container: InputContainer, track: SubtitleStream, source: ByteSource) -> Iterator[Cue]:
    for other in container.streams:
        other.discard = Discard.default if other is track else Discard.all
    packets = container.demux(track)
    while True:
        try:
            with source:
                packet = next(packets, None)
        except Broken:
            return
        if packet is None:
            return
        if packet.pts is None or packet.duration is None or packet.time_base is None:
            continue
        start, length = float(packet.pts * packet.time_base), float(packet.duration * packet.time_base)
        text = _text(bytes(packet), track.codec_context.name)
        if text and length > 0:
            yield Cue(start, start + length, text)


def _text(payload: bytes, codec: str) -> str:
    """The words of a packet, line by line."""
    if codec == "mov_text":  # two bytes of length, the text, then styles
        payload = payload[2 : 2 + int.from_bytes(payload[:2], "big")]
    text = payload.decode("utf-8", "replace")
    if codec in ("ass", "ssa"):  # eight fields before the text
        text = text.split(",", 8)[-1].replace("\\N", "\n").replace("\\n", "\n")
    lines = (" ".join(html.unescape(_TAGS.sub("", line)).split()) for line in text.replace("\0", "").splitlines())
    return "\n".join(line for line in lines if line)


def _once(cues: Sequence[Cue]) -> Iterator[Cue]:
    """Captions that roll up show a line again while the next one comes: each line counts when it is first shown."""
    before: list[str] = []
    for cue in cues:
        lines = cue.text.split("\n")
        fresh = lines
        for count in range(min(len(before), len(lines)), 0, -1):
            if before[-count:] == lines[:count]:
                fresh = lines[count:]
                break
        before = lines
        if fresh:
            yield replace(cue, text=" ".join(fresh))


def _code(language: str | None) -> str | None:
    return _LANGUAGES.get(language, language) if language else None

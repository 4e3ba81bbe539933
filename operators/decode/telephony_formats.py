"""Telephony formats without a signature: only the suffix of the file name or the Content-Type identifies them."""

from __future__ import annotations

RAW = {
    "g722": "g722", "722": "g722", "gsm": "gsm", "sln": "sln", "g729": "g729", "tco": "g723_1", "rco": "g723_1",
    "ul": "mulaw", "ulaw": "mulaw", "mulaw": "mulaw", "al": "alaw", "alaw": "alaw",
}  # fmt: skip
"""Suffixes, and the libavformat demuxers that read such files."""

OPTIONS = {"mulaw": {"sample_rate": "8000"}, "alaw": {"sample_rate": "8000"}}
"""Options of these demuxers: the sampling rate of telephony."""


def raw_suffix(name: str, content_type: str | None = None) -> str | None:
    """The suffix of such a format, from the suffix of a name or from a Content-Type.

    >>> raw_suffix("call.G722"), raw_suffix("call", "audio/gsm; rate=8000"), raw_suffix("call.mp3", "audio/mpeg")
    ('g722', 'gsm', None)
    """
    for said in (name.rpartition(".")[2], (content_type or "").partition(";")[0].rpartition("/")[2].strip()):
        if said.lower() in RAW:
            return said.lower()
    return None

"""The small real web site of `make demo`: real speech in a page, a podcast feed, a stream and plain files, and what goes wrong.

    python tests/demo/site.py serve DIR --port 8700 --log requests.jsonl

| address              | what                                                              |
|----------------------|-------------------------------------------------------------------|
| /talks/switch.html   | a page with an Opus recording and one that robots.txt disallows   |
| /podcast.xml         | a feed of two mp3 episodes                                        |
| /radio/evening.m3u8  | an HTTP Live Stream in AAC segments                               |
| /files/reading.flac  | a reading, CC0                                                    |
| /mirror/reading.flac | the same bytes again                                              |
| /files/market.mp3    | speech in a growing crowd                                         |
| /files/telephone.wav | eight thousand samples a second, mu-law                           |
| /files/silence.ogg   | silence                                                           |
| /files/broken.m4a    | a file cut off before its index                                   |
| /private/members.mp3 | disallowed                                                        |
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # also hides this folder, whose `site` is not Python's

import numpy as np

from demo.encode import encode, encode_hls
from demo.pages import ROBOTS, Episode, feed, talk_page
from demo.recordings import Recordings, recordings
from demo.server import Served, serve
from speech.cache import made_once
from speech.packaged import TWO_CITIES
from speech.waves import RATE, Pcm

__all__ = ["SOURCES", "Served", "Source", "build", "serve"]


@dataclass(frozen=True, slots=True)
class Source:
    """An address to crawl. `licence` is None where the site itself states it; `outcome` is the reason that it should end with."""

    kind: str
    path: str
    licence: str | None = None
    outcome: str | None = None


SOURCES = (
    Source("page", "/talks/switch.html"),
    Source("feed", "/podcast.xml"),
    Source("playlist", "/radio/evening.m3u8", "cc-by-sa-3.0"),
    Source("url", "/files/reading.flac", "cc0-1.0"),
    Source("url", "/mirror/reading.flac", "cc0-1.0", "crawl.duplicate"),
    Source("url", "/files/market.mp3", "cc-by-sa-3.0"),
    Source("url", "/files/telephone.wav", "cc-by-sa-3.0"),
    Source("url", "/files/silence.ogg", "cc0-1.0", "segment.no_speech"),
    Source("url", "/files/broken.m4a", "cc0-1.0", "decode.corrupt"),
)
DISALLOWED = "/private/members.mp3"
VERSION = 2
"""Raise it with any change of what is built, so that nobody serves an older site."""


def build(directory: Path) -> Path:
    """Writes the site into a folder of `directory`, where it is not there yet, and returns that folder: the root to serve.

    `site.json` in it lists what was built.
    """
    return made_once(directory.resolve() / f"v{VERSION}", lambda work: _write(work, recordings()))


def _write(root: Path, said: Recordings) -> None:
    tags = {"artist": said.attribution, "copyright": said.licence}
    encode(root / "talks/switch.ogg", said.talk, "libopus", bit_rate=32_000, tags={"title": "A switch of your own", **tags})
    encode(root / DISALLOWED.lstrip("/"), said.members, "libmp3lame", bit_rate=48_000)
    page = talk_page("A switch of your own", "switch.ogg", DISALLOWED, said.licence, said.attribution)
    _text(root / "talks/switch.html", page)

    episodes = []
    for number, (title, samples) in enumerate(zip(("The conference", "After the tone"), said.episodes, strict=True), 1):
        file = encode(root / f"episodes/{number}.mp3", samples, "libmp3lame", bit_rate=48_000, tags={"title": title, **tags})
        episodes.append(Episode(title, f"/episodes/{number}.mp3", file.stat().st_size, len(samples) // RATE, said.licence))
    _text(root / "podcast.xml", feed("On the line", "/talks/switch.html", said.attribution, episodes))

    (root / "radio").mkdir()
    encode_hls(root / "radio/evening.m3u8", said.radio)

    reading = encode(root / "files/reading.flac", said.reading, "flac", tags={"title": "A Tale of Two Cities"})
    (root / "mirror").mkdir()
    (root / "mirror/reading.flac").write_bytes(reading.read_bytes())
    encode(root / "files/market.mp3", said.market, "libmp3lame", bit_rate=64_000)
    encode(root / "files/telephone.wav", said.telephone, "pcm_mulaw", rate=8_000)
    encode(root / "files/silence.ogg", np.zeros(12 * RATE, np.int16), "libopus", bit_rate=16_000)
    broken = encode(root / "files/broken.m4a", said.reading[: 10 * RATE], "aac", bit_rate=64_000)
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])  # its index was at the end

    _text(root / "robots.txt", ROBOTS)
    _text(
        root / "index.html", '<!doctype html><title>On the line</title><a href="talks/switch.html">A switch of your own</a>\n'
    )
    lengths: dict[str, Pcm] = {
        "/talks/switch.ogg": said.talk,
        **{episode.path: samples for episode, samples in zip(episodes, said.episodes, strict=True)},
        "/radio/evening.m3u8": said.radio,
        "/files/reading.flac": said.reading,
        "/files/market.mp3": said.market,
        "/files/telephone.wav": said.telephone,
    }
    listing = {
        "note": said.note,
        "attribution": sorted({said.attribution, TWO_CITIES.attribution}),
        "disallowed": DISALLOWED,
        "seconds": {path: round(len(samples) / RATE, 3) for path, samples in lengths.items()},
        "sources": [asdict(source) for source in SOURCES],
    }
    _text(root / "site.json", json.dumps(listing, indent=1) + "\n")


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="write the site's files")
    serving = commands.add_parser("serve", help="write them where missing, and serve them on 127.0.0.1 until stopped")
    for command in (building, serving):
        command.add_argument("directory", type=Path)
    serving.add_argument("--port", type=int, default=0, help="0 takes a free one")
    serving.add_argument("--log", type=Path, help="a JSON line for each request is appended here")
    args = parser.parse_args()
    root = build(args.directory)
    note = json.loads((root / "site.json").read_text(encoding="utf8"))["note"]
    if note:
        print(f"note: {note}", flush=True)
    if args.command == "build":
        print(root)
        return
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    with serve(root, args.port, args.log) as served:
        print(served.url, flush=True)
        stop.wait()


if __name__ == "__main__":
    main()

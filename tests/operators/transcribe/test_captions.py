"""Captions beside a file and in it, their offset, and the words that each segment gets."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from voxmill.manifests.records import Licence, Part, Provenance, Recording, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.cues import Cue, read_cues
from voxmill.operators.transcribe.caption_times import caption_offset, words_by_segment
from voxmill.operators.transcribe.captions import CaptionsConfig, CaptionTranscripts

S = 16_000
SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Hello</i> there &amp; welcome.

2
00:00:04,000 --> 00:00:05,000
{\\an8}- How are
you?
"""
VTT = """WEBVTT

NOTE nothing to show

00:01.000 --> 00:02.500 align:start
<v Anna>Hello</v> there &amp; welcome.

00:04.000 --> 00:05.000
- How are
you?
"""
CUES = [Cue(1.0, 2.5, "Hello there & welcome."), Cue(4.0, 5.0, "- How are you?")]


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "talk.wav", np.zeros(6 * S, np.float32), S)
    return tmp_path / "talk.wav"


@pytest.mark.parametrize(
    ("name", "text"), [("talk.srt", SRT), ("talk.vtt", VTT), ("talk.en.vtt", VTT), ("talk.srt", "\ufeff" + SRT)]
)
def test_captions_beside_the_file(name: str, text: str, wav: Path) -> None:
    (wav.parent / name).write_text(text, encoding="utf8")
    assert read_cues(str(wav), "en-US") == CUES
    other = wav.rename(wav.with_name("other.wav"))
    assert read_cues(str(other), "en") == []


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "subrip"), ("mkv", "ass"), ("mp4", "mov_text"), ("webm", "webvtt")])
def test_captions_in_the_file(suffix: str, codec: str, wav: Path) -> None:
    """Made by ffmpeg, two languages; another player's times count from the same moment."""
    (wav.parent / "a.srt").write_text(SRT)
    (wav.parent / "b.srt").write_text(SRT.replace("Hello", "Hallo"))
    out = wav.parent / f"film.{suffix}"
    sound = "libopus" if suffix == "webm" else "aac"
    command = ["ffmpeg", "-v", "error", "-i", str(wav), "-i", "b.srt", "-i", "a.srt", "-map", "0", "-map", "1", "-map", "2"]
    command += ["-c:a", sound, "-c:s", codec, "-metadata:s:s:0", "language=ger", "-metadata:s:s:1", "language=eng", str(out)]
    try:
        made = subprocess.run(command, cwd=wav.parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("ffmpeg is not installed")
    if made.returncode:
        pytest.skip(f"this ffmpeg cannot make it: {made.stderr[-200:]}")
    english, german = read_cues(str(out), "en"), read_cues(str(out), "de")
    assert [cue.text.removeprefix("- ") for cue in english] == ["Hello there & welcome.", "How are you?"]
    assert german[0].text == "Hallo there & welcome."
    assert [cue.start for cue in english] == pytest.approx([1, 4], abs=0.1)  # an encoder may shift all by its padding
    assert [cue.end for cue in english] == pytest.approx([2.5, 5], abs=0.1)


def test_what_is_no_captions_has_none(wav: Path) -> None:
    assert read_cues(str(wav), None) == []
    (wav.parent / "talk.vtt").write_bytes(b"\xff\xfe\x00nonsense" * 1000)
    assert read_cues(str(wav), None) == []
    (wav.parent / "not.mp4").write_bytes(b"nothing that a player knows")
    assert read_cues(str(wav.parent / "not.mp4"), None) == []


def test_lines_that_roll_up_count_once(wav: Path) -> None:
    rows = [("one two", 0), ("one two\nthree four", 1), ("three four\nfive", 2), ("six", 3)]
    cues = "".join(f"00:0{at}.000 --> 00:0{at + 1}.000\n{text}\n\n" for text, at in rows)
    (wav.parent / "talk.vtt").write_text(f"WEBVTT\n\n{cues}")
    assert [cue.text for cue in read_cues(str(wav), None)] == ["one two", "three four", "five", "six"]


def segments(*spans: tuple[float, float]) -> list[Segment]:
    return [Segment(f"s{n}", "r" * 64, round(a * S), round((b - a) * S)) for n, (a, b) in enumerate(spans)]


SPEECH = [(2.0, 5.0), (7.0, 8.5), (11.0, 16.0), (20.0, 23.0), (27.0, 29.0), (34.0, 38.0)]


@given(st.integers(-80, 80))
def test_the_offset_is_found(tenths: int) -> None:
    late = tenths / 10
    cues = [Cue(start - late, end - late, "words") for start, end in SPEECH]
    assert caption_offset(cues, segments(*SPEECH)) == pytest.approx(late, abs=0.11)


def test_no_offset_without_evidence() -> None:
    assert caption_offset([Cue(0, 3, "one"), Cue(4, 6, "two")], segments(*SPEECH)) == 0
    assert caption_offset([Cue(n, n + 1, "all the time") for n in range(60)], segments((0, 60))) == 0
    assert caption_offset([Cue(1, 2, "x")] * 5, []) == 0


def test_words_go_to_the_segment_that_they_are_spoken_in() -> None:
    cues = [Cue(1, 5, "one two three four"), Cue(8, 9, "lost"), Cue(10, 12, "我们 走 吧 ok then")]
    found = words_by_segment(cues, segments((0, 3), (3, 6), (10, 13)), 0.0)
    assert found == {"s0": "one two", "s1": "three four", "s2": "我们走吧 ok then"}
    assert words_by_segment(cues[:1], segments((0, 3), (3, 6)), 2.2) == {"s1": "one two three"}


def test_the_engine_states_its_offset_and_abstains_without_captions(wav: Path) -> None:
    cues = "".join(
        f"00:{int(a - 1):02d}.000 --> 00:{int(b - 1):02d}.000\nspoken at {a:.0f}\n\n" for a, b in SPEECH if b % 1 == 0
    )
    (wav.parent / "talk.vtt").write_text(f"WEBVTT\n\n{cues}")
    of = Recording("r" * 64, "i", Provenance("s", str(wav)), Licence(), audio=str(wav), num_samples=40 * S, language="en")
    mine = segments(*SPEECH)
    engine = CaptionTranscripts(CaptionsConfig())
    work = UnitInput("u", recordings=(of,), parts=(Part(of.id, 0, of.num_samples),), segments=tuple(mine))
    rows = engine(work)
    assert [row.segment_id for row in rows] == [one.id for one in mine]
    assert (rows[0].text, rows[0].model, rows[0].language) == ("spoken at 2", "captions+1.0s", "en")
    assert (rows[1].text, rows[1].rejection and rows[1].rejection.reason) == ("", "transcribe.not_given")
    (wav.parent / "talk.vtt").unlink()
    assert {row.rejection and row.rejection.reason for row in CaptionTranscripts(CaptionsConfig())(work)} == {
        "transcribe.not_given"
    }


def test_pyav_reads_captions_here() -> None:
    assert {"subrip", "webvtt", "mov_text"} <= set(av.codecs_available)

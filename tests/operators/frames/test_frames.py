from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np
import pytest

from films import film, second_of
from voxmill.manifests.records import SAMPLE_RATE, Licence, Pictures, Provenance, Recording, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.audio import read
from voxmill.operators.frames.frames import FramesConfig, TakePictures
from voxmill.operators.frames.video import fitted_size

SOUND = (0.1 * np.random.default_rng(0).standard_normal(16 * SAMPLE_RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "a.mp4", SOUND)


def take(path: Path, folder: Path, *spans: tuple[float, float], **config: object) -> list[Pictures]:
    recording = Recording("r" * 64, "i", Provenance("s", "u"), Licence(), audio=str(path), num_samples=len(SOUND))
    segments = tuple(
        Segment(f"r-{i}", recording.id, int(start * SAMPLE_RATE), int((end - start) * SAMPLE_RATE))
        for i, (start, end) in enumerate(spans)
    )
    operator = TakePictures(FramesConfig.model_validate({"per_segment": 4, **config}), str(folder))
    return operator(UnitInput("u", recordings=(recording,), segments=segments))


def blobs(row: Pictures) -> list[bytes]:
    assert row.file is not None
    whole = Path(row.file).read_bytes()
    assert Path(row.file).stem == hashlib.sha256(whole).hexdigest()
    found = [whole[p.offset : p.offset + p.num_bytes] for p in row.pictures]
    assert [hashlib.sha256(blob).hexdigest() for blob in found] == [p.sha256 for p in row.pictures]
    return found


def test_pictures_show_the_moment_that_they_are_of(movie: Path, tmp_path: Path) -> None:
    rows = take(movie, tmp_path, (0, 4), (5, 9), (10.2, 15.8))
    assert [row.segment_id for row in rows] == ["r-0", "r-1", "r-2"]
    for row in rows:
        assert (row.rejection, len(row.pictures)) == (None, 4)
        for picture, blob in zip(row.pictures, blobs(row), strict=True):
            assert second_of(blob) == pytest.approx(int(picture.position / SAMPLE_RATE), abs=0.3)


def test_a_stretch_that_begins_late_shows_the_same(movie: Path, tmp_path: Path) -> None:
    """It is sought, not decoded from the start."""
    [late] = take(movie, tmp_path, (12, 16))
    assert [round(second_of(blob)) for blob in blobs(late)] == [12, 13, 14, 15]


def test_the_same_film_gives_the_same_bytes(movie: Path, tmp_path: Path) -> None:
    assert take(movie, tmp_path / "a", (0, 4))[0].pictures == take(movie, tmp_path / "b", (0, 4))[0].pictures
    assert len(list((tmp_path / "a").iterdir())) == 1


def test_pictures_by_the_second(movie: Path, tmp_path: Path) -> None:
    rows = take(movie, tmp_path, (0, 4), (4, 4.5), fps=0.5)
    assert [len(row.pictures) for row in rows] == [2, 1]
    assert len(take(movie, tmp_path, (0, 4), fps=2)[0].pictures) == 4  # per_segment is the most


def test_a_slow_film_shows_a_picture_once(tmp_path: Path) -> None:
    slides = film(tmp_path / "slides.mp4", SOUND, fps=1)
    [row] = take(slides, tmp_path, (3.1, 4.9))
    assert [round(second_of(blob)) for blob in blobs(row)] == [3, 4]


def test_where_the_film_has_ended_there_is_nothing_to_see(tmp_path: Path) -> None:
    short = film(tmp_path / "short.mp4", SOUND, seconds=4)
    during, after = take(short, tmp_path, (0, 3), (8, 12))
    assert during.pictures
    assert (after.pictures, after.rejection) == ((), None)


def test_large_pictures_are_made_small(movie: Path, tmp_path: Path) -> None:
    [row] = take(movie, tmp_path, (0, 1), size=32)
    assert {(p.width, p.height) for p in row.pictures} == {(48, 32)}
    assert fitted_size(9000, 100, 224) == (400, 100)


def reason(path: Path, folder: Path, **config: object) -> str | None:
    rows = take(path, folder, (0, 4), (8, 12), **config)
    assert not any(row.pictures for row in rows)
    return rows[0].rejection.reason if rows[0].rejection else None


def test_what_is_wrong_with_a_film_is_an_outcome(movie: Path, tmp_path: Path) -> None:
    sound = tmp_path / "sound.m4a"
    with av.open(str(movie)) as source, av.open(str(sound), "w", format="mp4") as out:
        stream = source.streams.audio[0]
        copy = out.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    assert reason(sound, tmp_path) == "frames.no_video"
    assert reason(movie, tmp_path, max_pixels=100) == "frames.too_large"
    assert reason(broken(movie, tmp_path / "broken.mp4"), tmp_path) == "frames.corrupt"


def broken(movie: Path, path: Path) -> Path:
    """The same file with every packet of its video overwritten."""
    blob = bytearray(movie.read_bytes())
    with av.open(str(movie)) as source:
        for packet in source.demux(source.streams.video[0]):
            if packet.pos is not None and packet.size:
                blob[packet.pos : packet.pos + packet.size] = b"\x00" * packet.size
    path.write_bytes(blob)
    return path


def test_a_broken_film_keeps_its_sound(movie: Path, tmp_path: Path) -> None:
    whole, damaged = read(str(movie)), read(str(broken(movie, tmp_path / "b.mp4")))
    assert np.array_equal(whole, damaged)


def test_a_film_cut_short_shows_what_is_left(movie: Path, tmp_path: Path) -> None:
    """Half of a transport stream, which needs no index at its end."""
    stream = film(tmp_path / "a.ts", SOUND)
    half = tmp_path / "half.ts"
    half.write_bytes(stream.read_bytes()[: stream.stat().st_size // 2])
    first, last = take(half, tmp_path, (0, 3), (13, 16))
    assert len(first.pictures) == 4
    assert not last.pictures

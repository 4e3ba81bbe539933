"""Nothing that libav asks of a file raises inside libav; errors of the storage come up as they are."""

from __future__ import annotations

import errno
import io
import os

import pytest

from voxmill.operators.decode.byte_source import Broken, ByteSource
from voxmill.operators.decode.container import Undecodable, open_source


def source(content: bytes = b"0123456789", begin: int = 2, end: int = 8) -> ByteSource:
    return ByteSource(io.BytesIO(content), begin, end)


def test_is_a_stretch_of_a_file() -> None:
    file = source()
    assert (file.read(3), file.read(99), file.read(1)) == (b"234", b"567", b"")
    assert (file.seek(-2, os.SEEK_END), file.read()) == (4, b"67")
    assert (file.seek(1), file.seek(1, os.SEEK_CUR), file.tell(), file.look(0, 2)) == (1, 2, 2, b"23")


@pytest.mark.parametrize(("offset", "whence"), [(-1, 0), (-7, 2), (-1 << 63, 1), (1 << 62, 0), (0, 9)])
def test_a_seek_to_nowhere_is_an_error_number(offset: int, whence: int) -> None:
    file = source()
    file.seek(3)
    assert file.seek(offset, whence) == -errno.EINVAL
    assert file.tell() == 3


def test_reading_beyond_the_end_gives_nothing() -> None:
    file = source()
    assert (file.seek(1 << 40), file.read(4)) == (1 << 40, b"")


def test_a_demuxer_that_goes_round_in_a_circle_comes_to_an_end() -> None:
    file = ByteSource(io.BytesIO(bytes(1 << 20)), 0, 1 << 20)
    rounds = 0
    while file.seek(0) == 0 and file.read():
        rounds += 1
        assert rounds < 1000


class Failing(io.BytesIO):
    """A store that fails after some reads."""

    def __init__(self, content: bytes, good: int, error: BaseException) -> None:
        super().__init__(content)
        self.good, self.error = good, error

    def read(self, size: int | None = -1) -> bytes:
        self.good -= 1
        if self.good < 0:
            raise self.error
        return super().read(size)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "disk"), ConnectionResetError("store"), KeyboardInterrupt()])
@pytest.mark.parametrize("good", [1, 2])
def test_errors_of_the_storage_come_up_as_they_are(error: BaseException, good: int, capfd: pytest.CaptureFixture[str]) -> None:
    content = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\1\0\x80>\0\0\0}\0\0\2\0\x10\0data\xff\xff\xff\xff" + bytes(1 << 20)
    raw = Failing(content, good, error)
    with pytest.raises(type(error)), open_source(ByteSource(raw, 0, len(content))) as (container, file), file:
        for _ in container.demux():
            pass
    assert capfd.readouterr().err == ""


def test_whatever_else_is_raised_is_broken() -> None:
    for error in (IndexError("list index out of range"), UnicodeDecodeError("utf8", b"", 0, 1, "bad"), MemoryError()):
        with pytest.raises(Broken, match=type(error).__name__), source():
            raise error
    with pytest.raises(Undecodable), source():
        raise Undecodable("decode.corrupt", "said already")

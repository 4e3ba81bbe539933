"""Files in the formats of the web, by Debian's ffmpeg, and how much of a file ffmpeg plays."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from benchmarks.faults.media import wav
from speech.packaged import TWO_CITIES
from speech.waves import RATE, Pcm

QUIET = ("ffmpeg", "-nostdin", "-y", "-v", "error")


def there() -> bool:
    return shutil.which("ffmpeg") is not None


class Maker:
    """Writes into one folder; every stretch of speech is given once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._samples, self._place = folder, TWO_CITIES.samples(), 0
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "parts").mkdir(exist_ok=True)

    def speech(self, seconds: float) -> Pcm:
        """Wraps at the recording's end, by a little less, so that it never repeats itself."""
        count = int(seconds * RATE)
        if self._place + count > len(self._samples):
            self._place = (self._place + count) % 7919
        self._place += count
        return self._samples[self._place - count : self._place].copy()

    def ff(self, name: str, pcm: Pcm, *how: str) -> Path:
        """Speech as that file; `how` are ffmpeg's options of output."""
        path = self._path(name)
        command = [*QUIET, "-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "pipe:0", *how, "-fflags", "+bitexact", str(path)]
        subprocess.run(command, input=pcm.astype("<i2").tobytes(), check=True)
        return path

    def film(self, name: str, pcm: Pcm, late: float, codec: str) -> Path:
        """Moving pictures, and speech that begins so many seconds after them."""
        path, picture = self._path(name), f"testsrc=size=320x240:rate=25:duration={late + len(pcm) / RATE}"
        sound = ("-itsoffset", str(late), "-i", str(self.write(f"{name}.wav", wav(pcm))))
        how = ("-map", "0:v", "-map", "1:a", "-b:v", "3M", "-c:a", codec, "-ar", "44100")
        subprocess.run([*QUIET, "-f", "lavfi", "-i", picture, *sound, *how, str(path)], check=True)
        return path

    def copy(self, name: str, path: Path, *how: str) -> Path:
        """Without encoding anew; `how` are options of input."""
        out = self._path(name)
        subprocess.run([*QUIET, *how, "-i", str(path), "-c", "copy", str(out)], check=True)
        return out

    def write(self, name: str, content: bytes) -> Path:
        path = self._path(name)
        path.write_bytes(content)
        return path

    def join(self, name: str, parts: list[Path]) -> Path:
        return self.write(name, b"".join(part.read_bytes() for part in parts))

    def cut(self, path: Path, share: float) -> Path:
        content = path.read_bytes()
        return self.write(f"cut-{path.name}", content[: int(len(content) * share)])

    def _path(self, name: str) -> Path:
        return self.folder / "parts" / name


def played(path: Path) -> float:
    """Seconds that ffmpeg decodes of a file's first sound, whatever it says about the rest."""
    command = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "info",
        "-i",
        str(path),
        "-map",
        "0:a:0",
        "-ac",
        "1",
        "-ar",
        str(RATE),
        "-f",
        "s16le",
        "pipe:1",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        count = 0
        while block := process.stdout.read(1 << 20):
            count += len(block)
            if count > 2 * RATE * 3600:
                process.kill()
                break
    return count / 2 / RATE


def version() -> str:
    said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"ffmpeg version (\S+)", said)
    return found[1] if found else "absent"


__all__ = ["Maker", "played", "there", "version", "wav"]

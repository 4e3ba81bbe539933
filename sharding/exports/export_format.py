"""What a format of `voxmill export-data` has to say for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from voxmill.sharding.exports.export_files import ExportFiles
from voxmill.sharding.exports.export_plan import ExportedSet, ExportPart
from voxmill.sharding.exports.exported_sample import ExportedSample

LABELLED = ("high", "weak")
"""Tiers that have a text, of samples in which somebody speaks."""

PARTS = "__export__"
"""Folder of what is in work; gone when the export is whole."""


@dataclass(slots=True)
class PartWriter:
    """Where one part is written."""

    files: ExportFiles
    part: ExportPart
    parts: int
    """How many its set has."""
    prefix: str = ""
    """Before the paths of audio files in lists that are not resolved relative to themselves."""

    def named(self, name: str) -> str:
        """A file of the set, below the export."""
        return f"{self.part.folder}/{name}"

    def share(self, name: str) -> str:
        """This part's share of a file that is joined or merged at the end."""
        return share_of(self.part, name)

    def audio(self, sample: ExportedSample, data: bytes | None = None, suffix: str = "flac") -> str:
        """Writes the sound as a file of its own and returns its name in the set: a folder for each part bounds their number."""
        name = f"audio/{self.part.number:05d}/{sample.row.key}.{suffix}"
        self.files.put(self.named(name), sample.flac if data is None else data)
        return name

    def lines(self, name: str, lines: Iterable[bytes]) -> None:
        """Writes this part's share of a file, a line each."""
        with self.files.writing(self.share(name)) as sink:
            for line in lines:
                sink.write(line)


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """How samples are laid out for one toolkit. `write` is called once for each part, in any order, and again after a kill."""

    name: str
    what: str
    """In a line, for `--help` and the README of the export."""
    write: Callable[[PartWriter, Iterator[ExportedSample]], None]
    opened_by: str
    """Lines of code that open a set; `{set}` is its folder, `{config}` and `{split}` the two parts of it, `{last}` the number of its last part."""
    version: str = "1"
    """Raised where the same samples would become other bytes."""
    labelled_only: bool = True
    """It has no use for a sample without a text."""
    joined: tuple[str, ...] = ()
    """Files of a set that are the shares of its parts, one after the other."""
    merged: tuple[str, ...] = ()
    """Files of a set that are the sorted lines of all parts."""
    card: Callable[[Sequence[ExportedSet]], str] | None = None
    """Metadata on top of the README, as YAML between two lines of `---`."""
    derive: Callable[[ExportFiles, str], None] | None = None
    """Makes more files of a set from those, given its folder."""


def share_of(part: ExportPart, name: str) -> str:
    """Where a part's share of a joined or merged file lies until the end."""
    return f"{PARTS}/{part.folder}/{part.number:06d}.{name}"

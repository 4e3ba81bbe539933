"""`Utterance` and `BadEntry`: what reading a corpus gives, one entry at a time, and the Protocol that all layouts follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Rejection
from voxmill.operators.crawl.corpora.corpus_folder import CorpusFolder
from voxmill.operators.crawl.facts.corpus_options import CorpusOptions
from voxmill.operators.crawl.facts.member_address import parse_member
from voxmill.operators.crawl.facts.urls import is_web


@dataclass(frozen=True, slots=True)
class Utterance:
    """One stretch of one recording, with what the corpus says of it. Nothing of it is believed or looked at yet."""

    audio: str
    """Address of the recording: a URI of a file, a web address, or a member of an archive or table (`member_address.py`)."""
    key: str | None = None
    """The corpus's own name of the utterance."""
    start: float = 0.0
    """Where it begins in the recording (s)."""
    seconds: float | None = None
    """How long it is (s); None: to the end of the recording."""
    text: str | None = None
    """Its transcript; None: the corpus has none."""
    speaker: str | None = None
    language: str | None = None
    licence: str | None = None

    @property
    def kind(self) -> Literal["file", "member", "http"]:
        """How its recording is fetched."""
        return "http" if is_web(self.audio) else "member" if parse_member(self.audio) else "file"


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry that cannot be used: where it stands (file and line, member or row), and why."""

    place: str
    rejection: Rejection

    @classmethod
    def of(cls, place: str, why: str, reason: str = "list.bad_entry") -> BadEntry:
        """With one of the reasons of `list`."""
        return cls(place, reject(reason, f"{place}: {why}"))


class ReadCorpus(Protocol):
    """Reads a corpus: its entries one after the other, the same ones in the same order each time."""

    def __call__(self, folder: CorpusFolder, options: CorpusOptions, /) -> Iterator[Utterance | BadEntry]:
        """Yields every entry once. Raises Unreadable where the folder as a whole cannot be read."""
        ...

"""Kaldi's data folders (https://kaldi-asr.org/doc/data_prep.html): `wav.scp`, `text`, and perhaps `segments`, `utt2spk`, `utt2lang`.

What `wav.scp` names may be a command with a pipe. It is refused by name: no command of a corpus is ever run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from voxmill.operators.crawl.corpora.corpus_folder import CorpusFolder
from voxmill.operators.crawl.corpora.row_facts import number_of
from voxmill.operators.crawl.corpora.spool import spool
from voxmill.operators.crawl.corpora.utterance import BadEntry, Utterance
from voxmill.operators.crawl.facts.corpus_options import CorpusOptions

ABOVE = 3
"""Folders above this one from which the paths of `wav.scp` may count: recipes write them from where they were started."""

_SCHEMA = """
CREATE TABLE wav (rec TEXT PRIMARY KEY, audio TEXT);
CREATE TABLE segments (utt TEXT PRIMARY KEY, rec TEXT, first REAL, last REAL);
CREATE TABLE said (utt TEXT PRIMARY KEY, value TEXT);
CREATE TABLE utt2spk (utt TEXT PRIMARY KEY, value TEXT);
CREATE TABLE utt2lang (utt TEXT PRIMARY KEY, value TEXT);
"""
_JOINED = """
SELECT s.utt, s.rec, w.audio, s.first, s.last, t.value, p.value, l.value FROM {spans} AS s
LEFT JOIN wav AS w ON w.rec = s.rec LEFT JOIN said AS t ON t.utt = s.utt
LEFT JOIN utt2spk AS p ON p.utt = s.utt LEFT JOIN utt2lang AS l ON l.utt = s.utt ORDER BY s.rec, s.first
"""
_WHOLE = "(SELECT rec AS utt, rec, 0.0 AS first, NULL AS last FROM wav)"
"""The spans of a folder without `segments`: each recording is one utterance."""

_UNHEARD = "SELECT utt FROM said WHERE utt NOT IN (SELECT utt FROM {spans}) ORDER BY utt"


def is_kaldi(folder: CorpusFolder) -> bool:
    """Whether it has a `wav.scp`."""
    return bool(folder.matching("wav.scp"))


def read_kaldi(folder: CorpusFolder, options: CorpusOptions) -> Iterator[Utterance | BadEntry]:
    """An utterance for each line of `segments`, or of `wav.scp` where there are none; `text` of the option is the file of transcripts."""
    with spool(_SCHEMA) as tables:
        yield from _wav(tables, folder)
        for name, table in ((options.text or "text", "said"), ("utt2spk", "utt2spk"), ("utt2lang", "utt2lang")):
            yield from _pairs(tables, folder, name, table)
        yield from _segments(tables, folder)
        spans = "segments" if folder.matching("segments") else _WHOLE
        for (utt,) in tables.execute(_UNHEARD.format(spans=spans)):
            yield BadEntry.of(f"utterance {utt}", "it has a transcript, and neither a recording nor a line in `segments`")
        for utt, rec, audio, first, last, text, speaker, language in tables.execute(_JOINED.format(spans=spans)):
            if audio is None:
                yield BadEntry.of(f"utterance {utt}", f"no recording `{rec}` in wav.scp")
            elif audio:
                seconds = None if last is None else last - first
                yield Utterance(audio, utt, first, seconds, text, speaker, language)


def _fields(folder: CorpusFolder, name: str) -> Iterator[tuple[str, str, str] | BadEntry]:
    """(place, first word, rest) of every line of a file; none where it is not there."""
    for line in folder.lines(name) if folder.matching(name) else ():
        key, _, rest = line.text.strip().replace("\t", " ", 1).partition(" ") if not line.wrong else ("", "", "")
        yield BadEntry.of(line.place, line.wrong) if line.wrong else (line.place, key, rest.strip())


def _wav(tables: sqlite3.Connection, folder: CorpusFolder) -> Iterator[BadEntry]:
    """Fills `wav`; what it cannot use stays in it with an empty address, so that its utterances are not told of once more."""
    for found in _fields(folder, "wav.scp"):
        if isinstance(found, BadEntry):
            yield found
            continue
        place, rec, path = found
        audio = ""
        if path.endswith("|") or path.startswith("|"):
            yield BadEntry.of(place, f"recording {rec} is a command ({path[:80]})", "list.command")
        elif not path or path == "-":
            yield BadEntry.of(place, f"recording {rec} has no file")
        elif path.rpartition(":")[2].isdigit() and ".ark:" in path:
            yield BadEntry.of(place, f"recording {rec} lies in a Kaldi archive ({path}), which is not read")
        elif (address := folder.resolve(path, ABOVE)) is None:
            yield BadEntry.of(place, f"recording {rec}: no way to open {path}")
        else:
            audio = address
        if not _insert(tables, "wav", rec, audio):
            yield BadEntry.of(place, f"recording {rec} is listed twice; the first one counts", "list.duplicate")


def _pairs(tables: sqlite3.Connection, folder: CorpusFolder, name: str, table: str) -> Iterator[BadEntry]:
    for found in _fields(folder, name):
        if isinstance(found, BadEntry):
            yield found
        elif not _insert(tables, table, found[1], found[2]):
            yield BadEntry.of(found[0], f"utterance {found[1]} is listed twice; the first one counts", "list.duplicate")


def _segments(tables: sqlite3.Connection, folder: CorpusFolder) -> Iterator[BadEntry]:
    for found in _fields(folder, "segments"):
        if isinstance(found, BadEntry):
            yield found
            continue
        place, utt, rest = found
        rec, first, last = (*rest.split(), None, None, None)[:3]
        start, end = number_of(first), number_of(last)
        if rec is None or start is None or end is None or (end <= start and end != -1):  # -1: to the end of the recording
            yield BadEntry.of(place, f"`{utt} {rest[:80]}` is no `<utterance> <recording> <begin> <end>`")
        elif not _insert(tables, "segments", utt, rec, start, None if end == -1 else end):
            yield BadEntry.of(place, f"utterance {utt} is listed twice; the first one counts", "list.duplicate")


def _insert(tables: sqlite3.Connection, table: str, *row: str | float | None) -> bool:
    """Whether the key was new."""
    marks = ", ".join("?" * len(row))
    return tables.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row).rowcount == 1

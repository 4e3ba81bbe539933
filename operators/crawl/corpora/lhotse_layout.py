"""lhotse (https://lhotse.readthedocs.io): manifests of cuts, or of recordings and supervisions; and Shar, whose audio is in tar files beside them.

An utterance is a supervision. A cut without one is an utterance without a transcript.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from voxmill.operators.crawl.corpora.corpus_folder import CorpusFolder, ManifestLine
from voxmill.operators.crawl.corpora.row_facts import RowFacts, facts_of, json_row, number_of, text_of
from voxmill.operators.crawl.corpora.spool import spool
from voxmill.operators.crawl.corpora.tar_members import TarEntry, tar_entries
from voxmill.operators.crawl.corpora.utterance import BadEntry, Utterance
from voxmill.operators.crawl.facts.corpus_options import CorpusOptions
from voxmill.operators.crawl.facts.media_types import MEDIA, name_suffix
from voxmill.operators.crawl.facts.member_address import tar_member

CUTS, RECORDINGS, SUPERVISIONS = (
    tuple(f"{stem}{end}" for end in (".jsonl", ".jsonl.gz")) for stem in ("*cuts*", "*recordings*", "*supervisions*")
)
ABOVE = 3
"""Folders above this one from which the paths of recordings may count."""


def is_lhotse(folder: CorpusFolder) -> bool:
    """Whether one of its manifests begins with a cut, or there are manifests of recordings and of supervisions."""
    for name in folder.matching(*CUTS)[:1]:
        line = next(islice(folder.lines(name), 1), None)
        row = json_row(line.text) if line else None
        return row is not None and "id" in row and ("start" in row or str(row.get("type", "")).endswith("Cut"))
    return bool(folder.matching(*RECORDINGS) and folder.matching(*SUPERVISIONS))


def read_lhotse(folder: CorpusFolder, options: CorpusOptions) -> Iterator[Utterance | BadEntry]:
    """The supervisions of every cut, or of every manifest of supervisions."""
    names = folder.matching(options.glob) if options.glob else folder.matching(*CUTS)
    if not names:
        yield from _supervised(folder, options)
    for name in names:
        audio = _shar(folder, name)
        for line in folder.lines(name):
            row = json_row(line.text) if not line.wrong else None
            if row is None:
                yield BadEntry.of(line.place, line.wrong or "no JSON object")
                continue
            inside = next(audio, None) if audio is not None else None
            while isinstance(inside, BadEntry):
                yield inside
                inside = next(audio, None) if audio is not None else None
            yield from _cut(folder, line.place, row, options, inside, shar=audio is not None)


def _shar(folder: CorpusFolder, cuts: str) -> Iterator[tuple[str, str] | BadEntry] | None:
    """(id, address) of every recording of the tar beside a Shar's cuts, in their order; None where there is none."""
    tar = cuts.replace("cuts", "recording", 1).partition(".jsonl")[0] + ".tar"
    return _audio_of(folder, tar) if tar in folder.beside("*.tar") else None


def _audio_of(folder: CorpusFolder, tar: str) -> Iterator[tuple[str, str] | BadEntry]:
    for entry in tar_entries(folder, tar):
        if isinstance(entry, BadEntry):
            yield entry
        elif name_suffix(entry.name) in MEDIA:
            yield posixpath.splitext(entry.name)[0], _address(folder, tar, entry)


def _address(folder: CorpusFolder, tar: str, entry: TarEntry) -> str:
    return tar_member(folder.uri(tar), entry.name, entry.start, entry.num_bytes)


def _cut(
    folder: CorpusFolder,
    place: str,
    cut: Mapping[str, Any],
    options: CorpusOptions,
    inside: tuple[str, str] | None,
    *,
    shar: bool,
) -> Iterator[Utterance | BadEntry]:
    ident, begin, length = str(cut.get("id")), number_of(cut.get("start")), number_of(cut.get("duration"))
    if begin is None or length is None:
        yield BadEntry.of(place, f"cut {ident} is of a kind that is not read ({cut.get('type', 'no start and duration')})")
        return
    if shar:
        if inside is None or inside[0] != ident:
            found = inside[0] if inside else "nothing"
            yield BadEntry.of(place, f"the tar beside it has {found} where {ident} should be")
            return
        where: str | BadEntry = inside[1]
    else:
        where = _source(folder, place, cut.get("recording"))
    if isinstance(where, BadEntry):
        yield where
        return
    said = [one for one in cut.get("supervisions") or () if isinstance(one, Mapping)]
    own = facts_of(cut.get("custom") or {})
    if not said:
        yield Utterance(where, ident, begin, length, **own)
    for one in said:
        start, lasts = number_of(one.get("start")), number_of(one.get("duration"))
        if start is None or lasts is None:
            yield BadEntry.of(place, f"supervision {one.get('id')} has no start and duration")
            continue
        first = max(begin, begin + start)
        seconds = min(begin + length, begin + start + lasts) - first  # a supervision may go beyond its cut
        yield _supervision(where, one, own, options, first, seconds)


def _supervision(
    where: str,
    one: Mapping[str, Any],
    own: RowFacts,
    options: CorpusOptions,
    start: float,
    seconds: float,
) -> Utterance:
    facts = facts_of({**(one.get("custom") or {}), **{key: one.get(key) for key in ("speaker", "language")}})
    text, speaker = text_of(one, options.text or "text"), facts["speaker"] or own["speaker"]
    language, licence = facts["language"] or own["language"], facts["licence"] or own["licence"]
    return Utterance(where, str(one.get("id")), start, seconds, text, speaker, language, licence)


def _source(folder: CorpusFolder, place: str, recording: Any) -> str | BadEntry:
    """Address of a recording's audio."""
    sources = recording.get("sources") if isinstance(recording, Mapping) else None
    if not isinstance(sources, list) or len(sources) != 1 or not isinstance(sources[0], Mapping):
        return BadEntry.of(place, f"{len(sources or [])} audio sources; one is wanted")
    kind, path = sources[0].get("type"), sources[0].get("source")
    if kind == "command":
        return BadEntry.of(place, f"its audio is a command ({str(path)[:80]})", "list.command")
    if kind not in ("file", "url") or not isinstance(path, str):
        return BadEntry.of(place, f"audio of type `{kind}` is not read: file and url are")
    return folder.resolve(path, ABOVE) or BadEntry.of(place, f"no way to open {path}")


_SCHEMA = "CREATE TABLE recordings (id TEXT PRIMARY KEY, address TEXT)"


def _supervised(folder: CorpusFolder, options: CorpusOptions) -> Iterator[Utterance | BadEntry]:
    """Manifests of recordings and of supervisions, joined on disk."""
    with spool(_SCHEMA) as tables:
        for line, row in _rows(folder, RECORDINGS):
            where = _source(folder, line.place, row) if row else BadEntry.of(line.place, line.wrong or "no JSON object")
            if isinstance(where, BadEntry):
                yield where
            elif not tables.execute("INSERT OR IGNORE INTO recordings VALUES (?, ?)", (str(row.get("id")), where)).rowcount:
                yield BadEntry.of(line.place, f"recording {row.get('id')} is listed twice", "list.duplicate")
        for line, row in _rows(folder, SUPERVISIONS):
            start, seconds = number_of(row.get("start")), number_of(row.get("duration"))
            if start is None or seconds is None:
                yield BadEntry.of(line.place, line.wrong or "no supervision with start and duration")
                continue
            found = tables.execute("SELECT address FROM recordings WHERE id = ?", (str(row.get("recording_id")),)).fetchone()
            if found is None:
                yield BadEntry.of(line.place, f"no recording `{row.get('recording_id')}` that can be read")
            else:
                yield _supervision(found[0], row, facts_of({}), options, start, seconds)


def _rows(folder: CorpusFolder, names: tuple[str, ...]) -> Iterator[tuple[ManifestLine, dict[str, Any]]]:
    """Every line with its object, which is empty where it is none."""
    for name in folder.matching(*names):
        for line in folder.lines(name):
            yield line, (json_row(line.text) or {}) if not line.wrong else {}

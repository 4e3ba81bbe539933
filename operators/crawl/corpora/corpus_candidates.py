"""From the utterances of a corpus to candidates: one for each recording, with all that the corpus says of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, fields, replace
from itertools import groupby

from voxmill.manifests.records import SAMPLE_RATE, GivenSpan
from voxmill.operators.crawl.corpora.spool import spool
from voxmill.operators.crawl.corpora.utterance import BadEntry, Utterance
from voxmill.operators.crawl.facts.candidate import Candidate
from voxmill.operators.crawl.facts.licence import UNKNOWN, of_config
from voxmill.operators.crawl.facts.urls import file_uri, is_local, is_web

MOST_SECONDS = 10 * 24 * 3600.0
"""No span begins later than this in a recording, or lasts longer (s)."""

_COLUMNS = ", ".join(field.name for field in fields(Utterance))
_SCHEMA = f"CREATE TABLE spans ({_COLUMNS}, place INTEGER PRIMARY KEY); CREATE INDEX by_audio ON spans (audio);"


def candidates(entries: Iterable[Utterance | BadEntry], address: str, *, grouped: bool) -> Iterator[Candidate]:
    """One candidate per recording, in the order in which the corpus first names them, and one for each entry that cannot be used.

    `grouped`: the utterances of one recording come one after the other. Otherwise they are put aside on disk first, and what cannot
    be used comes before them.
    """
    place = address if "://" in address else file_uri(address)
    sound = _sound(entries)
    if grouped:
        for audio, group in groupby(sound, key=lambda entry: entry.audio if isinstance(entry, Utterance) else None):
            if audio is None:
                yield from (_bad(place, entry) for entry in group if isinstance(entry, BadEntry))
            else:
                yield _candidate(place, [entry for entry in group if isinstance(entry, Utterance)])
        return
    with spool(_SCHEMA) as aside:
        yield from _put_aside(aside, sound, place)
        order = "SELECT audio FROM spans GROUP BY audio ORDER BY min(place)"
        for (audio,) in aside.execute(order):
            rows = aside.execute(f"SELECT {_COLUMNS} FROM spans WHERE audio = ? ORDER BY place", (audio,))
            yield _candidate(place, [Utterance(*row) for row in rows])


def _put_aside(aside: sqlite3.Connection, sound: Iterable[Utterance | BadEntry], place: str) -> Iterator[Candidate]:
    marks = ", ".join("?" * len(fields(Utterance)))
    for entry in sound:
        if isinstance(entry, BadEntry):
            yield _bad(place, entry)
        else:
            aside.execute(f"INSERT INTO spans ({_COLUMNS}) VALUES ({marks})", astuple(entry))


def _sound(entries: Iterable[Utterance | BadEntry]) -> Iterator[Utterance | BadEntry]:
    """The entries, those with an impossible span as bad ones; texts as a record can hold them."""
    for entry in entries:
        if isinstance(entry, BadEntry):
            yield entry
            continue
        entry = replace(entry, text=_text(entry.text), key=_text(entry.key), speaker=_text(entry.speaker))
        wrong = None
        if not 0 <= entry.start <= MOST_SECONDS:
            wrong = f"it begins at {entry.start:g} s"
        elif entry.seconds is not None and not 0 < entry.seconds <= MOST_SECONDS:
            wrong = f"it lasts {entry.seconds:g} s"
        yield entry if wrong is None else BadEntry.of(entry.key or entry.audio, wrong)


def _candidate(place: str, said: Sequence[Utterance]) -> Candidate:
    first = said[0]
    languages, licences = {one.language for one in said}, {one.licence for one in said}
    return Candidate(
        url=first.audio,
        kind=first.kind,
        page_url=place,
        licence=replace(of_config(licence), source="feed") if len(licences) == 1 and (licence := first.licence) else UNKNOWN,
        language=first.language if len(languages) == 1 else None,
        host=None
        if is_web(first.audio) or is_local(first.audio)
        else (first.audio if is_local(place) else place).split("/")[2],
        given=tuple(sorted(map(_span, said), key=lambda span: span.start)),
    )


def _span(one: Utterance) -> GivenSpan:
    start = round(one.start * SAMPLE_RATE)
    length = None if one.seconds is None else max(1, round((one.start + one.seconds) * SAMPLE_RATE) - start)
    return GivenSpan(start, length, one.text, one.key, one.speaker, one.language)


def _bad(place: str, entry: BadEntry) -> Candidate:
    return Candidate(f"{place}#{entry.place}", "file", page_url=place, rejection=entry.rejection)


def _text(value: str | None) -> str | None:
    """Lone surrogates and NUL cannot be stored as text."""
    return None if value is None else value.encode("utf-8", "replace").decode().replace("\0", "").strip()

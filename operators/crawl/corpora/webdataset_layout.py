"""WebDataset (https://github.com/webdataset/webdataset): tar files in which files of one name, before its first dot, are one sample."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from itertools import islice
from typing import Any

from voxmill.operators.crawl.corpora.corpus_folder import CorpusFolder
from voxmill.operators.crawl.corpora.row_facts import facts_of, json_row, text_of
from voxmill.operators.crawl.corpora.tar_members import TarEntry, tar_entries
from voxmill.operators.crawl.corpora.utterance import BadEntry, Utterance
from voxmill.operators.crawl.facts.corpus_options import CorpusOptions
from voxmill.operators.crawl.facts.media_types import MEDIA
from voxmill.operators.crawl.facts.member_address import tar_member

WORDS = (".txt", ".json", ".text", ".transcript", ".lab", ".normalized.txt")
"""Members that may hold what is said."""

LOOKED_AT = 8
"""Members that are looked at to recognise it."""


def is_webdataset(folder: CorpusFolder) -> bool:
    """Whether the first tar begins with audio beside a text or JSON of the same name."""
    for tar in folder.matching("*.tar")[:1]:
        first = [entry for entry in islice(tar_entries(folder, tar), LOOKED_AT) if isinstance(entry, TarEntry)]
        for entry in first:
            key, suffix = _split(entry.name)
            if suffix in MEDIA and any(_split(other.name)[0] == key and other.name.endswith(WORDS) for other in first):
                return True
    return False


def read_webdataset(folder: CorpusFolder, options: CorpusOptions) -> Iterator[Utterance | BadEntry]:
    """An utterance for each sample with audio. Its text is the `.txt`, else that of the `.json`, which may say more."""
    for tar in folder.matching(options.glob or "*.tar"):
        sample: dict[str, TarEntry] = {}
        key = ""
        for entry in tar_entries(folder, tar, WORDS):
            if isinstance(entry, BadEntry):
                yield entry
                continue
            its, suffix = _split(entry.name)
            if its != key:
                yield from _sample(folder, tar, key, sample, options)
                sample, key = {}, its
            if suffix in sample:
                yield BadEntry.of(f"{tar}, member {entry.name}", "the sample has a file of that name already")
            else:
                sample[suffix] = entry
        yield from _sample(folder, tar, key, sample, options)


def _split(name: str) -> tuple[str, str]:
    """Key and suffix as WebDataset has them: the suffix begins at the first dot of the file's name.

    >>> _split("a.b/x.normalized.txt")
    ('a.b/x', 'normalized.txt')
    """
    inside, base = posixpath.split(name)
    stem, _, suffix = base.partition(".")
    return posixpath.join(inside, stem), suffix.lower()


def _sample(
    folder: CorpusFolder, tar: str, key: str, sample: dict[str, TarEntry], options: CorpusOptions
) -> Iterator[Utterance | BadEntry]:
    if not sample:
        return
    place = f"{tar}, sample {key}"
    wanted = [entry for suffix, entry in sample.items() if suffix.rpartition(".")[2] in MEDIA]
    chosen = [sample[options.audio]] if options.audio and options.audio in sample else wanted
    if len(chosen) != 1:
        yield BadEntry.of(place, f"{len(chosen)} audio files; one is wanted" if chosen else "no audio file in it")
        return
    row: dict[str, Any] = {}
    if (stated := sample.get("json")) is not None:
        row = json_row((stated.content or b"").decode("utf-8", "replace")) or {}
        if not row:
            yield BadEntry.of(f"{tar}, member {stated.name}", "no JSON object, or too large; its sample is taken without it")
    text = text_of(row, options.text)
    for suffix, entry in sample.items():
        if entry.content is not None and suffix != "json" and (options.text in (None, suffix)):
            try:
                text = entry.content.decode("utf-8-sig")
            except UnicodeDecodeError:
                yield BadEntry.of(f"{tar}, member {entry.name}", "not UTF-8; its sample is taken without this text")
            break
    address = tar_member(folder.uri(tar), chosen[0].name, chosen[0].start, chosen[0].num_bytes)
    yield Utterance(address, key=key, text=text, **facts_of(row))

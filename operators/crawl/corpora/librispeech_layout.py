"""The layout of LibriSpeech (https://www.openslr.org/12): `<speaker>/<chapter>/<speaker>-<chapter>.trans.txt` beside its audio files."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from itertools import islice

from voxmill.operators.crawl.corpora.corpus_folder import CorpusFolder
from voxmill.operators.crawl.corpora.utterance import BadEntry, Utterance
from voxmill.operators.crawl.facts.corpus_options import CorpusOptions
from voxmill.operators.crawl.facts.media_types import MEDIA, name_suffix

SUFFIX = ".trans.txt"
LOOKED_AT = 64
"""Folders that are looked into for that at most."""
DEEPEST = 4
"""Levels of folders that are looked into to recognise it: `LibriSpeech/dev-clean/84/121123`."""


def is_librispeech(folder: CorpusFolder) -> bool:
    """Whether the first folder with files, going down, holds a `.trans.txt`."""
    for inside, names in islice(folder.walk(), LOOKED_AT):
        if any(name.endswith(SUFFIX) for name in names):
            return True
        if inside.count("/") >= DEEPEST or any(name_suffix(name) in MEDIA for name in names):
            return False
    return False


def read_librispeech(folder: CorpusFolder, options: CorpusOptions) -> Iterator[Utterance | BadEntry]:
    """An utterance for each line `<id> <text>`; its audio is the file of that name beside it, the speaker the first part of the id."""
    for inside, names in folder.walk():
        audio = {name.rpartition(".")[0]: name for name in reversed(names) if name_suffix(name) in MEDIA}
        for name in names:
            if name.endswith(SUFFIX):
                yield from _chapter(folder, posixpath.join(inside, name), audio)


def _chapter(folder: CorpusFolder, name: str, audio: dict[str, str]) -> Iterator[Utterance | BadEntry]:
    for line in folder.lines(name):
        key, _, text = line.text.partition(" ")
        if line.wrong:
            yield BadEntry.of(line.place, line.wrong)
        elif not text.strip():
            yield BadEntry.of(line.place, "an id without a text")
        else:
            file = posixpath.join(posixpath.dirname(name), audio.get(key, f"{key}.flac"))
            yield Utterance(folder.uri(file), key=key, text=text.strip(), speaker=key.partition("-")[0] or None)

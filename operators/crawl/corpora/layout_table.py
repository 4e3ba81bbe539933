"""The layouts of corpora, one entry each; and which of them a folder has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

from voxmill.operators.crawl.corpora.common_voice_layout import is_common_voice, read_common_voice
from voxmill.operators.crawl.corpora.corpus_candidates import candidates
from voxmill.operators.crawl.corpora.corpus_folder import CorpusFolder
from voxmill.operators.crawl.corpora.hf_layout import is_hf, read_hf
from voxmill.operators.crawl.corpora.kaldi_layout import is_kaldi, read_kaldi
from voxmill.operators.crawl.corpora.lhotse_layout import is_lhotse, read_lhotse
from voxmill.operators.crawl.corpora.librispeech_layout import is_librispeech, read_librispeech
from voxmill.operators.crawl.corpora.nemo_layout import is_nemo, read_nemo
from voxmill.operators.crawl.corpora.utterance import ReadCorpus
from voxmill.operators.crawl.corpora.webdataset_layout import is_webdataset, read_webdataset
from voxmill.operators.crawl.facts.candidate import Candidate
from voxmill.operators.crawl.facts.corpus_options import CorpusOptions
from voxmill.operators.crawl.facts.crawl_errors import Unreadable
from voxmill.operators.crawl.facts.media_types import Corpus, name_suffix

DEEPEST = 3
"""Levels of folders below the one that is named in which corpora are looked for, where it is none itself."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a kind of corpus is told and read."""

    kind: Corpus
    title: str
    """For people: `a Kaldi folder`."""
    told_by: str
    """What shows it, for the documentation."""
    recognises: Callable[[CorpusFolder], bool]
    read: ReadCorpus
    grouped: bool = True
    """The utterances of one recording come one after the other."""


LAYOUTS: tuple[Layout, ...] = (
    Layout("kaldi", "a Kaldi folder", "`wav.scp`", is_kaldi, read_kaldi, grouped=False),
    Layout(
        "common-voice",
        "the layout of Common Voice",
        "`validated.tsv`, or the tables of its parts, beside `clips/`",
        is_common_voice,
        read_common_voice,
    ),
    Layout(
        "lhotse",
        "manifests of lhotse",
        "`cuts*.jsonl.gz` (Shar with `recording*.tar` beside them), or `recordings` and `supervisions`",
        is_lhotse,
        read_lhotse,
        grouped=False,
    ),
    Layout(
        "nemo",
        "manifests of NeMo",
        "JSON lines with `audio_filepath`, with or without `audio_*.tar`",
        is_nemo,
        read_nemo,
        grouped=False,
    ),
    Layout("hf", "a data set of Hugging Face", "Parquet or Arrow files with an Audio column", is_hf, read_hf),
    Layout(
        "webdataset",
        "WebDataset shards",
        "`*.tar` with audio beside `.txt` or `.json` of the same name",
        is_webdataset,
        read_webdataset,
    ),
    Layout(
        "librispeech",
        "the layout of LibriSpeech",
        "`*.trans.txt` beside audio files",
        is_librispeech,
        read_librispeech,
    ),
)
"""In the order in which they are tried: the first that recognises a folder has it."""

BY_KIND: dict[str, Layout] = {layout.kind: layout for layout in LAYOUTS}

CORPORA = frozenset(get_args(Corpus))
"""Kinds of sources that are corpora."""


MANIFEST_SUFFIXES = ("json", "jsonl", "gz")
"""Of single files that may be a corpus, as those of NeMo and lhotse are."""


def told_kind(address: str) -> Layout | None:
    """The layout that a folder, or a manifest by itself, shows; None where it shows none, or cannot be read. Folders in it are not looked into."""
    if os.path.isfile(address) and name_suffix(address) not in MANIFEST_SUFFIXES:
        return None
    try:
        folder = CorpusFolder(address)
        return next((layout for layout in LAYOUTS if layout.recognises(folder)), None)
    except (OSError, ImportError):
        return None


def told_below(folder: str) -> tuple[str, Layout] | None:
    """The first of the folders in one that shows a layout, by name, and which."""
    try:
        return next(
            ((name, told) for name in CorpusFolder(folder).folders[:_LOOKED_INTO] if (told := told_kind(f"{folder}/{name}"))),
            None,
        )
    except OSError:
        return None


_LOOKED_INTO = 20
"""Folders at most, for a hint."""


def read_corpus(address: str, kind: str, options: CorpusOptions) -> Iterator[Candidate]:
    """The recordings of a corpus of a stated kind: in the folder, or in the folders below it that show that kind. Raises Unreadable."""
    layout, top = BY_KIND[kind], CorpusFolder(address)
    try:
        found = False
        for folder in _corpora(top, layout):
            found = True
            yield from candidates(layout.read(folder, options), folder.address, grouped=layout.grouped)
        if not found:
            yield from candidates(layout.read(top, options), top.address, grouped=layout.grouped)
    except (OSError, ImportError) as error:
        raise Unreadable(f"{address}: {error}") from error


def _corpora(folder: CorpusFolder, layout: Layout, depth: int = 0) -> Iterator[CorpusFolder]:
    """The folder itself if it shows the layout, else those below it that do."""
    if layout.recognises(folder):
        yield folder
        return
    for name in folder.folders if depth < DEEPEST else ():
        yield from _corpora(folder.subfolder(name), layout, depth + 1)

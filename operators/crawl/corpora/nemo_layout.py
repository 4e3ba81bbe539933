"""NVIDIA NeMo's manifests: a JSON object a line, with `audio_filepath`; plain, or beside tar files that hold the audio.

https://docs.nvidia.com/nemo-framework/user-guide/latest/nemotoolkit/asr/datasets.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from voxmill.operators.crawl.corpora.corpus_folder import CorpusFolder
from voxmill.operators.crawl.corpora.row_facts import facts_of, json_row, number_of, text_of
from voxmill.operators.crawl.corpora.tar_members import tar_entries
from voxmill.operators.crawl.corpora.utterance import BadEntry, Utterance
from voxmill.operators.crawl.facts.corpus_options import CorpusOptions
from voxmill.operators.crawl.facts.member_address import tar_member

MANIFESTS = ("*.json", "*.jsonl", "*.json.gz", "*.jsonl.gz")
_PART = re.compile(r"-sub\d+(?=\.\w+$)")
"""What NeMo adds to the name of a tar's member where a manifest names several spans of it."""

HELD = 16
"""Tars whose members are in memory at once: a manifest names them one after the other, or several in turns."""

Members = Mapping[str, str]
"""Addresses of a tar's members by name."""


def is_nemo(folder: CorpusFolder) -> bool:
    """Whether one of its manifests begins with an object that has `audio_filepath`."""
    return any(_begins(folder, name) for name in folder.matching(*MANIFESTS)[:4])


def _begins(folder: CorpusFolder, name: str) -> bool:
    line = next(islice(folder.lines(name), 1), None)
    return line is not None and "audio_filepath" in (json_row(line.text) or {})


def read_nemo(folder: CorpusFolder, options: CorpusOptions) -> Iterator[Utterance | BadEntry]:
    """An utterance for each line. With tars beside the manifests the audio is the member of that name, of the tar of that number."""
    numbered = {_number(tar): tar for tar in folder.beside("*.tar")}
    held: dict[str, Members] = {}
    for name in folder.matching(options.glob) if options.glob else folder.matching(*MANIFESTS):
        if options.glob is None and not _begins(folder, name):
            continue
        for line in folder.lines(name):
            row = json_row(line.text) if not line.wrong else None
            if row is None:
                yield BadEntry.of(line.place, line.wrong or "no JSON object")
                continue
            tar = _tar_of(numbered, name, row)
            if tar and tar not in held:
                members: dict[str, str] = {}
                for entry in tar_entries(folder, tar):
                    if isinstance(entry, BadEntry):
                        yield entry
                    else:
                        members.setdefault(entry.name, tar_member(folder.uri(tar), entry.name, entry.start, entry.num_bytes))
                if len(held) == HELD:
                    held.pop(next(iter(held)))
                held[tar] = members
            yield _utterance(folder, line.place, row, options, (tar, held[tar]) if tar else None)


def _number(name: str) -> str:
    """The last number in a name, as text without leading zeros; empty where it has none."""
    found = re.findall(r"\d+", name.partition(".")[0])
    return str(int(found[-1])) if found else ""


def _tar_of(numbered: Mapping[str, str], manifest: str, row: Mapping[str, Any]) -> str | None:
    """The tar that a line's audio is in: that of its `shard_id`, else of the manifest's number, else the only one."""
    if not numbered:
        return None
    shard = row.get("shard_id")
    number = str(shard) if isinstance(shard, int) else _number(manifest)
    return numbered.get(number) or (next(iter(numbered.values())) if len(numbered) == 1 else None)


def _utterance(
    folder: CorpusFolder, place: str, row: Mapping[str, Any], options: CorpusOptions, tar: tuple[str, Members] | None
) -> Utterance | BadEntry:
    path = row.get("audio_filepath")
    offset, seconds = row.get("offset", 0.0), row.get("duration")
    if not isinstance(path, str) or not path:
        return BadEntry.of(place, "no `audio_filepath`, or it is no text")
    if row.get("_skipme"):
        return BadEntry.of(place, "it says `_skipme`")
    start, length = number_of(offset or 0.0), number_of(seconds)
    if start is None or (seconds is not None and length is None):
        return BadEntry.of(place, f"`offset` {offset!r} and `duration` {seconds!r} are no seconds")
    if tar is not None:
        address = tar[1].get(path) or tar[1].get(_PART.sub("", path))
        if address is None:
            return BadEntry.of(place, f"no member {path} in {tar[0]}")
    elif (address := folder.resolve(path)) is None:
        return BadEntry.of(place, f"no way to open {path}")
    return Utterance(address, path, start, length, text_of(row, options.text), **facts_of(row))

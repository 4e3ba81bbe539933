"""The layout of Mozilla Common Voice (https://commonvoice.mozilla.org): tables `validated.tsv`, `train.tsv`, … and a folder `clips`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from voxmill.operators.crawl.corpora.corpus_folder import CorpusFolder
from voxmill.operators.crawl.corpora.row_facts import facts_of, text_of
from voxmill.operators.crawl.corpora.utterance import BadEntry, Utterance
from voxmill.operators.crawl.facts.corpus_options import CorpusOptions
from voxmill.operators.crawl.facts.media_types import MEDIA, name_suffix

VALIDATED, PARTS = "validated.tsv", ("train.tsv", "dev.tsv", "test.tsv")
"""The table of all clips that people have approved, and those that are parts of it."""


def is_common_voice(folder: CorpusFolder) -> bool:
    """Whether it has one of the tables, with the columns `path` and `sentence`, beside a folder `clips`."""
    if "clips" not in folder.folders:
        return False
    heads = [next(islice(folder.lines(name), 1), None) for name in folder.matching(VALIDATED, *PARTS)]
    return any(head is not None and {"path", "sentence"} <= set(head.text.split("\t")) for head in heads)


def read_common_voice(folder: CorpusFolder, options: CorpusOptions) -> Iterator[Utterance | BadEntry]:
    """An utterance for each line of `validated.tsv`, else of train, dev and test; or of the tables that `glob` names."""
    tables = folder.matching(options.glob) if options.glob else folder.matching(VALIDATED) or folder.matching(*PARTS)
    for table in tables:
        lines = folder.lines(table)
        head = next(lines, None)
        columns = head.text.split("\t") if head and not head.wrong else []
        if "path" not in columns:
            yield BadEntry.of(
                table, f"its first line names no column `path`{f' ({head.wrong})' if head and head.wrong else ''}"
            )
            continue
        for line in lines:
            yield (
                _clip(folder, columns, line.place, line.text, options)
                if not line.wrong
                else BadEntry.of(line.place, line.wrong)
            )


def _clip(folder: CorpusFolder, columns: list[str], place: str, line: str, options: CorpusOptions) -> Utterance | BadEntry:
    cells = line.split("\t")  # the tables have no quoting: a quotation mark is a part of the sentence
    if len(cells) != len(columns):
        return BadEntry.of(place, f"{len(cells)} columns, and the table has {len(columns)}")
    row = dict(zip(columns, cells, strict=True))
    name = row["path"]
    if not name or "/" in name or name.startswith("."):
        return BadEntry.of(place, f"`{name}` is no name of a clip")
    file = name if name_suffix(name) in MEDIA else f"{name}.mp3"
    return Utterance(folder.uri(f"clips/{file}"), key=name, text=text_of(row, options.text or "sentence"), **facts_of(row))

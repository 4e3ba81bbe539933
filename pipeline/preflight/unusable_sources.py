"""Sources that would be crawled and transcribed in vain, because the config rejects their licence or language; and a placeholder as contact."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

from voxmill.operators.contract.languages import primary
from voxmill.operators.crawl.corpora.layout_table import CORPORA
from voxmill.operators.crawl.facts.licence import normalise, of_config
from voxmill.operators.crawl.facts.media_types import kind_by_name
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.facts.urls import file_path, is_local, is_web
from voxmill.operators.crawl.listing import files
from voxmill.operators.select.policy import licensed
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.preflight.issues import Issue, warning

PLACEHOLDER = "you@example.org"
NOTHING = "none of its files"
"""Of a folder in which there is nothing to hear: that is another finding."""
MANY = 10_000
"""How far the files of a folder are counted."""


def rejected_sources(config: RunConfig) -> Iterator[Issue]:
    """Warnings about sources whose stated licence or language the config rejects."""
    for source in config.sources:
        if _how_much(source) != NOTHING:
            yield from _licence(source, config)
        if source.language and config.select.languages and primary(source.language) not in config.select.languages:
            cause = f"is stated as {source.language}, and select.languages keeps {', '.join(config.select.languages)} only"
            fix = "what is heard in another language is rejected (select.language): add the language, or correct the source"
            yield warning(f"source {source.name}", cause, fix)
    if config.crawl.contact == PLACEHOLDER and any(source.is_web for source in config.sources):
        yield warning(
            "crawl.contact", f"is the recipe's placeholder ({PLACEHOLDER})", "put your own address there before you crawl"
        )


def _licence(source: SourceConfig, config: RunConfig) -> Iterator[Issue]:
    allowed = ", ".join(config.select.licences)
    if source.licence:
        name = of_config(source.licence).name
        if normalise(source.licence) is None:
            cause = f"states the licence `{source.licence}`, which voxmill does not know: shards will carry it as `{name}`"
            yield warning(
                f"source {source.name}",
                cause,
                "give an SPDX identifier (cc-by-4.0, cc0-1.0), or leave it if it is one of your own",
            )
        if not licensed(name, config.select):
            cause = f"is {name}, which select.licences ({allowed}) does not allow: {_how_much(source)} will be rejected (select.licence)"
            yield warning(f"source {source.name}", cause, "add the licence to select.licences, or take the source out")
    elif not licensed("unknown", config.select) and (says := _who_could_say(source)) is not None:
        cause = (
            f"states no licence, and unknown ones are not packed: {_how_much(source)} will be rejected (select.licence){says}"
        )
        fix = "state one that holds (`licence: cc-by-4.0` of the source, or --licence), or set select.allow_unknown_licence"
        yield warning(f"source {source.name}", cause, fix)


def _who_could_say(source: SourceConfig) -> str | None:
    """Words for who else may state the licence: empty if nobody can, None if a page or feed usually does."""
    kinds = {source.kind if source.kind != "auto" else _kind(address) for address in source.addresses}
    if kinds & {"page", "feed", "playlist", None}:
        return None
    if kinds & {"list", "manifest", *CORPORA}:
        return " unless its lines say more"
    return " unless its server states one" if source.is_web else ""


def _kind(address: str) -> str | None:
    """The kind of source behind an address; None for a web address whose kind only fetching it tells."""
    if is_web(address):
        return kind_by_name(address)
    return "files" if is_local(address) and os.path.isdir(_path(address)) else kind_by_name(address) or "media"


def _how_much(source: SourceConfig) -> str:
    folders = [_path(a) for a in source.addresses if is_local(a) and os.path.isdir(_path(a))]
    if len(folders) != len(source.addresses) or source.kind in CORPORA:
        return "all of it"
    count = sum(1 for _ in islice((file for folder in folders for file in files.unordered_files(folder, source.glob)), MANY))
    if not count:
        return NOTHING
    return "its one file" if count == 1 else f"all its {'more than ' * (count >= MANY)}{count} files"


def _path(address: str) -> str:
    return os.path.expanduser(file_path(address.strip()))

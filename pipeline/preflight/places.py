"""Whether the files, folders and buckets that a config names exist: sources, evaluation sets, other runs, deny-lists."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Literal
from urllib.parse import urlsplit

from voxmill.manifests.errors import UserError
from voxmill.manifests.public_form import public_address, public_text
from voxmill.manifests.storage import exists, is_folder, wait_at_most
from voxmill.operators.crawl.corpora.layout_table import CORPORA, told_below, told_kind
from voxmill.operators.crawl.facts.crawl_errors import CrawlError
from voxmill.operators.crawl.facts.media_types import kind_by_name
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.facts.urls import STORES, file_path, is_local, is_openable, is_web
from voxmill.operators.crawl.listing import files
from voxmill.operators.crawl.listing.url_list import read_list
from voxmill.operators.crawl.listing.voxmill_manifest import read_manifest
from voxmill.operators.crawl.policy.denylist import read_entries
from voxmill.operators.select.calibration import load_calibration
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.preflight.issues import Issue, error, warning
from voxmill.pipeline.preflight.packages import can_open
from voxmill.pipeline.state.run import Run

STORE_SECONDS = 15.0
"""Timeout for an answer of a bucket."""

LINES = 10_000
"""How many lines of a list are checked."""

PLACEHOLDER = "https://example.org/feed.xml", "s3://bucket/urls.txt"
"""Addresses in shipped recipes that the user has to replace."""

PUT_YOURS = "put your own address there (`sources` in the config)"


def missing(config: RunConfig, listed: Collection[str] = ()) -> Iterator[Issue]:
    """Sources and other inputs that do not exist. `listed` names the sources that the run has listed: they may be gone by now.

    A missing folder or list is an error. A missing single file is a warning, because the run records it as `list.unreadable` and goes on;
    if no source is left, it is an error too.
    """
    addresses = [address.strip() for source in config.sources for address in source.addresses]
    if addresses and all(map(is_placeholder, addresses)):
        yield error("sources:", f"hold nothing but a recipe's placeholder ({addresses[0]})", PUT_YOURS)
        addresses = []
    found = {source.name: list(_of_source(source, config.crawl.contact)) for source in config.sources} if addresses else {}
    nothing_left = all(len(found[source.name]) >= len(source.addresses) for source in config.sources if found)
    for name, issues in found.items():
        for one in issues:
            light = name in listed or (one.level == "warning" and not nothing_left)
            yield replace(one, level="warning" if light else "error")
    yield from _lists(config, listed)
    yield from _files(config)
    if config.duplicates is not None:
        for place in config.duplicates.evaluation:
            if not os.path.exists(os.path.expanduser(place)):
                fix = "give a JSONL file, a folder of audio, or a folder of shards"
                yield error(f"duplicates.evaluation: {place}", "does not exist", fix)
        for place in config.duplicates.against:
            if (answer := probe_exists(Run(place).uri("run.json"))) is not True:
                cause = "is no run (run.json is missing)" if answer is False else f"cannot be read ({answer})"
                yield error(
                    f"duplicates.against: {place}",
                    cause,
                    "name the folder or bucket prefix of a run",
                    external=answer is not False,
                )


def own_folders(config: RunConfig, run: Run) -> Iterator[Issue]:
    """Sources that are the run's own folder: what it fetches and writes would be listed as if somebody had put it there."""
    if not run.is_local:
        return
    root = os.path.realpath(run.root)
    for source in config.sources:
        for address in filter(is_local, source.addresses):
            if os.path.isdir(root) and os.path.realpath(os.path.expanduser(file_path(address.strip()))) == root:
                yield error(
                    f"source {source.name}: {address}", "is the run's own folder", "give the run another one with --out"
                )


def is_placeholder(address: str) -> bool:
    """Whether an address is a recipe's placeholder, or on a host reserved for examples (RFC 2606)."""
    host = ""
    with suppress(ValueError):
        host = (urlsplit(address).hostname or "") if is_web(address) else ""
    return address in PLACEHOLDER or any(
        host == f"example.{end}" or host.endswith(f".example.{end}") for end in ("org", "com", "net")
    )


def _of_source(source: SourceConfig, contact: str | None) -> Iterator[Issue]:
    thing = f"source {source.name}:"
    for address in (one.strip() for one in source.addresses):
        if is_placeholder(address):
            yield warning(f"{thing} {public_address(address)}", "is a recipe's placeholder", PUT_YOURS)
        elif is_web(address):
            continue
        elif not is_openable(address):
            yield warning(
                f"{thing} {public_address(address)}",
                "cannot be opened",
                f"http, https, a local path, or one of {', '.join(STORES)}",
            )
        elif is_local(address):
            yield from _local(thing, source, address, contact)
        elif can_open(address) and (answer := probe_exists(address)) is not True:
            cause = "does not exist" if answer is False else f"cannot be read ({answer})"
            yield error(
                f"{thing} {public_address(address)}",
                cause,
                "check the name, the credentials and the network",
                external=answer is not False,
            )


def _local(thing: str, source: SourceConfig, address: str, contact: str | None) -> Iterator[Issue]:
    path = os.path.expanduser(file_path(address))
    one_file = (kind_by_name(path) if source.kind == "auto" else source.kind) == "media"
    level: Literal["warning", "error"] = "warning" if one_file else "error"
    if not os.path.lexists(path):
        fix = f"correct the path (it is looked for in {os.getcwd()})" if not os.path.isabs(path) else "correct the path"
        yield Issue(level, f"{thing} {path}", "does not exist", fix)
    elif not os.path.exists(path):
        yield Issue(level, f"{thing} {path}", "is a broken link", "correct the link, or give the file that it should point to")
    elif not os.access(path, os.R_OK | (os.X_OK if os.path.isdir(path) else 0)):
        yield error(
            f"{thing} {path}", "cannot be read", "its permissions do not let you: chmod, or run as its owner", external=True
        )
    elif source.kind == "files" and not os.path.isdir(path):
        yield error(f"{thing} {path}", "is no folder, and kind is `files`", "give a folder, or leave `kind` out")
    elif source.kind not in ("auto", "files", *CORPORA) and os.path.isdir(path):
        yield error(f"{thing} {path}", f"is a folder, and kind is `{source.kind}`", "give a file, or leave `kind` out")
    elif os.path.isdir(path):
        if source.kind in CORPORA or (source.kind == "auto" and told_kind(path)):
            return
        if next(files.unordered_files(path, source.glob), None) is None:
            what = f"that match `{source.glob}`" if source.glob else "of audio or video"
            fix = "give another folder, or set `glob` to what its files are called"
            if below := told_below(path):
                fix = f"its folder `{below[0]}` is {below[1].title}: give that, or set `kind: {below[1].kind}`"
            yield warning(f"{thing} {path}", f"holds no files {what}", fix)
    elif contact is None and os.path.isfile(path) and (web := _first_web(source, path)):
        fix = "state `crawl.contact` (--contact), a web page or an e-mail address that site owners can write to"
        names = (
            "is a feed, which names web addresses"
            if kind_of(source, path) == "feed"
            else f"names web addresses ({public_address(web)})"
        )
        yield error(f"{thing} {path}", names, fix)


def _lists(config: RunConfig, listed: Collection[str]) -> Iterator[Issue]:
    """Lists that cannot be read or are empty: only warnings, because the run records them and goes on."""
    for source in config.sources:
        for address in source.addresses if source.name not in listed else ():
            path = os.path.expanduser(file_path(address.strip())) if is_local(address) else ""
            if os.path.isfile(path) and os.access(path, os.R_OK) and (wrong := _no_list(source, path)):
                fix = "one address or path a line, or a column `url`"
                yield warning(f"source {source.name}: {path}", f"is no list that can be read ({wrong})", fix)


def _no_list(source: SourceConfig, path: str) -> str | None:
    """What is wrong with the first lines of a list; None if nothing is."""
    if kind_of(source, path) != "list":
        return None
    try:
        rows = list(islice(read_list(files.read_file(path), path), LINES))
    except (CrawlError, ValueError) as wrong:
        return str(wrong)
    if all(row.broken for row in rows):
        return next((row.broken for row in rows), "it names nothing")
    return None


def kind_of(source: SourceConfig, path: str) -> str | None:
    """What a file is, by what its source says, by what it shows, or by its name."""
    if source.kind != "auto":
        return source.kind
    told = told_kind(path)
    return told.kind if told else kind_by_name(path)


def _first_web(source: SourceConfig, path: str) -> str | None:
    """The first web address that a list, feed or manifest names."""
    kind = kind_of(source, path)
    try:
        if kind == "list":
            return next((row.url for row in read_list(files.read_file(path), path) if is_web(row.url)), None)
        if kind == "manifest":
            return next((found.url for found in read_manifest(path) if is_web(found.url)), None)
    except CrawlError:  # listing it says what is wrong with it
        return None
    return f"of {os.path.basename(path)}" if kind in ("feed", "page", "playlist") else None


def _files(config: RunConfig) -> Iterator[Issue]:
    if (calibration := config.select.calibration) is not None:
        try:
            load_calibration(calibration)
        except UserError as wrong:
            yield error("select.calibration:", str(wrong), "give what `voxmill calibrate` wrote")
        except OSError as failure:
            yield error(
                f"select.calibration: {calibration}",
                f"cannot be read ({failure.strerror})",
                "give what `voxmill calibrate` wrote",
            )
    for place in config.crawl.deny_files:
        try:
            read_entries(place)
        except (UserError, OSError, ValueError, ImportError) as wrong:
            yield error(
                f"crawl.deny_files: {place}", f"cannot be read ({wrong})", "nothing is fetched without it: correct the path"
            )
    if config.crawl.ca_file and not os.path.isfile(config.crawl.ca_file):
        yield error(f"crawl.ca_file: {config.crawl.ca_file}", "does not exist", "give a PEM file, or leave it out")
    if config.redact is not None and config.redact.model and not os.path.isdir(os.path.expanduser(config.redact.model)):
        yield error(
            f"redact.model: {config.redact.model}", "is no folder", "give the folder of a spaCy pipeline, or leave it out"
        )


def probe_exists(uri: str) -> bool | str:
    """Whether a path or URL exists; a string says why that could not be found out (timeout, credentials, a missing package)."""
    if is_local(uri):
        return os.path.exists(os.path.expanduser(file_path(uri)))

    def ask() -> bool:
        with wait_at_most(0.8 * STORE_SECONDS):
            return exists(uri) or is_folder(uri)

    return within_timeout(ask)


def within_timeout(call: Callable[[], bool], seconds: float = STORE_SECONDS) -> bool | str:
    """The answer of a store, or a string that says why there is none. A call that never returns keeps its thread, not the command."""
    pool = ThreadPoolExecutor(1)
    try:
        return bool(pool.submit(call).result(timeout=seconds))
    except NotInTime:
        return f"no answer within {seconds:.0f} s"
    except ImportError as cause:
        return f"{cause.name} is not installed"
    except Exception as cause:  # noqa: BLE001 - every store has errors of its own
        return public_text(" ".join(str(cause).split())[:200]) or type(cause).__name__
    finally:
        pool.shutdown(wait=False)


def hosts_of(config: RunConfig) -> dict[tuple[str, int], list[str]]:
    """(host, port) -> names of the sources with an address there."""
    found: dict[tuple[str, int], list[str]] = {}
    for source in config.sources:
        for address in map(str.strip, source.addresses):
            if is_web(address):
                with suppress(ValueError):
                    parts = urlsplit(address)
                    if parts.hostname:
                        port = parts.port or (443 if parts.scheme.lower() == "https" else 80)
                        found.setdefault((parts.hostname, port), []).append(source.name)
    return found

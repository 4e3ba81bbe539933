"""A Voxmill manifest as a source: its recordings, fetched from where they are stored, with their facts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from voxmill.manifests.parquet import read_records
from voxmill.manifests.records import Recording
from voxmill.manifests.schema import SchemaError
from voxmill.manifests.storage import locate
from voxmill.operators.crawl.facts.candidate import Candidate
from voxmill.operators.crawl.facts.crawl_errors import Unreadable
from voxmill.operators.crawl.facts.urls import file_path, file_uri, is_local


def read_manifest(address: str) -> Iterator[Candidate]:
    """One candidate per recording without a rejection; `page_url` keeps its original address.

    Raises Unreadable.
    """
    place = file_path(address)
    if "::" in place:
        raise Unreadable(f"{address}: fsspec would take it for a chain of addresses")
    try:
        recordings = read_records(place, Recording)
    except (SchemaError, OSError, ValueError) as error:
        raise Unreadable(f"{address} is no manifest of recordings: {error}") from error
    root = _run_of(place)
    for recording in recordings:
        if recording.rejection is None:
            yield _found(recording, root)


def _found(recording: Recording, root: str) -> Candidate:
    came = recording.provenance
    found = Candidate(
        url=came.url,
        page_url=came.page_url,
        title=came.title,
        author=came.author,
        published=came.published,
        licence=recording.licence,
        language=recording.language,
        domain=recording.domain,
        host=came.host,
        seconds=recording.seconds or None,
    )
    if not recording.audio:
        return found
    uri = recording.audio
    if "://" not in uri:
        uri = uri if os.path.isabs(uri) else f"{root.rstrip('/')}/{uri}"
        uri = file_uri(uri) if is_local(uri) else uri
    return replace(found, url=uri, kind="manifest", page_url=came.url)


def _run_of(place: str) -> str:
    """The run that a manifest lies in: the nearest folder above it that holds run.json, else the manifest's own folder."""
    fs, path = locate(place)
    folder = path.rsplit("/", 1)[0]
    above = folder
    while "/" in above.strip("/"):
        if fs.exists(f"{above}/run.json"):
            return str(fs.unstrip_protocol(above)) if not is_local(place) else above
        above = above.rsplit("/", 1)[0]
    return str(fs.unstrip_protocol(folder)) if not is_local(place) else folder

"""Attribution tables: whose recordings are in the shards, one table for each split and licence.

    shards/__metadata__/attribution/{split}-{licence}.tsv

One line for each recording, with what its licence requires to be named. Written from the committed shards whenever they change; deterministic.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

from voxmill.manifests.public_form import public_recording
from voxmill.manifests.records import SAMPLE_RATE, Recording
from voxmill.manifests.storage import commit_bytes, remove
from voxmill.pipeline.state.metadata_overrides import Amendments, amend
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import names_in
from voxmill.sharding.layout import slug
from voxmill.sharding.sample import portable
from voxmill.sharding.shard_files import METADATA
from voxmill.sharding.sidecar import committed, read_members_table

FOLDER = (METADATA, "attribution")
OLD_FOLDER = "attribution"
"""Where packers before version 3 wrote the tables."""
COLUMNS = ("recording_id", "title", "author", "attribution", "licence", "evidence", "url", "page", "samples", "seconds")


def write_attribution(run: Run, amendments: Amendments) -> list[str]:
    """Writes the tables of the committed shards, removes stale ones, and returns the names of those written."""
    classes: dict[str, dict[str, tuple[int, int]]] = {}
    for shard in committed(run.shards_dir):
        recordings = classes.setdefault(f"{shard.split}-{slug(shard.licence)}.tsv", {})
        rows = read_members_table(run.shards_dir, shard).group_by("recording_id")
        for row in rows.aggregate([("num_samples", "count"), ("num_samples", "sum")]).to_pylist():
            count, length = recordings.get(row["recording_id"], (0, 0))
            recordings[row["recording_id"]] = (count + row["num_samples_count"], length + row["num_samples_sum"])
    wanted = {key for recordings in classes.values() for key in recordings}
    listed = run.listing.each_recording() if wanted else ()
    known = {r.id: public_recording(amend(r, amendments)) for r in listed if r.rejection is None and r.id in wanted}
    for name, recordings in classes.items():
        commit_bytes(run.uri("shards", *FOLDER, name), table(recordings, known), replace=True)
    for stale in sorted(names_in(run.uri("shards", *FOLDER)) - classes.keys()):
        remove(run.uri("shards", *FOLDER, stale))
    for old in sorted(names_in(run.uri("shards", OLD_FOLDER))):
        remove(run.uri("shards", OLD_FOLDER, old))
    return sorted(classes)


def table(recordings: Mapping[str, tuple[int, int]], known: Mapping[str, Recording]) -> bytes:
    """One table as TSV with a header, sorted by recording id. `recordings` maps id -> (samples in shards, total length in audio samples)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, dialect="excel-tab", lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_line(known[key], *recordings[key]) for key in sorted(recordings))
    return text.getvalue().encode()


def _line(recording: Recording, count: int, length: int) -> Iterable[str]:
    origin, licence = recording.provenance, recording.licence
    cells = (recording.id, origin.title, origin.author, licence.attribution, licence.name, portable(licence.evidence))
    return (
        *(" ".join((cell or "").split()) for cell in cells),
        portable(origin.url) or "",
        portable(origin.page_url) or "",
        str(count),
        f"{length / SAMPLE_RATE:.3f}",
    )

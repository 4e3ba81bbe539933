"""Whether the output folder or bucket of a run can be written. Probe files are removed again."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fsspec

from voxmill.manifests.storage import NondeterministicError, commit_bytes, remove, wait_at_most
from voxmill.operators.crawl.facts.urls import file_path
from voxmill.pipeline.preflight.issues import Issue, error, warning
from voxmill.pipeline.preflight.places import STORE_SECONDS, within_timeout
from voxmill.pipeline.state.driver_lease import Lease
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError

NEEDED_MB, WISE_MB = 50, 2000
"""Free disk below which a run is refused, and below which there is a warning."""


READ_ONLY = ("http", "https", "data", "git", "github", "zip", "tar", "libarchive", "reference")
"""Protocols of fsspec that cannot be written."""


def unwritable(run: Run) -> Iterator[Issue]:
    """Issues of the output: it cannot be created or written, the disk is nearly full, or another driver holds the run."""
    issues = list(_local(run) if run.is_local else _bucket(run))
    yield from issues
    if not any(one.level == "error" for one in issues):
        try:
            Lease(run).refuse()
        except RunError as cause:
            text, _, fix = str(cause).partition(": ")
            yield error(run.root, text.removeprefix(f"{run.root} "), fix, external=True)
        except OSError as cause:
            named = cause.errno in (errno.ENAMETOOLONG, errno.ELOOP)
            yield error(
                f"--out {run.root}", f"cannot be read ({cause})", "check the place and its permissions", external=not named
            )


def _local(run: Run) -> Iterator[Issue]:
    thing, place = f"--out {run.root}", Path(os.path.abspath(os.path.expanduser(file_path(run.root))))
    above = next((p for p in (place, *place.parents) if os.path.lexists(p)), Path("/"))
    if not above.exists():
        yield error(thing, f"cannot be created: {above} is a broken link", "correct the link, or give another place")
        return
    if not above.is_dir():
        cause = "is a file" if above == place else f"cannot be created: {above} is a file"
        yield error(thing, cause, "a run is a folder: give another place")
        return
    try:
        with tempfile.TemporaryFile(dir=above) as probe:
            probe.write(b"?")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as cause:
        yield error(
            thing,
            f"cannot be written ({_words(cause)} in {above})",
            "give another place, or change its permissions",
            external=True,
        )
        return
    free = shutil.disk_usage(above).free / 1e6
    if free < NEEDED_MB:
        yield error(thing, f"has no room: {free:.0f} MB are free", "make room, or give another place", external=True)
    elif free < WISE_MB:
        yield warning(thing, f"has little room: {free:.0f} MB are free", "`voxmill plan` says what a run will need")


def _bucket(run: Run) -> Iterator[Issue]:
    scheme = run.root.partition("://")[0].lower()
    if scheme not in fsspec.available_protocols() or scheme in READ_ONLY:
        cause = "is read only" if scheme in READ_ONLY else f"names an unknown protocol (`{scheme}`)"
        yield error(f"--out {run.root}", cause, "a folder, or a bucket prefix: s3://…, gs://…, az://…")
        return

    probe = run.uri(f".voxmill-probe-{secrets.token_hex(8)}")
    answer = within_timeout(lambda: _refuses_to_overwrite(probe))
    if isinstance(answer, str):
        yield error(
            f"--out {run.root}",
            f"cannot be written ({answer})",
            "check the bucket's name, the credentials and the network",
            external=True,
        )
    elif not answer:
        yield warning(
            f"--out {run.root}",
            "is in a store that overwrites where it is told to create (it ignores `If-None-Match`)",
            "never let two drivers write this run at once, and better take a newer version of the store",
        )


def _refuses_to_overwrite(probe: str) -> bool:
    """Writes a file, tries to create it again, and removes it: whether the store refused."""
    with wait_at_most(0.8 * STORE_SECONDS):
        try:
            commit_bytes(probe, b"first", _unheard)
            commit_bytes(probe, b"second", _unheard)
        except NondeterministicError:
            return True
        finally:
            remove(probe, _unheard)
        return False


def _unheard(event: str, uri: str) -> None:
    """A probe is no step of a run."""


def _words(cause: OSError) -> str:
    return "no permission" if isinstance(cause, PermissionError) else (cause.strerror or type(cause).__name__).lower()

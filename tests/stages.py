"""Operators that tests run through the real worker and executors: simple, and some with a poisoned member."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import replace

from voxmill.manifests.ids import segment_id
from voxmill.manifests.records import Recording, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.pipeline.stage import StageKind
from voxmill.pipeline.stages import KINDS


def kind(name: str) -> StageKind:
    """The kind of that name, as the pipeline has it."""
    return next(one for one in KINDS if one.name == name)


class WholeParts:
    """One segment for every part."""

    def __call__(self, work: UnitInput) -> list[Segment]:
        return [Segment(segment_id(p.recording_id, p.start, p.end), p.recording_id, p.start, p.num_samples) for p in work.parts]


class Decoded:
    """Recordings as they come; raises on one titled `bad`, kills its process on one titled `poison`."""

    def __call__(self, work: UnitInput) -> list[Recording]:
        for recording in work.recordings:
            if recording.provenance.title == "bad":
                raise ValueError("cannot be decoded")
            if recording.provenance.title == "poison":
                os.kill(os.getpid(), signal.SIGKILL)
        return [replace(r, num_samples=16000) for r in work.recordings]


class Broken:
    """Fails on everything in the same way, as with missing weights."""

    def __call__(self, work: UnitInput) -> list[Recording]:
        raise RuntimeError("no weights")


class Stopped:
    """Fails on several members at once; is stopped (as by Ctrl-C) while it works on the one titled `stop`."""

    def __call__(self, work: UnitInput) -> list[Recording]:
        if len(work.recordings) > 1:
            raise ValueError("too much at once")
        if work.recordings[0].provenance.title == "stop":
            raise SystemExit(1)
        return list(work.recordings)


class OneByOne:
    """Fails on several members at once, and on none alone."""

    def __call__(self, work: UnitInput) -> list[Recording]:
        if len(work.recordings) > 1:
            raise ValueError("too much at once")
        return list(work.recordings)


class Uninstalled:
    """Needs a package that is not there."""

    def __init__(self) -> None:
        import a_package_that_is_not_installed  # type: ignore[import-not-found]  # noqa: F401

    def __call__(self, work: UnitInput) -> list[Recording]:
        raise AssertionError("never made")


class DiskFull:
    """Has no room for what it makes of the recording titled `large`."""

    def __call__(self, work: UnitInput) -> list[Recording]:
        if any(r.provenance.title == "large" for r in work.recordings):
            raise OSError(errno.ENOSPC, "No space left on device", "/tmp/x")
        return list(work.recordings)


class OutOfGpu:
    """A device without room, in words that differ from one input to the next, as CTranslate2 has them."""

    def __call__(self, work: UnitInput) -> list[Recording]:
        raise RuntimeError(
            f"CUDA failed with error out of memory: tried to allocate {len(work.recordings[0].id)}.{work.unit} MiB"
        )


class Unwell:
    """Works until it is told otherwise, then fails on everything, in other words for every recording."""

    well = True

    def __call__(self, work: UnitInput) -> list[Recording]:
        for recording in work.recordings:
            if not self.well or recording.provenance.title == "bad":
                raise RuntimeError(f"unspecified launch failure at {recording.id}")
        return list(work.recordings)


class Lost:
    """Cannot find the audio of the recording titled `lost`."""

    def __call__(self, work: UnitInput) -> list[Recording]:
        for recording in work.recordings:
            if recording.provenance.title == "lost":
                raise ValueError(f"no file at {recording.audio}, says {object()}")
        return list(work.recordings)

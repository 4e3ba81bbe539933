"""A packer that cannot read all of its audio. Not in jobs.py, since few of the workers that import that file pack anything."""

from __future__ import annotations

import errno
import os
import signal

from voxmill.manifests.records import Recording
from voxmill.operators.contract.adapters import Audio
from voxmill.pipeline.packing.packer import Packer


class SpoiltPacker(Packer):
    """Cannot decode beyond a certain place, which it finds in the recording's title: `fails 3`, `kills 3`, `full 3` (s)."""

    def _read(self, recording: Recording, start: int, num_samples: int) -> Audio:
        fault, _, second = str(recording.provenance.title).partition(" ")
        if second.isdigit() and int(second) * 16000 < start + num_samples:
            if fault == "kills":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, "No space left on device") if fault == "full" else ValueError(f"spoilt at {second} s")
        return super()._read(recording, start, num_samples)

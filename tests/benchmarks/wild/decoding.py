"""The operator `decode` on many files in one process, with somebody who watches it: a crash or a hang costs one file, and is seen.

python decoding.py < paths > lines of JSON
"""

from __future__ import annotations

import json
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PATIENCE = 30.0
"""Seconds that one file of a few seconds may take on a busy machine."""


@dataclass(frozen=True)
class Decoded:
    reason: str
    """`kept`, a reason, or what went wrong: `killed`, `hangs`, `raised`."""
    seconds: float = 0.0
    lost: float = 0.0
    why: str = ""
    wall_s: float = 0.0
    peak_mb: float = 0.0


def decoded(paths: Sequence[Path], log: Path) -> list[Decoded]:
    """In the order of the paths. What the process says on its terminal goes to `log`."""
    results: list[Decoded] = []
    while len(results) < len(paths):
        with log.open("ab") as errors, _start(errors) as process:
            assert process.stdin
            assert process.stdout
            process.stdin.write(b"".join(os.fsencode(path) + b"\n" for path in paths[len(results) :]))
            process.stdin.close()
            while len(results) < len(paths):
                ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
                line = process.stdout.readline() if ready else b""
                if not line:
                    process.kill()
                    results.append(Decoded("killed" if ready else "hangs"))
                    break
                results.append(Decoded(**json.loads(line)))
    return results


def _start(errors: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0)


def main() -> None:
    from voxmill.manifests.records import Licence, Provenance, Recording
    from voxmill.operators.contract.unit_input import UnitInput
    from voxmill.operators.decode.probe import Decode, DecodeConfig

    decode = Decode(DecodeConfig())
    for line in sys.stdin.buffer.read().splitlines():
        path, began = os.fsdecode(line), time.monotonic()
        recording = Recording("r", "i", Provenance("wild", path), Licence(), audio=path)
        try:
            [row] = decode(UnitInput("u", recordings=(recording,)))
            found = {
                "reason": row.rejection.reason if row.rejection else "kept",
                "seconds": row.num_samples / 16000,
                "lost": row.lost_samples / 16000,
                "why": row.lost_why or (row.rejection.detail if row.rejection else ""),
            }
        except Exception as error:  # noqa: BLE001 - it would be a `decode.failed`
            found = {"reason": "raised", "why": f"{type(error).__name__}: {error}"}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(json.dumps({**found, "wall_s": round(time.monotonic() - began, 3), "peak_mb": peak}), flush=True)


if __name__ == "__main__":
    main()

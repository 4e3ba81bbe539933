"""`make bench-memory`: peak memory of every worker on recordings of 30 min, 1 h and 3 h with the same seconds of speech.

A worker holds one unit's audio, so the length of the file must not matter. Under FULL=1 also a 3 h recording that is all speech.
The peak is what the system counted for each worker process (VmHWM), read from the ledger's costs. It never sinks, and one process does all
stages of a unit: what stands at a stage is the largest that anything before it was. So lengths are compared by the largest worker.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parents[1])

import pyarrow.parquet as pq

from benchmarks.report import finish, full_form, heading, table
from benchmarks.runs import MOONSHINE, WHISPERX, config, files, run_or_exit, verified
from speech.joined import joined
from speech.waves import RATE, Pcm, read_wave

MINUTES = (30, 60, 180)
SPEECH_S = 120


def recording(path: Path, minutes: int, speech: list[Pcm], *, dense: bool = False) -> Path:
    """Speech spread evenly over a quiet room, or filling it; written as FLAC block by block."""
    import soundfile

    total, room = minutes * 60 * RATE, np.random.default_rng(0)
    gap = 0 if dense else (total - sum(map(len, speech))) // len(speech)
    with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC", subtype="PCM_16") as out:
        written = clip = 0
        while written < total:
            piece = speech[clip % len(speech)]
            out.write(piece)
            written += len(piece)
            left = min(gap, total - written)
            while left > 0:
                block = min(left, 60 * RATE)
                out.write(room.normal(0, 15, block).astype(np.int16))
                left -= block
                written += block
            clip += 1
            if not dense and clip == len(speech):
                break
    return path


def peaks(root: Path) -> dict[str, float]:
    """Largest resident memory of any worker, by stage, in MB."""
    found: dict[str, float] = {}
    for path in (root / "manifests").rglob("*.costs.parquet"):
        stage = path.relative_to(root / "manifests").parts[0]
        peak = max(int(n or 0) for n in pq.read_table(path, columns=["max_rss_bytes"])["max_rss_bytes"].to_pylist())
        found[stage] = max(found.get(stage, 0.0), peak / 1e6)
    return found


def main() -> None:
    full = full_form(sys.argv)
    speech = [read_wave(r.path) for r in joined("en", 8, SPEECH_S / 8, seed=3)]
    heading(
        "bench-memory",
        full,
        f"{SPEECH_S} s of real speech in 30 min, 1 h and 3 h of a quiet room",
        ["av", "ctranslate2", "onnxruntime", "torch"],
    )
    cases = [(f"{m} min", m, False) for m in MINUTES] + ([("180 min, all speech", 180, True)] if full else [])
    engines = [WHISPERX, MOONSHINE]
    results: dict[str, dict[str, float]] = {}
    sound = True
    with tempfile.TemporaryDirectory(prefix="voxmill-memory-") as folder:
        for name, minutes, dense in cases:
            root = Path(folder) / name.replace(" ", "-").replace(",", "")
            path = recording(root.with_suffix(".flac"), minutes, speech, dense=dense)
            settings = config(files([path], language="en"), engines, executor={"kind": "local"}, units={"seconds": 600})
            run_or_exit(root, settings)
            results[name] = peaks(root)
            sound &= verified(root)
    stages = sorted(results["30 min"])
    table(("peak RSS, MB", *results), [(s, *(f"{results[c].get(s, 0):.0f}" for c in results)) for s in stages])
    worst = {name: max(values.values()) for name, values in results.items()}
    ratio = worst["180 min"] / worst["30 min"]
    finish(
        "bench-memory",
        {"peak_mb": results, "ratio_180_to_30": round(ratio, 3)},
        {
            "3 h / 30 min": {"value": round(ratio, 3), "target": "<= 1.1, largest worker", "met": ratio <= 1.1},
            "peak": {"value": f"{max(worst.values()):.0f} MB", "target": "< 2000 MB", "met": max(worst.values()) < 2000},
            "verify": {"value": sound, "target": "holds", "met": sound},
        },
        full,
    )


if __name__ == "__main__":
    main()

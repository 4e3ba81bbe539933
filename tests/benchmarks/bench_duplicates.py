"""Are near duplicates found, and nothing else? Real speech with planted copies, through the whole line with a real engine.

Copies are re-encoded (MP3 at 32 kbit/s, Opus at 24), resampled (8 kHz and 44.1 kHz), trimmed, made 6 dB louder, and sped up 1.05 times; they
are listed after all originals. A second form plants clips of an evaluation set in recordings of their own and asks that no segment with
any of them is left. By sound, by text, and by both; by sound only where the library Chromaprint is here or can be had from Debian.

Then the comparison itself at length: made-up keys, as many as speech of so many hours has, each size in a process of its own: all of it new, and
a hundredth of it new.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import runs
from benchmarks.report import Target, finish, full_form, heading, table
from speech.chromaprint import library_path
from speech.joined import Joined, joined
from speech.prompts import prompts
from speech.waves import RATE, join, read_wave, write_wave
from voxmill.manifests.catalog import open_catalog
from voxmill.pipeline.duplicates.shared_keys import HOLDERS, SharedKeys

Pcm = NDArray[np.float64]

KEYS_AN_HOUR = 29_000
"""Of sound: about eight values a second."""


def encoded(samples: Pcm, rate: int, kind: str, subtype: str | None = None) -> bytes:
    blob = io.BytesIO()
    soundfile.write(blob, samples / 32768, rate, format=kind, subtype=subtype)
    return blob.getvalue()


def faster(samples: Pcm, factor: float) -> Pcm:
    places = np.arange(int(len(samples) / factor)) * factor
    return np.asarray(np.interp(places, np.arange(len(samples)), samples))


def louder(samples: Pcm) -> Pcm:
    return np.clip(samples * 10 ** (6 / 20), -32768, 32767)


COPIES: dict[str, tuple[str, Callable[[Pcm], bytes]]] = {
    "mp3": (".mp3", lambda x: encoded(x, RATE, "MP3")),
    "opus": (".ogg", lambda x: encoded(x, RATE, "OGG", "OPUS")),
    "8 kHz": (".wav", lambda x: encoded(resample_poly(x, 1, 2), 8000, "WAV", "PCM_16")),
    "44.1 kHz": (".flac", lambda x: encoded(resample_poly(x, 441, 160), 44100, "FLAC", "PCM_16")),
    "trimmed": (".wav", lambda x: encoded(x[int(1.7 * RATE) : -int(2.1 * RATE)], RATE, "WAV", "PCM_16")),
    "+6 dB": (".wav", lambda x: encoded(louder(x), RATE, "WAV", "PCM_16")),
    "1.05x": (".wav", lambda x: encoded(faster(x, 1.05), RATE, "WAV", "PCM_16")),
}


def main() -> None:
    full = full_form(sys.argv[1:])
    count, each, seconds = (56, 8, 18.0) if full else (24, 3, 14.0)
    where = library_path()
    originals = joined("en", count, seconds, seed=4)
    taken = {clip.id for one in originals for _, _, clip in one.said}
    data = f"{count} recordings of real prompts, {seconds:g} s each; {each} copies of each of {len(COPIES)} kinds; evaluation clips in 4 more"
    heading("bench-duplicates", full, data, ("voxmill", "duckdb", "pyacoustid", "moonshine-onnx"))
    with tempfile.TemporaryDirectory(prefix="voxmill-duplicates-") as folder:
        home = Path(folder)
        copies = planted(home, originals, each)
        clips, hosts = evaluation(home, taken)
        paths = {f"r{i:03d}": one.path for i, one in enumerate(originals)} | copies | hosts
        sources = runs.files(paths, language="en")
        rows, figures, targets = [], dict[str, Any](), dict[str, Target]()
        root = home / "run"
        for name, by in (("text", ["text"]), ("sound", ["acoustic"]), ("both", ["acoustic", "text"])):
            if "acoustic" in by and where is None:
                print("  Chromaprint is not here and cannot be had from Debian: by text only\n")
                continue
            config = settings(sources, by, clips)
            cost = runs.run_or_exit(root, config, env={"LD_LIBRARY_PATH": where or ""})
            found = judged(root, {str(p.resolve()): n for n, p in paths.items()})
            scores = score(found, copies, set(paths) - set(copies) - set(hosts))
            left = contaminated(root, clips)
            rows.append(
                (
                    name,
                    *(f"{scores[k]:.3f}" for k in ("precision", "recall")),
                    *(scores["by kind"][k] for k in COPIES),
                    str(left),
                )
            )
            figures[name] = {**scores, "evaluation_segments_left": left, "run_s": round(cost.wall_s, 1)}
        table(("by", "precision", "recall", *COPIES, "eval. left"), rows)
        best = "both" if "both" in figures else "text"
        for key in ("precision", "recall"):
            value = figures[best][key]
            targets[f"{key}, by {best}"] = {"value": round(value, 3), "target": ">= 0.95", "met": value >= 0.95}
        left = figures[best]["evaluation_segments_left"]
        targets["evaluation clips left"] = {"value": left, "target": f"0 of {len(clips)} clips", "met": left == 0}
        holds, stable = runs.verified(root), appended(home, root, config, originals)
        worst = at_length((20, 200, 2000) if full else (20, 200, 600))
        targets["memory of the comparison, any size (MB)"] = {"value": worst, "target": "<= 2000", "met": worst <= 2000}
        targets["verify holds"] = {"value": holds, "target": "True", "met": holds}
        targets["verdicts changed by appending"] = {"value": stable, "target": "0", "met": stable == 0}
    finish("bench-duplicates", figures, targets, full)


def at_length(sizes: tuple[int, ...]) -> int:
    """Prints a row for each number of hours and share of it that is new. Returns the most memory of any (MB)."""
    rows, worst = [], 0
    for hours in sizes:
        for new in (1.0, 0.01):
            asked = [sys.executable, __file__, "--hours", str(hours), str(new)]
            done = subprocess.run(asked, capture_output=True, text=True, check=True)
            keys, seconds, memory, disk = json.loads(done.stdout)
            rows.append((f"{hours:,}", f"{new:.0%}", f"{keys:,}", f"{seconds:.1f}", f"{memory:,}", f"{disk:,}"))
            worst = max(worst, memory)
    print()
    table(("hours", "new", "keys held", "seconds", "memory MB", "on disk MB"), rows)
    return worst


def compare_made_up(hours: int, new: float) -> None:
    """Keys of sound of that many hours, every fiftieth hour a copy of the first. Prints keys, seconds, MB of memory and of disk."""
    began, places, fresh = time.perf_counter(), np.arange(KEYS_AN_HOUR, dtype=np.int32), hours - round(hours * new)

    def keys(hour: int) -> NDArray[np.int64]:
        return np.random.default_rng(hour if hour % 50 else 0).integers(-(2**62), 2**62, KEYS_AN_HOUR)

    with tempfile.TemporaryDirectory(prefix="voxmill-length-") as folder:
        shared = SharedKeys(folder, "sound", 2)
        for hour in range(fresh, hours):
            for speed in range(3):
                shared.ask(hour, keys(hour) + speed, places, speed)
        for hour in range(hours):
            shared.hold(hour, keys(hour), places)
        found = {(one.entry, one.holder) for one in shared.partners()}
        copies = range(0, hours, 50)
        wanted = {(one, other) for one in copies for other in copies[:HOLDERS] if other < one and one >= fresh}
        if found != wanted:
            sys.exit(f"{len(found)} pairs were found in place of {len(wanted)}")
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps([hours * KEYS_AN_HOUR, time.perf_counter() - began, memory, disk >> 20]))


def settings(sources: list[dict[str, Any]], by: list[str], clips: dict[str, str]) -> dict[str, Any]:
    manifest = Path(next(iter(clips))).parent / "evaluation.jsonl"
    manifest.write_text("".join(json.dumps({"audio_filepath": p, "text": t, "lang": "en"}) + "\n" for p, t in clips.items()))
    return runs.config(
        sources,
        [runs.MOONSHINE],
        units={"seconds": 60},
        select={"single_high": 0.6, "single_weak": 0.4, "single_unlabelled": 0.0, "keep_unlabelled": True, "rate_fence": None},
        duplicates={"by": by, "evaluation": [str(manifest)]},
        pack={"buckets": 2},
        executor={"kind": "local"},
    )


def planted(home: Path, originals: list[Joined], each: int) -> dict[str, Path]:
    """`<original>-<kind>` to file; the originals are taken in turn."""
    copies = {}
    for kind_number, (kind, (suffix, make)) in enumerate(COPIES.items()):
        for k in range(each):
            number = (kind_number * each + k) % len(originals)
            path = home / f"copy-{number:03d}-{kind_number}-{k}{suffix}"
            path.write_bytes(make(np.asarray(read_wave(originals[number].path), np.float64)))
            copies[f"r{number:03d}/{kind}/{k}".replace(" ", "").replace("/", "_")] = path
    return copies


def evaluation(home: Path, taken: set[str]) -> tuple[dict[str, str], dict[str, Path]]:
    """Clips that no original holds, with their words; and recordings in which each lies among other speech."""
    free = [p for p in prompts("es") if p.num_samples > 3 * RATE][:8]
    clean = [p for p in prompts("en") if p.id not in taken and p.num_samples > 3.5 * RATE and len(p.text.split()) >= 8]
    clips, hosts = {}, {}
    for number, clip in enumerate(clean[:8]):
        path = home / "evaluation" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        write_wave(path, read_wave(clip.path))
        clips[str(path)] = clip.text
    for number in range(4):
        inside = [read_wave(p.path) for p in (*clean[2 * number : 2 * number + 2], free[number])]
        samples, _ = join(inside, [RATE // 2, RATE, RATE, RATE // 2])
        hosts[f"host{number}"] = home / f"host-{number}.wav"
        write_wave(hosts[f"host{number}"], samples)
    return clips, hosts


def judged(root: Path, names: dict[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Source name to its (reason, partner's source name)."""
    rows = open_catalog(str(root)).execute(
        "SELECT r.provenance.source, d.reason, p.provenance.source FROM duplicates d JOIN recordings r ON r.id = d.recording_id "
        "LEFT JOIN recordings p ON p.id = d.partner WHERE r.rejection IS NULL"
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for source, reason, partner in rows.fetchall():
        found.setdefault(source, []).append((reason, partner or ""))
    return found


def score(found: dict[str, list[tuple[str, str]]], copies: dict[str, Path], originals: set[str]) -> dict[str, Any]:
    """A copy is found where its verdict names its original, or another copy of it; an original must have no verdict."""
    said = {n: {p.split("_")[0] for reason, p in rows if reason == "select.duplicate"} for n, rows in found.items()}
    right = [name for name in copies if said.get(name) == {name.split("_")[0]}]
    wrong = [name for name in originals if said.get(name)] + [n for n in copies if said.get(n) and n not in right]
    kinds = {kind: kind.replace(" ", "") for kind in COPIES}
    by_kind = {k: f"{sum(f'_{v}_' in n for n in right)}/{sum(f'_{v}_' in n for n in copies)}" for k, v in kinds.items()}
    total = len(right) + len(wrong)
    return {"precision": len(right) / total if total else 0.0, "recall": len(right) / len(copies), "by kind": by_kind}


def contaminated(root: Path, clips: dict[str, str]) -> int:
    """Evaluation clips of which half of the words, or more, stand in one recording's kept segments."""
    rows = open_catalog(str(root)).execute(
        "SELECT c.text, x.rejection.reason FROM consensus c JOIN selections x ON x.segment_id = c.segment_id "
        "JOIN segments s ON s.id = c.segment_id JOIN recordings r ON r.id = s.recording_id "
        "WHERE r.provenance.source LIKE 'host%' AND c.rejection IS NULL AND x.rejection IS NULL"
    )
    kept = [set(_words(text)) for text, _ in rows.fetchall()]
    return sum(any(len(words & set(_words(text))) >= 0.5 * len(set(_words(text))) for words in kept) for text in clips.values())


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def appended(home: Path, root: Path, config: dict[str, Any], originals: list[Joined]) -> int:
    """One more copy is listed in a later run: how many of the older verdicts differ then."""
    con = open_catalog(str(root))
    before = con.execute("SELECT * EXCLUDE unit FROM duplicates ORDER BY ALL").fetchall()
    late = home / "late.wav"
    late.write_bytes(COPIES["+6 dB"][1](np.asarray(read_wave(originals[0].path), np.float64)[: 10 * RATE]))
    config["sources"] += runs.files({"late": late}, language="en")
    runs.run_or_exit(root, config, env={"LD_LIBRARY_PATH": library_path() or ""})
    after = open_catalog(str(root)).execute("SELECT * EXCLUDE unit FROM duplicates ORDER BY ALL").fetchall()
    return len(set(before) - set(after)) + (len(after) != len(before) + 1)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if "--hours" in sys.argv:
        compare_made_up(int(sys.argv[-2]), float(sys.argv[-1]))
    else:
        main()

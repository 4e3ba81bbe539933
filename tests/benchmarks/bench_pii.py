"""Is planted personal data masked in the text and silent in the sound? Synthesised speech, through the whole line, into shards.

Names, telephone numbers and e-mail addresses are spoken in the middle of sentences that are synthesised in three pieces, so that the
true span is known to the sample. whisperX hears them and says when; Presidio finds them, with spaCy's small NER for names. Then the
shards are read: what is left of the secrets in any text, and how much of each true span is silent.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import runs
from benchmarks.report import Target, finish, full_form, heading, table
from speech.spacy_model import spacy_model
from speech.waves import RATE, decode, write_wave
from voxmill.manifests.catalog import open_catalog
from voxmill.sharding.sample import read_document

SECRETS = {
    "name": ["Margaret Thompson", "Daniel Carter", "Susan Williams", "Robert Johnson", "Jennifer Davis", "Michael Anderson", "Elizabeth Taylor", "David Miller"],
    "number": ["five five five, two three four, one nine eight seven", "two one two, five five five, zero one four six", "eight hundred, five five five, three five three five", "four one five, two six seven, nine three one zero", "six one seven, five five five, eight two four nine", "three zero three, eight eight one, four seven six two", "seven one eight, five five five, two zero six four", "nine one six, four four one, three eight five seven"],
    "e-mail": ["john smith at example dot com", "mary at voxmill dot org", "support at library dot net", "info at garden dot com", "robert at hospital dot org", "anna at company dot com", "sales at bookshop dot com", "peter at school dot edu"],
}  # fmt: skip
FRAMES = {
    "name": ("I spoke with my old teacher", "who lives in the green house by the river."),
    "number": ("You can reach the office by telephone at", "on any morning of the week."),
    "e-mail": ("Please send the letter to", "before the end of the month."),
}
PLAIN = ["The weather was warm and the children played in the garden until the evening.", "We walked along the river and talked about the old days and the new house.", "There were many people in the market, and the bread was good and still warm."]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Planted:
    kind: str
    secret: str
    start: int
    end: int
    """Of the secret, in samples."""


def say(text: str) -> NDArray[np.int16]:
    """By flite's voice slt, 16 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", str(path)], check=True)
        return np.asarray(decode(path))


def sentences(home: Path, each: int) -> tuple[dict[str, Path], dict[str, Planted]]:
    paths, planted = {}, {}
    quiet = np.zeros(RATE // 4, np.int16)
    for kind, secrets in SECRETS.items():
        for number, secret in enumerate(secrets[:each]):
            before, inside, after = (trimmed(say(text)) for text in (FRAMES[kind][0], secret, FRAMES[kind][1]))
            name = f"{kind}{number}".replace("-", "")
            paths[name] = home / f"{name}.wav"
            gap = np.zeros(RATE // 10, np.int16)
            write_wave(paths[name], np.concatenate([quiet, before, gap, inside, gap, after, quiet]))
            start = len(quiet) + len(before) + len(gap)
            planted[name] = Planted(kind, secret, start, start + len(inside))
    for number, text in enumerate(PLAIN):
        paths[f"plain{number}"] = home / f"plain{number}.wav"
        write_wave(paths[f"plain{number}"], np.concatenate([quiet, say(text), quiet]))
    return paths, planted


def trimmed(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 200)
    return samples[loud[0] : loud[-1] + 1]


def main() -> None:
    full = full_form(sys.argv[1:])
    each = 8 if full else 5
    model = spacy_model()
    heading("bench-pii", full, f"{3 * each} sentences with a secret, {len(PLAIN)} without, by flite", ("voxmill", "presidio-analyzer", "spacy", "whisperx"))  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="voxmill-pii-") as folder:
        home = Path(folder)
        paths, planted = sentences(home, each)
        config = runs.config(
            runs.files(paths, language="en"),
            [runs.WHISPERX],
            select={
                "single_high": 0.2,
                "single_weak": 0.1,
                "single_unlabelled": 0.0,
                "keep_unlabelled": True,
                "rate_fence": None,
            },
            redact={"model": str(model) if model else None},
            pack={"buckets": 1},
            executor={"kind": "local"},
        )
        root = home / "run"
        runs.run_or_exit(root, config)
        samples = shards(root)
        reasons = dict(open_catalog(str(root)).execute("SELECT x.segment_id, x.rejection.reason FROM selections x").fetchall())
        holds, again = runs.verified(root), fingerprint(root)
        runs.run_or_exit(home / "second", config)
        same = again == fingerprint(home / "second")
    rows, found, hidden, covered, leaks = [], dict[str, list[bool]](), [], list[float](), 0
    for name, one in planted.items():
        mine = {key: s for key, s in samples.items() if s[0]["provenance"]["url"].endswith(f"/{name}.wav") or s[0]["provenance"]["url"].endswith(f":{name}.wav")}  # fmt: skip
        text = " ".join(str(document["consensus"]["text"]) for document, _ in mine.values())
        masked = "[" in text
        found.setdefault(one.kind, []).append(masked)
        silent, extra = silence(one, mine)
        if masked:
            covered.append(silent)
            hidden.append(extra)
            leaks += any(whole(one.secret, json.dumps(document)) for document, _ in mine.values())
        rows.append((name, one.secret[:34], text[:70], f"{silent:.2f}", f"{extra:.2f}"))
    table(("recording", "secret", "label in the shard", "silent", "beyond, s"), rows)
    wrong = sum("[" in str(d["consensus"]["text"]) for d, _ in samples.values() if "plain" in d["provenance"]["url"])
    recall = {kind: sum(v) / len(v) for kind, v in found.items()}
    total = sum(map(sum, found.values())) / len(planted)
    mean = float(np.mean(covered)) if covered else 0.0
    figures = {
        "recall": {k: round(v, 3) for k, v in recall.items()}, "silent share of the true span": round(mean, 3), "least": round(min(covered, default=0.0), 3),
        "silence beyond it, s": round(float(np.mean(hidden)) if hidden else 0.0, 3), "plain sentences masked": wrong, "names by": "spaCy" if model else "nothing",
        "rejected": sum(r is not None for r in reasons.values()),
    }  # fmt: skip
    targets: dict[str, Target] = {
        "recall": {"value": round(total, 3), "target": ">= 0.9", "met": total >= 0.9},
        "silent share of the true span": {"value": round(mean, 3), "target": ">= 0.9", "met": mean >= 0.9},
        "masked secrets left in the shards": {"value": leaks, "target": "0", "met": leaks == 0},
        "plain sentences masked": {"value": wrong, "target": "0", "met": wrong == 0},
        "verify holds": {"value": holds, "target": "True", "met": holds},
        "two runs are equal": {"value": same, "target": "True", "met": same},
    }
    finish("bench-pii", figures, targets, full)


def shards(root: Path) -> dict[str, tuple[dict[str, Any], NDArray[np.float32]]]:
    """Key to document and sound of every packed sample."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted((root / "shards").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, kind = member.name.partition(".")
                found.setdefault(key, {})[kind] = tar.extractfile(member).read()  # type: ignore[union-attr]
    return {k: (read_document(v["json"]), soundfile.read(io.BytesIO(v["flac"]), dtype="float32")[0]) for k, v in found.items()}


def silence(one: Planted, samples: dict[str, tuple[dict[str, Any], NDArray[np.float32]]]) -> tuple[float, float]:
    """Share of the true span that is silent or not packed, and seconds of digital silence of 50 ms and more outside of it."""
    packed, quiet = np.zeros(one.end + 60 * RATE, bool), np.zeros(one.end + 60 * RATE, bool)
    for document, sound in samples.values():
        start = document["segment"]["start"]
        packed[start : start + len(sound)] = True
        quiet[start : start + len(sound)] = _still(sound)
    inside = slice(one.start, one.end)
    share = float(np.mean(quiet[inside] | ~packed[inside]))
    outside = quiet.copy()
    outside[inside] = False
    return share, float(outside[RATE // 2 : one.end + RATE].sum()) / RATE


def _still(sound: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Samples that lie in a run of at least 50 ms of exact zeros."""
    zero = np.concatenate([[0], (sound == 0).astype(int), [0]])
    edges = np.flatnonzero(np.diff(zero))
    still = np.zeros(len(sound), bool)
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first >= RATE // 20:
            still[first:last] = True
    return still


def whole(secret: str, text: str) -> bool:
    """Whether a text holds all the long words of a secret."""
    words = [w.strip(",") for w in secret.lower().split() if len(w.strip(",")) > 3]
    return bool(words) and all(word in text.lower() for word in words)


def fingerprint(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((root / "shards").glob("*.*"))}


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

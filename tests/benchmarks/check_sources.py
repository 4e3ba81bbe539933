"""`make check-sources`: corpora in seven layouts are read as their own projects read them, and an audit finds wrong transcripts.

Real speech with real transcripts (Asterisk's prompts) is written in every layout by its project's own writer, and read by its own reader and by
`voxmill run`. Then one in twenty transcripts is replaced by that of another clip, the nearest in length; two recognisers hear all of it, and
`voxmill audit` ranks. How many of its first suspects, as many as were planted, are planted ones is compared with what chance gives and with
sorting by the confidence of the first recogniser.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.runs import MOONSHINE, VOXMILL, WHISPERX, run_or_exit, verified
from corpus_layouts import FORMS, Clip, Told
from speech.prompts import LICENCE, Prompt, prompts
from speech.waves import RATE, read_wave
from voxmill.manifests.catalog import open_catalog, query
from voxmill.manifests.ids import digest
from voxmill.operators.reconcile.label_doubt import doubt_of, fit_doubts

FEW, REDUCED = 24, 200
"""Clips in each layout; clips that the reduced form has heard."""
PLANTED = 0.05
WANTED = 0.8
INSTANT = {"kind": "python", "name": "instant", "call": "benchmarks.instant:Instant"}
GIVEN = {"kind": "given", "name": "given"}
PER_FILE = 40
"""Clips that are one recording of the audited corpus, so that recognisers of fixed windows hear several at once."""


def clip(prompt: Prompt, speaker: str) -> Clip:
    return Clip(prompt.path.stem, speaker, prompt.text, (read_wave(prompt.path) / 32768).astype(np.float32))


def drawn(of: Sequence[Prompt], count: int, least: float) -> list[Prompt]:
    """Prompts of at least so many seconds, by a hash of their names: no order of the alphabet."""
    long = [one for one in of if one.seconds >= least]
    return sorted(sorted(long, key=lambda one: digest(["drawn", one.id]))[:count], key=lambda one: one.id)


def ours(folder: Path, run: Path) -> list[Told]:
    """The given transcripts of the segments of a run over a folder, whose kind nobody states."""
    source = {"name": "corpus", "path": str(folder), "language": "en", "licence": LICENCE}
    run_or_exit(run, {"sources": [source], "transcribe": [INSTANT, GIVEN], "executor": {"kind": "local", "workers": 1}})
    rows = query(open_catalog(str(run)), _HEARD).to_pylist()
    return sorted(Told(row["text"], row["num_samples"] / RATE) for row in rows)


def layouts(clips: Sequence[Clip], scratch: Path, figures: dict[str, Any], targets: dict[str, Target]) -> None:
    rows = []
    for number, (name, form) in enumerate(FORMS.items()):
        folder = scratch / f"corpus-{number}"
        form.write(clips, folder)
        theirs = sorted(form.read(folder))
        began = time.monotonic()
        mine = ours(folder, scratch / f"read-{number}")
        took = time.monotonic() - began
        seconds = [sum(one.seconds for one in found) for found in (theirs, mine)]
        same = [one.text for one in theirs] == [one.text for one in mine] and all(
            abs(a.seconds - b.seconds) <= 1.01 / RATE for a, b in zip(theirs, mine, strict=True)
        )
        figures[name] = {"theirs": len(theirs), "ours": len(mine), "seconds": seconds, "took_s": round(took, 2)}
        rows.append((name, str(len(theirs)), str(len(mine)), f"{seconds[0]:.4f}", f"{seconds[1]:.4f}", f"{took:.1f}"))
        targets[f"{name}: as its own reader"] = {
            "value": f"{len(mine)} utterances, {seconds[1]:.3f} s",
            "target": "the same texts, each as long to a sample",
            "met": bool(same and mine),
        }
    table(("layout", "theirs", "ours", "s theirs", "s ours", "took s"), rows)


def spoilt(clips: Sequence[Clip]) -> tuple[list[Clip], set[str]]:
    """One in twenty with the text of another clip: the one nearest in length whose words are others. And the names of those."""
    count = round(len(clips) * PLANTED)
    victims = {one.name for one in sorted(clips, key=lambda one: digest(["planted", one.name]))[:count]}
    changed = []
    for one in clips:
        if one.name in victims:
            others = (other for other in clips if other.text.lower() != one.text.lower())
            nearest = min(others, key=lambda other: (abs(len(other.audio) - len(one.audio)), other.name))
            changed.append(replace(one, text=nearest.text))
        else:
            changed.append(one)
    return changed, victims


def audited(clips: Sequence[Clip], scratch: Path, figures: dict[str, Any], targets: dict[str, Target]) -> None:
    corpus, run = scratch / "audited", scratch / "audit"
    wrong, planted = spoilt(clips)
    FORMS["kaldi"].write(wrong, corpus)
    cost = run_or_exit(
        run,
        {
            "sources": [{"name": "corpus", "path": str(corpus), "kind": "kaldi", "language": "en", "licence": LICENCE}],
            "transcribe": [WHISPERX, MOONSHINE, GIVEN],
            "select": {"rate_fence": None},
            "executor": {"kind": "local"},
        },
    )
    said = subprocess.run(
        [VOXMILL, "audit", str(run), "--json", "--top", str(len(planted))], capture_output=True, text=True, check=False
    )
    found = json.loads(said.stdout)
    names = {row["segment_id"]: row["key"].partition("-")[2] for row in query(open_catalog(str(run)), _NAMES).to_pylist()}
    first = [names[one["segment_id"]] for one in found["first"]]
    unsure = [names[row["segment_id"]] for row in query(open_catalog(str(run)), _BY_CONFIDENCE).to_pylist()][: len(planted)]
    precision = {"audit": _share(first, planted), "confidence": _share(unsure, planted), "chance": len(planted) / len(clips)}
    file = [json.loads(line) for line in (run / "suspects.jsonl").read_text(encoding="utf8").splitlines()]
    _show(found, names, planted, clips, precision)
    cut = shortened(run, names, planted)
    table(("transcripts that lack their last third", "figure"), [(name, f"{value:.2f}") for name, value in cut.items()])
    figures["audit"] = {
        "clips": len(clips), "planted": len(planted), "compared": found["compared"], "wall_s": round(cost.wall_s, 1),
        "precision": precision, "expected_precision": found["first"][-1]["expected_precision"] if first else None,
        "expected_wrong": found["expected_wrong"], "suspects": found["suspects"], "shortened": cut,
    }  # fmt: skip
    targets |= {
        "audit: precision at the number planted": {
            "value": f"{precision['audit']:.2f} (confidence {precision['confidence']:.2f}, chance {precision['chance']:.2f})",
            "target": f">= {WANTED}, above both",
            "met": precision["audit"] >= WANTED and precision["audit"] > max(precision["confidence"], precision["chance"]),
        },
        "audit: every given transcript compared": {
            "value": found["compared"],
            "target": str(len(clips)),
            "met": found["compared"] == len(clips) and found["suspects"] == len(file),
        },
        "audit: the run's books": {"value": "verify", "target": "holds", "met": verified(run)},
    }


def shortened(run: Path, names: Mapping[str, str], planted: set[str]) -> dict[str, float]:
    """What the audit makes of a subtler fault, without a target: others of the transcripts, as many, lose the last third of their words."""
    rows = [row for row in query(open_catalog(str(run)), _COMPARED).to_pylist() if names[row["segment_id"]] not in planted]
    long = sorted(
        (row for row in rows if len(row["given"].split()) >= 3), key=lambda row: digest(["cut", names[row["segment_id"]]])
    )
    victims = {row["segment_id"] for row in long[: len(planted)]}
    doubts = {}
    for row in rows:
        words = row["given"].split()
        given = " ".join(words[: -(len(words) // 3)]) if row["segment_id"] in victims else row["given"]
        doubts[row["segment_id"]] = doubt_of(given, row["heard"], [None] * len(row["heard"]))
    model = fit_doubts(Counter(doubts.values()))
    ranked = sorted(doubts, key=lambda key: (-model.wrong(doubts[key]), key))[: len(victims)]
    return {
        "precision at their number": sum(key in victims for key in ranked) / len(victims),
        "by chance": len(victims) / len(rows),
    }


_COMPARED = """
    SELECT segment_id, normalised[list_position(engines, 'given')] AS given,
        [n FOR n, i IN normalised IF engines[i] <> 'given'] AS heard
    FROM consensus WHERE list_contains(engines, 'given') ORDER BY segment_id
"""
_HEARD = """
    SELECT h.text, t.num_samples FROM hypotheses AS h JOIN timeline AS t USING (segment_id)
    WHERE h.engine = 'given' AND h.rejection IS NULL
"""
_NAMES = "SELECT s.segment_id, g.key FROM spans AS s JOIN given AS g ON g.recording_id = s.recording_id AND g.start = s.start"
_BY_CONFIDENCE = "SELECT segment_id FROM hypotheses WHERE engine = 'whisperx' ORDER BY confidence, segment_id"


def _share(first: Sequence[str], planted: set[str]) -> float:
    return sum(name in planted for name in first) / len(planted)


def _show(
    found: Mapping[str, Any], names: Mapping[str, str], planted: set[str], clips: Sequence[Clip], precision: Mapping[str, float]
) -> None:
    truth = {one.name: one.text for one in clips}
    rows = []
    for one in found["first"]:
        name = names[one["segment_id"]]
        kind = "planted" if name in planted else "as it came"
        rows.append((kind, f"{one['wrong']:.2f}", one["given"][:40], truth[name][:40], one["heard"]["whisperx"][:40]))
    table(("suspect", "wrong", "given", "its real transcript", "whisper heard"), rows)
    table(("first by", "precision"), [(name, f"{value:.2f}") for name, value in precision.items()])


def main() -> None:
    full = full_form(sys.argv)
    every = prompts("en")
    chosen = drawn(every, FEW, 1.2)
    heard = drawn(every, len(every) if full else REDUCED, 1.0)
    packages = ["lhotse", "webdataset", "datasets", "pyarrow", "soundfile", "faster-whisper"]
    data = f"Asterisk's English prompts: {len(chosen)} in each layout, {len(heard)} heard by whisper-base and moonshine-tiny; NeMo's readers from its wheel"
    heading("check-sources", full, data, packages)
    figures: dict[str, Any] = {}
    targets: dict[str, Target] = {}
    with tempfile.TemporaryDirectory(prefix="voxmill-sources-") as folder:
        scratch = Path(folder)
        layouts([clip(one, f"spk{number % 2}") for number, one in enumerate(chosen)], scratch, figures, targets)
        clips = [clip(one, f"part{number // PER_FILE:02d}") for number, one in enumerate(heard)]
        audited(clips, scratch, figures, targets)
    finish("check-sources", figures, targets, full)


if __name__ == "__main__":
    main()

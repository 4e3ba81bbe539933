"""`make bench-vote`: what a vote of three recognisers is worth, beside each of them and beside the choice between two.

The fixed mixture is heard by whisperX, Moonshine and pocketsphinx; in the reduced form every eighteenth recording of it, because
pocketsphinx takes as long as the sound. The third voice is a weak one: a vote is only as good as its voters, and the figures say so.
Then a run of a few recordings with all three engines is made, and `voxmill revote` changes its rules: seconds, and no call of an
engine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from pydantic import TypeAdapter

from benchmarks.heard import ENGINES, RECONCILE, SECOND, WHISPER, Heard, hear, said, work_of
from benchmarks.mixture import CONDITIONS, SEED, mixture
from benchmarks.report import finish, full_form, heading, table
from benchmarks.runs import MOONSHINE, SPHINX, VOXMILL, WHISPERX, calls, config, counting, files, run_or_exit, verified
from benchmarks.words import Edits, edits, english
from speech.joined import joined
from voxmill.manifests.records import Consensus
from voxmill.operators.reconcile.reconcile import Reconcile, VoteConfig
from voxmill.operators.transcribe.transcribe import EngineConfig

SPHINX_ENGINE: Any = TypeAdapter(EngineConfig).validate_python({"kind": "pocketsphinx", "name": "sphinx"})
NAMES = (WHISPER, SECOND, "sphinx")
RULES: dict[str, tuple[tuple[str, ...], VoteConfig]] = {
    "two, prefer whisperx": ((WHISPER, SECOND), VoteConfig()),
    "two, by confidence": ((WHISPER, SECOND), VoteConfig(pairs=True, alpha=0.5, null_confidence=0.5)),
    "three, votes alone": (NAMES, VoteConfig()),
    "three, votes alone, outliers stay": (NAMES, VoteConfig(outlier=0.0)),
    "three, best confidence": (NAMES, VoteConfig(method="maxconf", alpha=0.6, null_confidence=0.6)),
}
"""Engines and how they vote."""

Marks = dict[str, dict[str, Edits]]
"""By rule or engine, by condition."""


def main() -> None:
    full = full_form(sys.argv[1:])
    recordings, digest = mixture(full)
    chosen = recordings if full else recordings[::18]
    minutes = sum(recording.num_samples for recording in chosen) / 16_000 / 60
    data = f"{len(chosen)} of {len(recordings)} recordings of the mixture, {minutes:.1f} min, seed {SEED}, sha256 {digest}"
    heading("bench-vote", full, data, ("whisperx", "ctranslate2", "moonshine-voice", "pocketsphinx", "rapidfuzz"))
    say: Callable[[str], None] = lambda line: print(f"\r{line:60}", end="", file=sys.stderr, flush=True)
    heard = hear(chosen, say, (*ENGINES, SPHINX_ENGINE))
    print(file=sys.stderr)
    marks: Marks = {name: {c: Edits() for c in (*CONDITIONS, "all")} for name in (*NAMES, *RULES)}
    dropped = 0
    for one in heard:
        dropped += _mark(one, marks)
    rows = [(name, *(_percent(by[c]) for c in (*CONDITIONS, "all"))) for name, by in marks.items()]
    print("word error rate in % of the words that were found, by condition")
    table(("text", *CONDITIONS, "all"), rows)
    rates = {name: by["all"].rate for name, by in marks.items()}
    print(f"an outlier was left out of the vote in {dropped} segments\n")
    again = _revote()
    finish(
        "bench-vote",
        {"wer": {name: round(rate, 4) for name, rate in rates.items()}, "outliers_dropped": dropped, "revote": again},
        {
            "revote: calls of an engine": {"value": again["calls"], "target": "0", "met": again["calls"] == 0},
            "revote: seconds": {"value": again["seconds"], "target": "< 60", "met": again["seconds"] < 60},
            "revote: texts that changed": {"value": again["texts"], "target": "> 0", "met": again["texts"] > 0},
            "verify afterwards": {"value": again["verified"], "target": "True", "met": again["verified"]},
        },
        full,
    )


def _mark(one: Heard, marks: Marks) -> int:
    """Adds the edits of a recording; returns in how many segments an outlier had no vote."""
    texts = {name: {key: h.text for key, h in one.hypotheses[name].items()} for name in NAMES}
    dropped = 0
    for rule, (engines, vote) in RULES.items():
        consensus = {c.segment_id: c for c in _reconciled(one, engines, vote)}
        # where an engine heard nothing there is no label: what is heard without it is Whisper's text
        texts[rule] = {key: texts[WHISPER].get(key, "") if c.rejection else c.text for key, c in consensus.items()}
        dropped += sum("without" in c.rule for c in consensus.values()) if rule == "three, votes alone" else 0
    for name, by_segment in texts.items():
        for key, words in said(one).items():
            found = edits(words, english(by_segment.get(key, "")))
            marks[name][one.mixed.condition] += found
            marks[name]["all"] += found
    return dropped


def _reconciled(one: Heard, engines: Sequence[str], vote: VoteConfig) -> list[Consensus]:
    rows = tuple(hypothesis for name in engines for hypothesis in one.hypotheses[name].values())
    work = work_of(one.mixed, one.segments)
    reconcile = Reconcile(RECONCILE.model_copy(update={"vote": vote}), engines)
    return reconcile(replace(work, hypotheses=rows))


def _percent(found: Edits) -> str:
    return f"{100 * found.rate:.1f}" if found.words else "–"


def _revote() -> dict[str, Any]:
    """A run with three engines, and what it takes to change its rules."""
    paths = [recording.path for recording in joined("en", 4, 25, seed=5)]
    select = {"high": 0.3, "weak": 0.2, "unlabelled": 0.1, "languages": []}
    settings = config(
        files(paths, language="en"),
        [WHISPERX, MOONSHINE, SPHINX],
        units={"seconds": 60},
        select=select,
        pack={"buckets": 2, "shard_mb": 1},
        executor={"kind": "local"},
    )
    with tempfile.TemporaryDirectory(prefix="voxmill-vote-") as folder:
        root = Path(folder) / "run"
        run_or_exit(root, settings, env=counting(root))
        before, began = calls(root), time.monotonic()
        changes = ["reconcile.vote.method=maxconf", "reconcile.vote.alpha=0.2", "reconcile.vote.outlier=0.0", "select.high=0.6"]
        command = [
            VOXMILL,
            "revote",
            str(root),
            "--json",
            "--quiet",
            *(part for change in changes for part in ("--set", change)),
        ]
        answer = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, **counting(root)}
        ).stdout
        seconds = time.monotonic() - began
        begun = calls(root) - before
        engines = sum(number for stage, number in begun.items() if stage.startswith("transcribe"))
        found = json.loads(answer.splitlines()[-1])
        table(("after revote", "segments", "texts changed", "tiers changed", "stages that ran", "s"), [
            (", ".join(changes), str(found["segments"]), str(found["texts"]), str(found["tiers"]), ", ".join(sorted(begun)), f"{seconds:.1f}")
        ])  # fmt: skip
        return {
            "seconds": round(seconds, 1),
            "calls": engines,
            "texts": found["texts"],
            "tiers": found["tiers"],
            "verified": verified(root),
        }


if __name__ == "__main__":
    main()

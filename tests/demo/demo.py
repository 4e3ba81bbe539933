"""`make demo`: the main job on real input. A web site of real speech is served, crawled, transcribed twice, reconciled and packed.
Then a taste of what the shards are for: a tiny model is trained on them for a minute, and used, judged and exported.

    python tests/demo/demo.py [--out runs/demo]

The same command again continues, or finds that there is nothing left to do. Ends with an error where the run is not what it
should be: the disallowed path requested, a duplicate stored twice, a broken file without a reason, a sample lost.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # also hides this folder, whose `site` is not Python's

from rich.text import Text

from demo.server import Served
from demo.site import DISALLOWED, SOURCES, build, serve
from voxmill.manifests.catalog import open_catalog
from voxmill.pipeline.terminal.output import console, plain

PORT = 8765
VOXMILL = str(Path(sys.executable).with_name("voxmill"))
out = console()

SAMPLES = """
WITH heard AS (
    SELECT s.id, r.provenance.url AS url, s.num_samples / 16000.0 AS seconds, c.agreement, x.tier, x.rejection.reason AS reason,
        list(h.engine || '  ' || h.text ORDER BY h.engine DESC) AS texts
    FROM selections x
    JOIN segments s ON s.id = x.segment_id
    JOIN consensus c ON c.segment_id = s.id
    JOIN hypotheses h ON h.segment_id = s.id
    JOIN recordings r ON r.id = s.recording_id AND r.rejection IS NULL
    GROUP BY ALL
)
FROM heard WHERE {which} QUALIFY row_number() OVER (PARTITION BY {each} ORDER BY id) = 1 ORDER BY id LIMIT 3
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/demo", help="the run")
    parser.add_argument("--executor", default="ray", choices=("ray", "local"))
    args = parser.parse_args()
    step("Building a web site of real speech (Asterisk's prompts, public-domain readings)")
    site = build(Path(".cache/demo-site"))
    log = Path(args.out).with_suffix(".requests.jsonl")
    log.parent.mkdir(parents=True, exist_ok=True)
    with serve(site, PORT, log) as served:
        step(f"Serving it on {served.url}, and crawling it")
        voxmill("run", "--config", "demo", "--out", args.out, "--executor", args.executor)
        problems = check_crawl(served, log, args.out)
    step("Proving that nothing was lost")
    voxmill("verify", args.out)
    step("What both engines heard")
    show(args.out, "reason IS NULL", "url")
    show(args.out, "reason IS NOT NULL", "reason")
    taste(args.out, site)
    next_steps(args.out)
    for problem in problems:
        out.print(problem, style="red", soft_wrap=True)
    sys.exit(1 if problems else 0)


def taste(root: str, site: Path) -> None:
    """From shards to a model, with the commands that a real training has as well."""
    model = f"{root}-model"
    shutil.rmtree(model, ignore_errors=True)
    step("A taste of training: a tiny elastic model, for about a minute")
    voxmill("train", "--shards", f"{root}/shards", "--out", model, "--config", "taste")
    step("What it hears. A model of one minute has not learnt to transcribe: it says a few words that it knows by heart")
    voxmill("transcribe", str(site / "files" / "telephone.wav"), "--model", model, "--budget", "6", "--decode", "attention")
    step("How good it is, small and whole: not at all. Real figures take hours of speech, and samples that were held out")
    voxmill(
        "evaluate", "--model", model, "--shards", f"{root}/shards",
        "--budgets", "6,15", "--decode", "attention", "--limit", "12",
    )  # fmt: skip
    step("The smaller model on its own, for a device without torch")
    voxmill("export", "--model", model, "--budget", "6", "--format", "onnx", "--out", f"{model}/onnx-6")


def step(text: str) -> None:
    out.print()
    out.print(text, style="bold")


def voxmill(*arguments: str) -> None:
    out.print(f"$ voxmill {' '.join(arguments)}", style="dim", soft_wrap=True)
    code = subprocess.run([VOXMILL, *arguments], check=False).returncode
    if code:
        sys.exit(code)


def check_crawl(served: Served, log: Path, root: str) -> list[str]:
    """What the site expects of a polite and exact crawler; the log holds the requests of earlier starts as well."""
    requested = {json.loads(line)["path"] for line in log.read_text().splitlines()}
    con = open_catalog(root)
    rows = con.execute("SELECT provenance.url, rejection.reason FROM recordings").fetchall()
    reasons = {str(url).removeprefix(served.url): reason for url, reason in rows}
    no_speech = {
        str(url).removeprefix(served.url)
        for (url,) in con.execute(
            "SELECT provenance.url FROM recordings r WHERE rejection IS NULL AND NOT EXISTS "
            "(FROM segments s WHERE s.recording_id = r.id AND s.rejection IS NULL)"
        ).fetchall()
    }
    problems = []
    if DISALLOWED in requested:
        problems.append(f"{DISALLOWED} was requested although robots.txt disallows it")
    for source in SOURCES:
        if source.outcome and source.outcome.startswith("segment."):
            if source.path not in no_speech:
                problems.append(f"{source.path} should hold no speech")
        elif source.outcome and reasons.get(source.path) != source.outcome:
            problems.append(f"{source.path} ended as {reasons.get(source.path)}, expected {source.outcome}")
    stored = list((Path(root) / "audio").rglob("*.flac"))
    if len(stored) != 1:
        problems.append(f"the duplicate is stored {len(stored)} times")
    out.print(f"{len(requested)} addresses requested, {DISALLOWED} not among them" if not problems else "")
    return problems


def show(root: str, which: str, each: str) -> None:
    """Three samples, each of another recording, or rejected for another reason."""
    for _, url, seconds, agreement, tier, reason, texts in (
        open_catalog(root).execute(SAMPLES.format(which=which, each=each)).fetchall()
    ):
        verdict = f"kept as {tier}" if reason is None else f"rejected: {reason}"
        more = f" · {url.rsplit('/', 1)[-1]} · {seconds:.1f} s · agreement {agreement or 0:.2f}"
        out.print(Text.assemble((verdict, "bold"), plain(more)), soft_wrap=True)
        for text in texts:
            engine, _, words = text.partition("  ")
            out.print(Text(f"  {engine:<11}{plain(words) or '(nothing)'}"))
        out.print()


def next_steps(root: str) -> None:
    out.print("What to try next", style="bold")
    out.print(
        f"""\
  voxmill stats {root} --by domain
  voxmill stats {root} --what-if select.weak=0.9
  voxmill stats {root} --sql "SELECT reason, sum(seconds) FROM outcomes WHERE NOT kept GROUP BY 1 ORDER BY 2 DESC"
  voxmill config init english -o mine.yaml        # then put your sources in
  voxmill train --shards {root}/shards --out runs/mine-model --dry-run   # what a real training would take
  tar -tf {root}/shards/*.tar | head""",
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()

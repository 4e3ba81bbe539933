"""Does a revoked recording go, all of it, and nothing else? Real speech, a real engine, a run of at least twenty shards.

One recording in the middle of the listing is revoked by its address; it is there three times: as it is, copied under another name, and
re-wrapped as FLAC. Then every byte of the run is searched for its ids, its hashes, its text and its address, and in copies of the run
the same is done again: from the start, killed at every commit, and followed by `voxmill run` and by a new crawl of the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import runs
from benchmarks.report import Target, finish, full_form, heading, table
from speech.joined import joined
from speech.waves import read_wave
from voxmill.manifests.catalog import open_catalog

KILLS = (1, 2, 3, 5, 8, 13, 21, 34, 55)
KILL = "import os, signal\nleft = int(os.environ['KILL_AT'])\ndef at(event, uri):\n    global left\n    left -= 1\n    if not left: os.kill(os.getpid(), signal.SIGKILL)\n"


def settings(sources: list[dict[str, Any]]) -> dict[str, Any]:
    return runs.config(
        sources,
        [runs.MOONSHINE],
        units={"seconds": 60},
        select={"single_high": 0.6, "single_weak": 0.4, "single_unlabelled": 0.0, "keep_unlabelled": True},
        pack={"buckets": 4, "shard_mb": 0.3},
        executor={"kind": "local"},
    ) | {"crawl": {"contact": "https://example.org/contact", "copy_local": True}}


def revoke(root: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [runs.VOXMILL, "revoke", str(root), *arguments, "--json"]
    full_env = {**os.environ, "OMP_NUM_THREADS": "1", "VOXMILL_SIGNING_KEY": "a key for the benchmark", **(env or {})}
    return subprocess.run(command, capture_output=True, text=True, env=full_env, check=False)


def contents(path: Path) -> Iterable[str]:
    """Every text in a file, whatever it is packed in."""
    yield path.name
    if path.suffix == ".parquet":
        rows = pq.read_table(path)
        yield json.dumps(rows.to_pylist(), ensure_ascii=False)
        yield str(rows.schema)
    elif path.suffix == ".tar":
        with tarfile.open(path) as tar:
            for member in tar:
                blob = tar.extractfile(member).read()  # type: ignore[union-attr]
                yield member.name + " " + hashlib.sha256(blob).hexdigest()
                yield blob.decode(errors="replace")
    blob = path.read_bytes()
    yield hashlib.sha256(blob).hexdigest()
    yield blob.decode(errors="replace")


def hits(root: Path, needles: dict[str, list[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {kind: [] for kind in needles}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        texts = list(contents(path))
        for kind, values in needles.items():
            if kind == "address" and path.name == "run.json":
                continue  # the config is the user's, and names its sources
            if any(value in text for value in values for text in texts):
                found[kind].append(str(path.relative_to(root)))
    return found


def shards(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((root / "shards").glob("*.*"))}


def everything(root: Path) -> dict[str, bytes]:
    """All files but what is measured, and the journal, which tells when things were done."""
    differ = (".costs.", "hosts", "journal")
    files = [p for p in root.rglob("*") if p.is_file() and not any(part in str(p.relative_to(root)) for part in differ)]
    return {str(p.relative_to(root)): p.read_bytes() for p in files}


def needles(root: Path, url: str) -> dict[str, list[str]]:
    """What must not be there afterwards: asked of the finished run and of its files."""
    con = open_catalog(str(root))
    rows = con.execute("SELECT id, item_id, pcm_sha256, provenance.url FROM recordings").fetchall()
    mine = {pcm for _, _, pcm, address in rows if address == url}
    same = [row for row in rows if row[2] in mine]
    ids = sorted({row[0] for row in same})
    texts = con.execute(
        "SELECT text, normalised FROM consensus WHERE left(segment_id, 24) IN " + _in(i[:24] for i in ids)
    ).fetchall()
    other = " ".join(
        t
        for (t,) in con.execute(
            "SELECT text FROM consensus WHERE left(segment_id, 24) NOT IN " + _in(i[:24] for i in ids)
        ).fetchall()
    )
    packed = con.execute("SELECT audio_sha256 FROM samples WHERE recording_id IN " + _in(ids)).fetchall()
    return {
        "id": ids + [i[:24] for i in ids] + sorted({row[1] for row in same}),
        "text": sorted({t for t, _ in texts if len(t) > 12 and t not in other}),
        "audio hash": sorted({h for (h,) in packed} | mine),
        "address": sorted({row[3] for row in same}),
    }


def _in(values: Iterable[str]) -> str:
    return "(" + ", ".join(f"'{v}'" for v in sorted(set(values))) + ")"


def main() -> None:
    full = full_form(sys.argv[1:])
    count, seconds = (96, 30.0) if full else (22, 12.0)
    recordings = joined("en", count, seconds)
    data = f"{count} recordings of real prompts, {seconds:g} s each; one of them three times"
    heading("bench-revoke", full, data, ("voxmill", "pyarrow", "moonshine-onnx", "onnxruntime"))
    with tempfile.TemporaryDirectory(prefix="voxmill-revoke-") as folder:
        home = Path(folder)
        target = recordings[count // 2].path
        copied, wrapped = home / "copied.wav", home / "wrapped.flac"
        shutil.copy(target, copied)
        _flac(target, wrapped)
        paths = {f"r{i:03d}": r.path for i, r in enumerate(recordings)} | {"copied": copied, "wrapped": wrapped}
        config = settings(runs.files(paths, language="en"))
        root = home / "run"
        cost = runs.run_or_exit(root, config)
        url = target.as_uri()
        wanted = needles(root, url)
        before, was = shards(root), hits(root, wanted)
        for name in ("twice", "killed", "dry"):
            shutil.copytree(root, home / name)
        dry = everything(home / "dry")
        revoke(home / "dry", "--url", url, "--dry-run")
        dry_changed = dry != everything(home / "dry")

        done = revoke(root, "--url", url, "--reason", "request 17")
        if done.returncode:
            sys.exit(done.stdout[-2000:] + done.stderr[-3000:])
        said = json.loads(done.stdout)
        holds, left, after = runs.verified(root), hits(root, wanted), shards(root)
        changed = sorted({n.rpartition(".")[0] for n in before.keys() | after.keys() if before.get(n) != after.get(n)})
        first = everything(root)
        revoke(root, "--url", url, "--reason", "request 17")
        again = everything(root)
        revoke(home / "twice", "--url", url, "--reason", "request 17")
        second = everything(home / "twice")
        kills = _killed(home, home / "killed", url)
        survived = everything(home / "killed")

        newer, newest = home / "newer.wav", home / "newest.flac"  # addresses never seen: the same bytes, and the same samples
        shutil.copy(target, newer)
        _flac(target, newest, compression_level=0.0)
        config["sources"] += runs.files({"newer": newer, "newest": newest}, language="en")
        runs.run_or_exit(root, config)
        back, still_holds = hits(root, {k: v for k, v in wanted.items() if k != "address"}), runs.verified(root)
        refused = (
            open_catalog(str(root))
            .execute("SELECT count(*) FROM recordings WHERE rejection.reason = 'crawl.revoked'")
            .fetchone()[0]
        )
        broken = _damaged(root)

    names = sorted({n.rpartition(".")[0] for n in before})
    table(
        ("in the run's files", "before", "after", "after a new crawl"),
        [(k, str(len(was[k])), str(len(left[k])), str(len(back.get(k, [])))) for k in wanted],
    )
    figures = {
        "shards": len(names),
        "shards_changed": len(changed),
        "shards_said": len(said["shards"]),
        "run_s": round(cost.wall_s, 1),
        "samples_revoked": said["recordings"],
        "kills": kills,
        "refused_after": refused,
        "texts_searched": len(wanted["text"]),
    }
    gone = {k: v for k, v in left.items() if v}
    same = sum(first.get(k) != second.get(k) for k in first.keys() | second.keys())
    targets: dict[str, Target] = {
        "shards in the run": {"value": len(names), "target": ">= 20", "met": len(names) >= 20},
        "only affected shards change": {
            "value": changed,
            "target": str(said["shards"]),
            "met": changed == sorted(said["shards"]) and 0 < len(changed) < len(names),
        },
        "verify holds": {"value": holds and still_holds, "target": "True", "met": holds and still_holds},
        "traces before": {
            "value": {k: len(v) for k, v in was.items()},
            "target": "> 0 of every kind",
            "met": all(was.values()),
        },
        "traces left": {"value": gone, "target": "none", "met": not gone},
        "revoked twice": {
            "value": sum(first.get(k) != again.get(k) for k in first.keys() | again.keys()),
            "target": "0 files differ",
            "met": first == again,
        },
        "in a copy of the run": {"value": same, "target": "0 files differ", "met": same == 0},
        "killed and continued": {
            "value": sum(first.get(k) != survived.get(k) for k in first.keys() | survived.keys()),
            "target": f"0 files differ after {kills} kills",
            "met": kills > 2 and first == survived,
        },
        "a dry run changes": {"value": dry_changed, "target": "False", "met": not dry_changed},
        "a new crawl brings back": {
            "value": {k: v for k, v in back.items() if v},
            "target": "nothing",
            "met": not any(back.values()) and refused >= 2,
        },
        "verify sees a planted trace": {"value": broken, "target": "True", "met": broken},
    }
    finish("bench-revoke", figures, targets, full)


def _killed(home: Path, root: Path, url: str) -> int:
    """Revokes, killed at one commit after the other; then to the end. Returns how often it was really killed."""
    (home / "kill_at.py").write_text(KILL)
    kills = 0
    for at in KILLS:
        env = {
            "PYTHONPATH": os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")]),
            "VOXMILL_ON_COMMIT": "kill_at:at",
            "KILL_AT": str(at),
        }
        kills += revoke(root, "--url", url, "--reason", "request 17", env=env).returncode == -9
    revoke(root, "--url", url, "--reason", "request 17")
    return kills


def _damaged(root: Path) -> bool:
    """Whether `verify` fails where a revoked id comes back into some file."""
    con = open_catalog(str(root))
    (url,) = con.execute("SELECT provenance.url FROM recordings WHERE provenance.url NOT LIKE 'revoked:%' LIMIT 1").fetchone()
    (ident,) = con.execute("SELECT id FROM recordings WHERE provenance.url = ?", [url]).fetchone()
    revoke(root, "--url", url)
    note = root / "note.txt"
    note.write_text(f"{ident[:24]}-0000000000-0000016000\n")
    seen = not runs.verified(root)
    note.unlink()
    return seen and runs.verified(root)


def _flac(source: Path, target: Path, **options: float) -> None:
    import soundfile

    blob = io.BytesIO()
    soundfile.write(blob, read_wave(source), 16000, format="FLAC", subtype="PCM_16", **options)
    target.write_bytes(blob.getvalue())


if __name__ == "__main__":
    main()

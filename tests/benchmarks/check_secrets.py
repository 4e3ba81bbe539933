"""`make check-secrets`: what signs an address, or lets somebody in, never leaves a run.

A server of feeds, lists, pages, playlists, streams and files that answers only where the right secret is asked with; some of it fails on
the way. One run of the whole line fetches it, is continued and asked about in every way, and is revoked from; then every byte that it
wrote anywhere but in its private folder, unpacked where it is packed, and every line that it said is searched.

    python tests/benchmarks/check_secrets.py [--full]
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

sys.path[0] = str(Path(__file__).resolve().parents[1])

import pyarrow.parquet as pq

from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.runs import SPHINX, VOXMILL, config, write
from demo.encode import encode_hls
from rows import items_of
from speech.packaged import TWO_CITIES
from speech.waves import RATE
from voxmill.manifests.ids import item_id
from voxmill.manifests.parquet import records_bytes
from voxmill.manifests.records import Licence, Provenance, Recording
from voxmill.pipeline.state.run import Run
from website import Answer, Asked, Website, html, redirect, typed

MARK = "Zq7sEcReTx9"
"""Part of every secret, and of nothing else."""


def secret(kind: str) -> str:
    return f"{MARK}{kind}4Kd"


SIGNED = {
    "X-Amz (S3)": f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={secret('Cred')}%2F2026%2Faws4&X-Amz-Signature={secret('Amz')}",
    "X-Goog (GCS)": f"X-Goog-Credential={secret('Goog')}&X-Goog-Expires=600&X-Goog-Signature={secret('Gsig')}",
    "SAS (Azure)": f"sv=2024-11-04&st=2026-01-01&se=2027-01-01&sr=b&sp=r&sig={secret('Sas')}",
    "CloudFront": f"Expires=1900000000&Policy={secret('Pol')}&Signature={secret('Cf')}&Key-Pair-Id={secret('Kp')}",
    "Akamai": f"hdnea=st=1~exp=2~acl=/*~hmac={secret('Ak')}",
    "token-hash": f"token-hash={secret('Th')}",
    "api key": f"n=1&Api%2DKey={secret('Api')}",
    "password": f"username=me&password={secret('Pw')}",
    "a value like noise": f"n=2&z={secret('Zz')}8sK2mQ7x",
    "nested address": "url=" + quote(f"https://me:{secret('Nest')}@b.example/x?token={secret('Deep')}", safe=""),
    "access_token": f"access_token={secret('At')}",
}
"""Kinds of signed address: their query, without which the server says 403."""

LEAVES_OPEN = ("private",)
"""The one folder of a run that is its owner's."""


@dataclass
class World:
    """The server and what is known of it."""

    site: Website
    refused: list[str] = field(default_factory=list)
    """Paths that were asked for without their secret."""
    asked: Counter[str] = field(default_factory=Counter)
    """How often this run has asked for a path."""

    def guarded(self, path: str, query: str, answer: Answer, broken: int = 0) -> str:
        """Puts an answer at a path for those who know the query; the first `broken` times with an error. Returns the whole address."""

        def route(request: Asked) -> Answer:
            if unquote(request.path.partition("?")[2]) != unquote(query):
                self.refused.append(request.path)
                return Answer(f"no {query}".encode(), 403, {"X-Auth-Token": secret("Hdr")})
            self.asked[path] += 1
            return answer if self.asked[path] > broken else Answer(f"try {query}".encode(), 500)

        self.site.routes[path] = route
        return f"{self.site.url}{path}?{query}"


def main() -> None:
    full = full_form(sys.argv)
    heading("check-secrets", full, "packaged speech, from a server on this machine", ["urllib3", "yt-dlp", "pyarrow", "ray"])
    targets: dict[str, Target] = {}
    with tempfile.TemporaryDirectory(prefix="voxmill-secrets-") as name, Website() as site:
        folder, world = Path(name), World(site)
        sources = make(world, folder)
        forms = ("local", "ray") if full or "--ray" in sys.argv else ("local",)
        rows = [row for form in forms for row in run(world, folder, form, sources, targets)]
    table(("where", "searched", "secrets in"), rows)
    finish("check-secrets", {"kinds": len(SIGNED) + len(OTHERS), "rows": rows}, targets, full)
    sys.exit(0 if all(target["met"] for target in targets.values()) else 1)


OTHERS = ("user info", ";jsessionid", "key of a feed", "path token", "redirect to a signed address", "cookie and token headers",
          "stream and its parts", "fragment", "another run's books")  # fmt: skip
"""Kinds beside the signed ones."""


def make(world: World, folder: Path) -> list[dict[str, Any]]:
    """The server's content; returns the sources."""
    site, clips = world.site, _clips(folder)
    feed = [world.guarded(f"/feed/{n}.flac", SIGNED["token-hash"], next(clips)) for n in range(2)]
    feed.append(world.guarded("/feed/gone.flac", SIGNED["access_token"], Answer(f"no {secret('Body')}".encode(), 404)))
    lines = [world.guarded(f"/signed/{n}.flac", query, next(clips)) for n, query in enumerate(SIGNED.values())]
    lines.append(world.guarded("/broken.flac", SIGNED["X-Amz (S3)"], next(clips), broken=2))
    lines.append(world.guarded("/corrupt.flac", SIGNED["SAS (Azure)"], typed(b"fLaC" + b"\0" * 4000, "audio/flac")))
    lines.append(world.guarded("/cut.flac", SIGNED["CloudFront"], Answer(b"fLaC" * 9, length=90_000, cut=20)))
    lines.append(f"{site.url}/denied/x.mp3?token={secret('Deny')}")
    lines.append(f"http://me:{secret('User')}@{site.host}/user.mp3")
    lines.append(f"http://127.0.0.1:1/x.mp3?sig={secret('Port')}")
    lines.append(f"http://me:{secret('Bad')}/no/host.mp3")
    lines.append(f"ftp://me:{secret('Ftp')}@a.example/x.mp3")
    lines.append(f"{site.url}/disallowed/x.mp3;jsessionid={secret('Rob')}?key={secret('Rk')}")
    site.routes["/robots.txt"] = typed("User-agent: *\nDisallow: /disallowed/\n", "text/plain")
    final = world.guarded("/final.flac", SIGNED["X-Goog (GCS)"], _with(next(clips), f"session={secret('Cook')}", secret("Hdr")))
    site.routes["/moved.flac"] = redirect(final)
    lines.append(f"{site.url}/moved.flac")
    site.routes[f"/path/token/{secret('Path')}aB3dE5fG7h/x.flac"] = next(clips)
    lines.append(f"{site.url}/path/token/{secret('Path')}aB3dE5fG7h/x.flac")
    entries = "".join(
        f"<item><title>Talk {n} for {secret('Key')}</title><enclosure url='{quote(u, safe=':/?=&').replace('&', '&amp;')}' type='audio/flac'/></item>"
        for n, u in enumerate(feed)
    )
    rss = f"<rss version='2.0'><channel><title>Talks</title><link>{site.url}</link>{entries}</channel></rss>"
    feed_url = world.guarded("/feed.xml", f"key={secret('Key')}", typed(rss, "application/rss+xml"))
    list_url = world.guarded("/list.txt", f"auth={secret('List')}", typed("\n".join(lines), "text/plain"))
    session = f"/page/a.flac;jsessionid={secret('Sess')}"
    site.routes[session] = next(clips)
    page = html(
        f"<title>Page</title><a href='{session}#sid={secret('Frag')}'>one</a><a href='/page/none.mp3?pwd={secret('Gone')}'>two</a>"
    )
    page_url = world.guarded("/page", f"pass={secret('Page')}", page)
    return [
        {"name": "feed", "url": feed_url, "licence": "cc-by-4.0"},
        {"name": "list", "url": list_url, "kind": "list", "licence": "cc-by-4.0"},
        {"name": "page", "url": page_url, "licence": "cc0-1.0"},
        {"name": "stream", "url": _stream(world, folder), "licence": "cc0-1.0"},
        {"name": "books", "path": str(_books(folder, next(clips).body)), "kind": "manifest"},
        {"name": "no feed", "url": f"{site.url}/nowhere.xml?feedkey={secret('No')}", "kind": "feed"},
        {"name": "user", "url": f"http://me:{secret('User2')}@{site.host}/x.mp3"},
    ]


def _clips(folder: Path) -> Iterator[Answer]:
    """Stretches of real speech, no two alike."""
    import soundfile

    samples = TWO_CITIES.samples()
    for number in range(60):
        start = number * RATE // 2
        blob = io.BytesIO()
        soundfile.write(blob, samples[start : start + 3 * RATE], RATE, format="FLAC")
        yield typed(blob.getvalue(), "audio/flac")


def _with(answer: Answer, cookie: str, token: str) -> Answer:
    headers = {"Set-Cookie": cookie, "X-Amz-Security-Token": token, "Content-Location": f"/c?sig={token}", "ETag": '"1"'}
    return Answer(answer.body, headers={**answer.headers, **headers})


def _stream(world: World, folder: Path) -> str:
    """A playlist whose address, variant and parts are all signed."""
    playlist = encode_hls(folder / "hls" / "v.m3u8", TWO_CITIES.samples()[30 * RATE : 36 * RATE], 3)
    for part in sorted(playlist.parent.glob("*.ts")):
        world.guarded(f"/hls/{part.name}", f"token={secret('Seg')}", typed(part.read_bytes(), "video/mp2t"))
    text = re.sub(r"(\S+\.ts)", rf"\1?token={secret('Seg')}", playlist.read_text())
    variant = world.guarded("/hls/v.m3u8", f"hdntl=exp=1~hmac={secret('Var')}", typed(text, "application/vnd.apple.mpegurl"))
    master = f'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"\n{variant}\n'
    return world.guarded("/hls/m.m3u8", f"hdnts={secret('Mas')}", typed(master, "application/vnd.apple.mpegurl"))


def _books(folder: Path, audio: bytes) -> Path:
    """Recordings of a run that was made before secrets were taken out of its books."""
    (folder / "old").mkdir()
    (folder / "old" / "a.flac").write_bytes(audio)
    origin = Provenance("old", f"https://me:{secret('Old')}@a.example/x?sig={secret('Old')}", title=f"sent to {secret('Old')}")
    rows = [
        Recording("a" * 64, "b" * 64, origin, Licence("cc0-1.0", f"https://a.example/?token={secret('Old')}", "page"), "a.flac")
    ]
    path = folder / "old" / "recordings.parquet"
    path.write_bytes(records_bytes(rows, Recording))
    return path


def run(
    world: World, folder: Path, form: str, sources: list[dict[str, Any]], targets: dict[str, Target]
) -> list[tuple[str, str, str]]:
    """One run on one executor, and everything that can be done with it afterwards."""
    root = folder / f"run-{form}"
    world.asked.clear()
    settings = config(
        sources, [SPHINX, {**SPHINX, "name": "again"}], crawl={
            "contact": "https://example.org/contact", "allow_private": ["127.0.0.1"], "requests_per_second": 200, "retries": 1,
            "backoff": 0.05, "timeout": 5, "breaker_refusals": 50, "max_in_flight": 8, "deny": [f"{world.site.url}/denied/x.mp3?token={secret('Deny')}"],
        },
        select={"high": 0.3, "weak": 0.2, "unlabelled": 0.1, "languages": []},
        pack={"buckets": 1, "shard_mb": 1}, executor={"kind": form, "workers": 2},
    )  # fmt: skip
    said: list[tuple[str, str]] = []

    def voxmill(*arguments: str) -> int:
        done = subprocess.run(
            [VOXMILL, *arguments], capture_output=True, text=True, check=False, cwd=folder, env=_quiet(folder)
        )
        said.append((" ".join(arguments[:2]), done.stdout + done.stderr))
        return done.returncode

    path = str(write(root, settings))
    (folder / f"run-{form}.yaml").rename(folder / f"mine-{form}.yaml")
    path = str(folder / f"mine-{form}.yaml")
    code = voxmill("run", "-c", path, "-o", str(root))
    first = [*Run(str(root)).listing.each_recording()]
    asked = len(world.site.asked())
    again = voxmill("run", "-c", path, "-o", str(root), "--retry", "crawl.http_error", "--retry", "crawl.network")
    retried = [request.path for request in world.site.asked()[asked:] if request.path.startswith("/broken.flac")]
    kept = [r for r in Run(str(root)).listing.each_recording() if r.rejection is None]
    mended = [r for r in kept if r.id not in {one.id for one in first}]
    ids = _ids(root, world, sources)
    voxmill("run", "-c", path, "-o", str(root), "--dry-run")
    voxmill("crawl", "-c", path, "-o", str(root))
    voxmill("stats", str(root))
    voxmill("stats", str(root), "--sql", "FROM recordings")
    proof = voxmill("verify", str(root)) == 0
    if not proof:
        print(said[-1][1][-1500:])
    voxmill("doctor")
    voxmill("config", "check", "-c", path)
    one = next(r for r in first if r.rejection is None and "/signed/0" in r.provenance.url)
    dry = voxmill("revoke", str(root), "--url", one.provenance.url, "--dry-run", "--json")
    whole = f"{world.site.url}/signed/0.flac?{SIGNED['X-Amz (S3)']}"
    gone = voxmill("revoke", str(root), "--url", whole, "--json")
    found = [_first_json(text).get("recordings", 0) for _, text in said[-2:]]
    if dry or gone:
        print("\n".join(text[-1500:] for _, text in said[-2:]))
    voxmill("replay", str(root), "--stage", "crawl", "--unit", "g0000-000000")
    exported = _export(root, folder / f"export-{form}")

    leaks = dict(_leaks(root))
    private = {name for name in leaks if name.split("/")[0] in LEAVES_OPEN}
    modes = {oct(p.stat().st_mode & 0o777) for p in (root / "private").rglob("*") if p.is_file()} | {
        oct((root / "private").stat().st_mode & 0o777)
    }
    leaving, out = sorted(set(leaks) - private), sorted(dict(_leaks(exported)))
    lines = [f"{name}: {line[:160]}" for name, text in said for line in text.splitlines() if MARK in unquote(line)]
    ray = sorted(dict(_leaks(folder / "ray"))) if form == "ray" else []
    for what, shown in (("file", leaving), ("exported", out), ("line", lines), ("Ray log", ray)):
        for one_leak in shown[:10]:
            print(f"  LEAK {form}: {what} {one_leak}")
    if code or again:
        print("\n".join(text[-1500:] for _, text in said[:2]))

    def target(name: str, value: Any, wanted: str, met: bool) -> None:
        targets[f"{form}: {name}"] = {"value": value, "target": wanted, "met": met}

    target("files that leave the run with a secret", len(leaving) + len(out), "0", not leaving and not out)
    target("lines that were said with one", len(lines) + len(ray), "0", not lines and not ray)
    target("kinds of secret", len(SIGNED) + len(OTHERS), ">= 8", len(SIGNED) + len(OTHERS) >= 8)
    target(
        "the private folder holds what is needed, for its owner",
        sorted(modes),
        "0o600, 0o700",
        modes == {"0o600", "0o700"} and bool(private),
    )
    target("recordings kept, asked for with their secrets", len(kept), ">= 17", len(kept) >= 17 and (code, again) == (0, 0))
    target("asked for without its secret", len(world.refused), "0", not world.refused)
    target(
        "fetched again with its secret",
        len(retried),
        ">= 1, mended",
        bool(retried) and any("/broken" in r.provenance.url for r in mended),
    )
    target("ids are those of the whole addresses", ids, "0 otherwise", ids == 0)
    target("verify holds", proof, "True", proof)
    target("revoked by its public and by its whole address", found, "[1, 1]", found == [1, 1] and (dry, gone) == (0, 0))
    return [
        (f"{form}: the run's files", str(sum(1 for p in root.rglob("*") if p.is_file())), str(len(leaving))),
        (f"{form}: exports", str(sum(1 for p in exported.rglob("*") if p.is_file())), str(len(out))),
        (f"{form}: lines said by {len(said)} commands", str(sum(len(t.splitlines()) for _, t in said)), str(len(lines))),
        *([(f"{form}: Ray's logs", str(sum(1 for p in (folder / 'ray').rglob('*') if p.is_file())), str(len(ray)))] if form == "ray" else []),
    ]  # fmt: skip


def _first_json(text: str) -> dict[str, Any]:
    """What `--json` printed, whatever was said beside it."""
    found: dict[str, Any] = json.JSONDecoder().raw_decode(text, text.index("{"))[0] if "{" in text else {}
    return found


def _quiet(folder: Path) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "RAY_TMPDIR": str(folder / "ray"), "TMPDIR": str(folder)}


def _ids(root: Path, world: World, sources: list[dict[str, Any]]) -> int:
    """How many items have another id than the whole address that the server was asked for gives."""
    known = {i.id for i in items_of(Run(str(root)).listing)}
    whole = [f"{world.site.url}/signed/{n}.flac?{query}" for n, query in enumerate(SIGNED.values())]
    whole += [f"{world.site.url}/feed/{n}.flac?{SIGNED['token-hash']}" for n in range(2)]
    return sum(item_id(url) not in known for url in whole)


def _export(root: Path, out: Path) -> Path:
    from voxmill.sharding.exports.data_export import export_data
    from voxmill.sharding.exports.export_plan import ExportChoice
    from voxmill.sharding.exports.format_table import FORMATS

    for name, layout in FORMATS.items():
        export_data(str(root / "shards"), str(out / name), layout, ExportChoice())
    return out


def _leaks(root: Path) -> Iterator[tuple[str, bool]]:
    """Files, by their path below `root`, that hold a secret in their name, their bytes, or in what is packed in them."""
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink()):
        name = str(path.relative_to(root))
        if any(MARK in text for text in (unquote(name), *_texts(path.name, path.read_bytes()))):
            yield name, True


def _texts(name: str, blob: bytes) -> Iterator[str]:
    yield unquote(blob.decode("latin-1"))
    if name.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(blob))
        yield unquote(repr(table.to_pylist()))
        yield repr(table.schema.metadata)
    elif name.endswith((".tar", ".tar.gz")):
        with tarfile.open(fileobj=io.BytesIO(blob)) as tar:
            for member in tar:
                file = tar.extractfile(member)
                yield member.name
                yield from _texts(member.name, file.read() if file else b"")
    elif name.endswith(".gz"):
        yield from _texts(name[:-3], gzip.decompress(blob))


if __name__ == "__main__":
    main()

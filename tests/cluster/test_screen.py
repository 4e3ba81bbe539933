"""Which lines of a screen an undisturbed run does not have."""

from __future__ import annotations

from cluster.screen import shapes, unusual

USUAL = shapes(
    ["listing 3 sources", "12 shards in /tmp/run/shards; next: voxmill verify /tmp/run", "kept   0.75   6 h"], "/tmp/run"
)


def test_numbers_places_and_columns_do_not_make_a_line_unusual() -> None:
    said = ["listing 12 sources", "1,024 shards in s3://b/run/shards; next: voxmill verify s3://b/run", "kept 0.5 16 h", ""]
    assert unusual(said, "s3://b/run", USUAL) == []


def test_progress_is_not_unusual_and_all_else_is() -> None:
    said = [
        "crawl · units 1/2 · kept 8 · rejected 0 · hours 0.00 · x real time – · ETA 0:07",
        "starting workers | writing tables · 0:09",
        "listing 2 sources · 0:16",
        "the store at http://10.77.0.1:9000 does not answer (HTTP 503): waiting up to 10 min for it; nothing is lost",
    ]
    assert unusual(said, "s3://b/run", USUAL) == said[3:]

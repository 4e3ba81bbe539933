"""Where a run's audio came from: how its hosts were treated, its licences, and what was there twice."""

from __future__ import annotations

from voxmill.pipeline.report_page.kept_sections import LISTED, Ask
from voxmill.pipeline.report_page.plots import bars
from voxmill.pipeline.report_page.section import Section
from voxmill.pipeline.terminal.output import amount

HONOURED = ("crawl.robots", "crawl.opt_out", "crawl.denied", "crawl.revoked")
"""Reasons for which something was left alone because its owner, or ours, wants it so."""


def hosts(ask: Ask, requests_per_second: float, in_flight: int) -> Section:
    """What each host was asked for, what it refused, and what was left alone because its owner wants it so."""
    kept_out = ", ".join(f"'{reason}'" for reason in HONOURED)
    rows = ask(
        f"""
        SELECT provenance.host, count(*), count(*) FILTER (rejection IS NULL), count(*) FILTER (rejection.reason IN ({kept_out})),
            count(*) FILTER (rejection.reason = 'crawl.blocked'), sum(num_bytes) / 1e9, coalesce(sum(num_samples), 0) / 57.6e6
        FROM recordings WHERE provenance.host <> 'local' GROUP BY 1 ORDER BY 7 DESC, 2 DESC, 1
        """
    )
    title = "Hosts, and how they were treated"
    if not rows:
        return Section(title, "Everything came from files: no host was asked.")
    honoured, blocked = sum(row[3] for row in rows), sum(row[4] for row in rows)
    says = (
        f"{amount(len(rows), 'host')} asked, each at most {requests_per_second:g} times a second and for {in_flight} things at once, whatever the "
        f"number of workers. {honoured:,} items were left alone by robots.txt, an opt-out or a deny-list; {blocked:,} were refused to us, and "
        "not asked for by another way."
    )
    most = rows[:LISTED]
    figure = bars([row[0] for row in most], {"hours": [row[6] for row in most]}, "hours")
    head = ("host", "items", "fetched", "left alone", "refused", "GB", "hours")
    return Section(title, says, head, most, figure)


def licences(ask: Ask) -> Section:
    """Hours that the shards hold, by licence."""
    rows = ask(
        "SELECT coalesce(licence, 'not known'), count(*), sum(num_samples) / 57.6e6 FROM samples GROUP BY 1 ORDER BY 3 DESC, 1"
    )
    if not rows:
        return Section("Licences", "There are no shards yet.")
    unknown = sum(row[2] for row in rows if row[0] in ("not known", "unknown"))
    says = f"{amount(len(rows), 'licence')} in the shards. " + (
        f"Of {unknown:,.2f} hours the licence is not known: `voxmill release` will not let them out."
        if unknown
        else "Who has to be named is in `shards/__metadata__/attribution/`."
    )
    figure = bars([row[0] for row in rows[:LISTED]], {"hours": [row[2] for row in rows[:LISTED]]}, "hours in the shards")
    return Section("Licences", says, ("licence", "samples", "hours"), rows[:LISTED], figure)


def duplicates(ask: Ask) -> Section:
    """What was there twice: the same bytes, the same sound, and what looks like it."""
    rows = ask(
        "SELECT 'recordings: ' || rejection.reason, count(*), coalesce(sum(num_samples), 0) / 57.6e6 FROM recordings"
        " WHERE rejection.reason LIKE '%duplicate%' GROUP BY 1"
        " UNION ALL SELECT 'items: ' || rejection.reason, count(*), NULL FROM items WHERE rejection.reason LIKE '%duplicate%' GROUP BY 1"
        " UNION ALL SELECT 'spans: ' || reason || ', by ' || \"by\", count(*), sum(num_samples) / 57.6e6 FROM duplicates GROUP BY 1 ORDER BY 1"
    )
    if not rows:
        return Section("Duplicates", "None were found; near duplicates are looked for by `voxmill duplicates`.")
    says = f"{amount(sum(row[1] for row in rows), 'thing')} that had been there before."
    return Section("Duplicates", says, ("what", "number", "hours"), rows)

"""The printed tables of `voxmill stats`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.text import Text

from voxmill.pipeline.terminal.table import Cell, Column, number, print_table, prose

Rows = list[dict[str, Any]]


def show(sections: Mapping[str, pa.Table], console: Console, limit: int) -> None:
    """Prints a table for each view, with at most `limit` rows."""
    for name, table in sections.items():
        rows: Rows = table.to_pylist()
        if name == "funnel":
            _funnel(console, rows)
        elif name.startswith("retention_by_"):
            if len(rows) > 1 or len(sections) < 4:  # the overview leaves out properties with a single value
                _retention(console, name.removeprefix("retention_by_"), rows, limit)
        elif name.startswith("stages_by_"):
            _stages(console, name.removeprefix("stages_by_"), rows, limit)
        elif name in _SHOW:
            _SHOW[name](console, rows, limit)
        else:
            _any(console, table.column_names, rows, limit)


def _funnel(console: Console, rows: Rows) -> None:
    unit, scale = _unit(row["seconds_in"] for row in rows)
    heads = (
        "stage", Column("counted", spare=2), number("in"), number("kept"), number("rejected"), " ",
        number(f"audio ({unit})"), number("kept"), number("rejected"), number("share", 1), Column(" ", spare=3),
    )  # fmt: skip
    lines: list[Sequence[Cell]] = []
    for row in rows:
        sign = Text("=") if row["balanced"] else Text("≠", style="bold red")
        share = _share_kept(row)
        counts = [f"{row[f'rows_{k}']:,}" for k in ("in", "kept", "rejected")]
        times = [_time(row[f"seconds_{k}"] / scale) for k in ("in", "kept", "rejected")]
        lines.append((row["stage"], row["counted"], *counts, sign, *times, _percent(share), _bar(share)))
    print_table(console, heads, lines, title="Funnel")
    for row in rows:
        lost = row["rows_in"] - row["rows_kept"] - row["rows_rejected"]
        if lost:
            fix = "has not answered for them: continue the run with the same `voxmill run` command"
            console.print(f"{lost:,} of {row['rows_in']:,} {row['counted']}: {row['stage']} {fix}", style="red", soft_wrap=True)


def _retention(console: Console, dimension: str, rows: Rows, limit: int) -> None:
    unit, scale = _unit(row["source_s"] for row in rows)
    heads = (
        Column(dimension), number("spans"), number(f"audio ({unit})"), number("speech"), number("kept"),
        number("of audio"), number("of speech", 1), Column(" ", spare=2),
    )  # fmt: skip
    lines: list[Sequence[Cell]] = []
    for row in rows[:limit]:
        times = [_time(row[k] / scale) for k in ("source_s", "speech_s", "kept_s")]
        shares = _percent(row["kept_of_source"]), _percent(row["kept_of_speech"]), _bar(row["kept_of_source"])
        value = {"tier": "not judged", "reason": "kept"}.get(dimension) if row["value"] is None else row["value"]
        lines.append((_value(value), f"{row['num_spans']:,}", *times, *shares))
    _print(console, f"Retention by {dimension}", heads, lines, len(rows), limit)


def _stages(console: Console, dimension: str, rows: Rows, limit: int) -> None:
    """One line per value, one column per stage: the share of the audio (before decoding, of the items) that the stage kept."""
    stages = list(dict.fromkeys(row["stage"] for row in sorted(rows, key=lambda r: (r["position"], r["stage"]))))
    shares: dict[str | None, dict[str, float | None]] = {}
    for row in rows:
        shares.setdefault(row["value"], {})[row["stage"]] = _share_kept(row)
    lines: list[Sequence[Cell]] = [
        (_value(value), *(_percent(line.get(stage)) for stage in stages)) for value, line in list(shares.items())[:limit]
    ]
    heads = (Column(dimension), *(number(stage) for stage in stages))
    _print(console, f"Kept by each stage, by {dimension}", heads, lines, len(shares), limit)


def _rejections(console: Console, rows: Rows, limit: int) -> None:
    unit, scale = _unit(row["seconds"] for row in rows)
    heads = ("reason", number("rows"), number(f"audio ({unit})"), prose("meaning"))
    lines = []
    for row in rows[:limit]:
        stage, _, engine = row["stage"].partition(":")
        where = engine or ("" if row["reason"].startswith(f"{stage}.") else stage)
        name = f"{row['reason']} ({where})" if where else row["reason"]
        lines.append((name, f"{row['num_rows']:,}", _time(row["seconds"] / scale), row["meaning"] or ""))
    _print(console, "Why the rest was not kept", heads, lines, len(rows), limit)


def _marginal(console: Console, rows: Rows, limit: int) -> None:
    if not rows:
        return
    unit, scale = _unit(row["failing_s"] for row in rows)
    heads = ("filter", number(f"fails it ({unit})"), number("fails it alone"), number("would add"))
    lines = []
    for row in rows[:limit]:
        times = [_time(row[k] / scale) for k in ("failing_s", "marginal_s")]
        more = f"+{_percent(row['marginal_of_kept'])}" if row["marginal_of_kept"] is not None else ""
        lines.append((row["reason"], *times, more))
    _print(console, "What each filter costs", heads, lines, len(rows), limit)


def _cost_by_stage(console: Console, rows: Rows, limit: int) -> None:
    if not rows:
        return
    unit, scale = _unit(row["wall_hours"] * 3600 for row in rows)
    heads = (
        "stage", Column("device", spare=2), number("units", 3), number(f"wall ({unit})"), number("CPU"), number("x real time"),
        number("wall per kept", 5), number("CPU per kept", 4), number("peak GB"), number("retries", 1),
    )  # fmt: skip
    lines = []
    for row in rows[:limit]:
        hours = [_time(row[k] * 3600 / scale) for k in ("wall_hours", "cpu_hours")]
        ratios = [_number(row[k]) for k in ("times_real_time", "wall_per_kept_hour", "cpu_per_kept_hour", "max_rss_gb")]
        lines.append((row["stage"], row["device"] or "", f"{row['num_units']:,}", *hours, *ratios, str(row["retries"] or 0)))
    _print(console, "Cost", heads, lines, len(rows), limit)


def _cost(console: Console, rows: Rows, limit: int) -> None:
    row = rows[0]
    unit, scale = _unit([row["source_hours"] * 3600])
    audio, speech, kept = (_time(row[f"{k}_hours"] * 3600 / scale) for k in ("source", "speech", "kept"))
    line = f"{audio} {unit} of audio, {speech} of it speech, {kept} kept"
    if row["wall_per_kept_hour"] is not None:
        wall, cpu, gpu = (_number(row[f"{k}_per_kept_hour"]) for k in ("wall", "cpu", "gpu"))
        line += f"; per kept hour {wall} h of work ({cpu} CPU hours, {gpu} GPU hours)"
    console.print(line, soft_wrap=True)


def _service_cost(console: Console, rows: Rows, limit: int) -> None:
    """One line for each service that was asked."""
    for row in rows[:limit]:
        line = f"{row['engine']} was asked {row['num_requests']:,} times for {_number(row['hours'])} h of audio"
        if row["num_unanswered"]:
            line += f", {row['num_unanswered']:,} segments without an answer"
        if row["price"]:
            line += f"; by its prices {_number(row['price'])}"
            line += f", {_number(row['price_per_kept_hour'])} a kept hour" if row["price_per_kept_hour"] is not None else ""
        console.print(line, soft_wrap=True)


def _conservation(console: Console, rows: Rows, limit: int) -> None:
    """Prints nothing if the counts of every stage add up."""
    for row in rows[:limit]:
        console.print(
            f"{row['stage']} {row['id']}: {row['what']}: expected {row['expected']}, found {row['found']}",
            style="red",
            soft_wrap=True,
        )
    if rows:
        advice = "`voxmill verify` names what is missing; FROM conservation lists all"
        console.print(f"in = kept + rejected fails in {len(rows):,} places: {advice}", style="bold red", soft_wrap=True)


def _what_if(console: Console, rows: Rows, limit: int) -> None:
    unit, scale = _unit(row["hours_now"] * 3600 for row in rows)
    heads = ("tier", number("segments now"), number("then"), number(f"audio now ({unit})"), number("then"), number("change"))
    lines = []
    for row in rows:
        now, then = row["hours_now"] * 3600 / scale, row["hours_then"] * 3600 / scale
        change = f"{(then - now) / now:+.1%}" if now else ""
        cells = (f"{row['segments_now']:,}", f"{row['segments_then']:,}", _time(now), _time(then), change)
        lines.append((row["tier"], *cells))
    print_table(console, heads, lines, title="What if", styles=["bold" if row["tier"] == "kept" else "" for row in rows])


def _unread(console: Console, rows: Rows, limit: int) -> None:
    """Prints at most one line."""
    if rows:
        named = ", ".join(f"{row['language'] or 'not known'} ({row['num_segments']:,})" for row in rows[:limit])
        console.print(
            f"numbers not read in {named} segments: no library knows these languages, so `25` and its words differ and agreement is lower",
            style="yellow", highlight=False, markup=False,
        )  # fmt: skip


def _labels(console: Console, rows: Rows, limit: int) -> None:
    if not rows:
        return
    heads = (
        "task", "labeller", Column("model", spare=3), number("asked"), number("labelled"), number("of them empty", 2),
        number("refused", 1), number("contradicted", 4), number("sure"),
    )  # fmt: skip
    lines = []
    for row in rows[:limit]:
        counts = [f"{row[f'num_{k}']:,}" for k in ("asked", "labelled", "empty", "refused", "contradicted")]
        sure = "" if row["mean_confidence"] is None else f"{row['mean_confidence']:.2f}"
        lines.append((row["task"], row["labeller"], row["model"] or "", *counts, sure))
    _print(console, "Labels", heads, lines, len(rows), limit)


_SHOW: Mapping[str, Any] = {
    "rejections": _rejections, "unread_numbers": _unread, "marginal_loss": _marginal, "label_coverage": _labels, "cost_by_stage": _cost_by_stage, "cost": _cost, "service_cost": _service_cost,
    "conservation": _conservation, "what_if": _what_if,
}  # fmt: skip


def _any(console: Console, columns: Sequence[str], rows: Rows, limit: int) -> None:
    lines = [["" if value is None else str(value) for value in row.values()] for row in rows[:limit]]
    _print(console, "", [Column(name) for name in columns], lines, len(rows), limit)


def _print(
    console: Console,
    title: str,
    heads: Sequence[Column | str],
    lines: Sequence[Sequence[Cell]],
    total: int,
    limit: int,
) -> None:
    console.print()
    print_table(console, heads, lines, title=title)
    if total > limit:
        console.print(f"… and {total - limit:,} more: --json and --csv show all", style="dim", soft_wrap=True)


def _value(value: str | None) -> Text:
    return Text("not known", style="dim") if value is None else Text(value)


def _unit(seconds: Iterable[float | None]) -> tuple[str, float]:
    """(unit, seconds in it) that suits the largest of these durations."""
    largest = max((s or 0.0 for s in seconds), default=0.0)
    return ("h", 3600.0) if largest >= 3600 else ("min", 60.0) if largest >= 120 else ("s", 1.0)


def _time(value: float) -> str:
    return f"{value:,.1f}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if 0 < abs(value) < 1 else f"{value:.1f}"


def _share_kept(row: Mapping[str, Any]) -> float | None:
    """The share of the audio that a stage kept; of the rows if nothing is decoded yet."""
    of = "rows" if row["stage"] in ("list", "crawl") or not row["seconds_in"] else "seconds"
    return row[f"{of}_kept"] / row[f"{of}_in"] if row[f"{of}_in"] else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _bar(share: float | None, width: int = 16) -> Text:
    eighths = round((share or 0.0) * width * 8)
    return Text("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip(), style="green")

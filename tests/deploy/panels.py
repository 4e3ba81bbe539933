"""What the dashboard shows, row by row: titles, units and PromQL over the metrics of `metric_table.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RUN = '{run=~"$run"}'


@dataclass(frozen=True)
class Plot:
    """One panel. `query` has one legend, a template of Grafana's."""

    title: str
    query: str
    legend: str
    unit: str
    """As Grafana names it."""
    help: str
    kind: Literal["time", "bars"] = "time"
    stacked: bool = False


def _rate(metric: str, by: str = "stage", matcher: str = RUN) -> str:
    return f"sum by ({by}) (rate(ray_{metric}_total{matcher}[$__rate_interval]))"


def _hours(metric: str, by: str) -> str:
    return f"sum by ({by}) (increase(ray_{metric}_total{RUN}[$__range])) / 3600"


def _quantile(share: float) -> str:
    buckets = f"rate(ray_voxmill_unit_duration_seconds_bucket{RUN}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le, stage) ({buckets}))"


_LEFT = f"sum by (stage) (ray_voxmill_units_left{RUN})"
_EXPECTED = f"sum by (stage) (ray_voxmill_units_expected{RUN})"
_KEPT, _AUDIO = _rate("voxmill_kept_seconds"), _rate("voxmill_audio_seconds")

ROWS: dict[str, tuple[Plot, ...]] = {
    "Progress": (
        Plot("Done", f"1 - {_LEFT} / {_EXPECTED}", "{{stage}}", "percentunit", "Share of the units that a stage had to do", "bars"),
        Plot("Time left", f"{_LEFT} / (sum by (stage) (rate(ray_voxmill_units_total{RUN}[30m])) > 0)", "{{stage}}", "s",
             "At the speed of the last half hour"),
        Plot("Units", _rate("voxmill_units"), "{{stage}}", "ops", "Units that were finished, per second"),
        Plot("Times real time", _AUDIO, "{{stage}}", "none", "Seconds of audio per second, by all workers together"),
    ),
    "What is kept": (
        Plot("Kept", _hours("voxmill_kept_seconds", "stage"), "{{stage}}", "h", "Hours of audio that a stage kept, in the time shown",
             "bars"),
        Plot("Rejected, by reason", f"topk(15, {_hours('voxmill_rejected_seconds', 'stage, reason')})", "{{stage}}: {{reason}}", "h",
             "Hours of audio, in the time shown; the reference of Voxmill says what a reason means", "bars"),
        Plot("Share that is kept", f"{_KEPT} / ({_AUDIO} > 0)", "{{stage}}", "percentunit", "Of the audio that went in"),
        Plot("Rows kept", _rate("voxmill_kept_rows"), "{{stage}}", "ops", "Recordings, segments or samples per second"),
        Plot("Rows rejected", _rate("voxmill_rejected_rows", "stage, reason"), "{{stage}}: {{reason}}", "ops",
             "Recordings, segments or samples per second", stacked=True),
    ),
    "Where the time goes": (
        Plot("Queues", f"sum by (stage) (ray_voxmill_units_waiting{RUN})", "{{stage}}", "none",
             "Units that the stage before has finished: the stage where they gather holds up the rest", stacked=True),
        Plot("Busy workers", _rate("voxmill_busy_seconds"), "{{stage}}", "none", "Workers that were at work on a unit, on average",
             stacked=True),
        Plot("Workers", f"sum by (stage) (ray_voxmill_workers{RUN})", "{{stage}}", "none",
             "Workers that finished a unit in the last ten minutes; one worker may do several stages"),
        Plot("Cores per busy worker", f"{_rate('voxmill_cpu_seconds')} / ({_rate('voxmill_busy_seconds')} > 0)", "{{stage}}", "none",
             "Low: it waits for a host, a store or a GPU"),
        Plot("Times real time, one worker", f"{_AUDIO} / ({_rate('voxmill_busy_seconds')} > 0)", "{{stage}}", "none",
             "Seconds of audio per second of one worker"),
        Plot("One unit, median", _quantile(0.5), "{{stage}}", "s", "Half of the units took less"),
        Plot("One unit, 95 %", _quantile(0.95), "{{stage}}", "s", "One unit in twenty took longer"),
    ),
    "Store and hosts": (
        Plot("Requests to the store", _rate("voxmill_store_requests", "by"), "{{by}}", "reqps", "By the driver, and by all workers"),
        Plot("Requests that were repeated", f"{_rate('voxmill_store_retries', 'by')} / ({_rate('voxmill_store_requests', 'by')} > 0)",
             "{{by}}", "percentunit", "Of all requests to the store"),
        Plot("Fetches that wait for a host", f"topk(10, {_rate('voxmill_host_wait_seconds', 'host')})", "{{host}}", "none",
             "Fetches that waited for their turn, on average: politeness, not a fault", stacked=True),
    ),
}  # fmt: skip

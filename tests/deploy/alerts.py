"""When somebody should look: rules for Prometheus over the metrics of `metric_table.py`."""

from __future__ import annotations

from typing import Any


def _rule(name: str, query: str, wait: str, summary: str, advice: str, severity: str = "warning") -> dict[str, Any]:
    return {
        "alert": name,
        "expr": query,
        "for": wait,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": advice},
    }


def _increase(metric: str, span: str, matcher: str = "", by: str = "run") -> str:
    return f"sum by ({by}) (increase(ray_{metric}_total{matcher}[{span}]))"


RULES: dict[str, Any] = {
    "groups": [
        {
            "name": "voxmill",
            "rules": [
                _rule(
                    "VoxmillStalled",
                    f"sum by (run) (ray_voxmill_units_left) > 0 unless ({_increase('voxmill_units', '30m')} > 0)",
                    "15m",
                    "Run {{ $labels.run }} has finished no unit for half an hour, and is not done",
                    "Look at `ray job logs` for a line that says what it waits for: machines, a host, the store.",
                    "critical",
                ),
                _rule(
                    "VoxmillStageFails",
                    f"{_increase('voxmill_rejected_rows', '1h', matcher='{reason=~`.*[.]failed`}', by='run, stage')} > 0.05 * "
                    f"({_increase('voxmill_rejected_rows', '1h', by='run, stage')}"
                    f" + {_increase('voxmill_kept_rows', '1h', by='run, stage')})",
                    "10m",
                    "Run {{ $labels.run }}: stage {{ $labels.stage }} fails on more than one row in twenty",
                    "Bad input is rare; this is more likely the stage. `voxmill stats RUN` shows details and how to repeat one.",
                ),
                _rule(
                    "VoxmillKeepsNothing",
                    f"{_increase('voxmill_audio_seconds', '1h', matcher='{stage=`select`}')} > 600 unless "
                    f"({_increase('voxmill_kept_seconds', '1h', matcher='{stage=`select`}')} > 0)",
                    "0m",
                    "Run {{ $labels.run }} has selected nothing for an hour",
                    "A threshold, a language or a recogniser is wrong: see the reasons on the dashboard.",
                    "critical",
                ),
                _rule(
                    "VoxmillStoreRetries",
                    f"{_increase('voxmill_store_retries', '15m', by='run, by')} > 0.05 * "
                    f"{_increase('voxmill_store_requests', '15m', by='run, by')}",
                    "15m",
                    "Run {{ $labels.run }}: more than 5 % of the {{ $labels.by }}'s requests to the store are repeated",
                    "The store is overloaded or ill. The run goes on, slower.",
                ),
                _rule(
                    "VoxmillBlocked",
                    f"{_increase('voxmill_rejected_rows', '1h', matcher='{reason=`crawl.blocked`}')} > 20",
                    "0m",
                    "Run {{ $labels.run }}: hosts have refused us",
                    "Somebody does not want this crawl, or not at this rate: ask them, or lower `crawl.requests_per_second`.",
                ),
            ],
        }
    ]
}

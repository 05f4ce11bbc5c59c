"""The figures that workers serve to Prometheus."""

from __future__ import annotations

from activities.telemetry.metric_names import ALL, Counter, Gauge, Metric, Seconds
from docs.writing.source import table

HEAD = """\
# Metrics

A worker serves them at `RUNBOOK_METRICS`, next to those of Temporal's SDK, which start with `temporal_`. Figures of runs
also have the labels `namespace`, `task_queue` and `workflow_type`. What is counted while a workflow replays after a
crash is not counted again.

[deploy/grafana](../../deploy/grafana/dashboards) shows them, and
[deploy/prometheus/self-alerts.yml](../../deploy/prometheus/self-alerts.yml) warns of them.
"""


def page() -> str:
    """Write the page."""
    rows = (
        (
            f"`{prometheus_name(item)}`",
            _kind(item),
            ", ".join(f"`{name}`" for name in item.labels),
            item.words,
        )
        for item in ALL
    )
    return f"{HEAD}\n{table(('name', 'kind', 'labels', 'counts'), rows)}"


def prometheus_name(metric: Metric) -> str:
    """Return the name that Prometheus finds."""
    endings = {Counter: "_total", Seconds: "_seconds"}
    return metric.name + endings.get(type(metric), "")


def _kind(counted: Metric) -> str:
    return {Counter: "counter", Gauge: "gauge"}.get(type(counted), "histogram: `_bucket`, `_sum`, `_count`")

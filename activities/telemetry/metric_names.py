"""Every figure that the product counts of itself: name, unit, labels and words, in one place.

Prometheus adds its own endings: ``_total`` to a counter, the unit, and ``_bucket``, ``_sum`` and ``_count`` to a
histogram. Temporal's own figures stand next to them.
"""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.common import (
    MetricCounter,
    MetricGauge,
    MetricHistogram,
    MetricHistogramFloat,
    MetricMeter,
)


@dataclass(frozen=True)
class Metric:
    """A figure."""

    name: str
    words: str
    labels: tuple[str, ...]


class Counter(Metric):
    """How often something happened."""

    def on(self, meter: MetricMeter) -> MetricCounter:
        """Return the counter on a meter."""
        return meter.create_counter(self.name, self.words)


class Sizes(Metric):
    """How large something was, each time."""

    def on(self, meter: MetricMeter) -> MetricHistogram:
        """Return the histogram on a meter."""
        return meter.create_histogram(self.name, self.words)


class Seconds(Metric):
    """How long something took, each time."""

    def on(self, meter: MetricMeter) -> MetricHistogramFloat:
        """Return the histogram on a meter."""
        return meter.create_histogram_float(self.name, self.words, "seconds")


class Gauge(Metric):
    """How much there is now."""

    def on(self, meter: MetricMeter) -> MetricGauge:
        """Return the gauge on a meter."""
        return meter.create_gauge(self.name, self.words)


OF_RUN = ("procedure", "environment", "service")

PROCEDURES = Counter("runbook_procedures", "Procedures that ended", (*OF_RUN, "outcome"))
PROCEDURE_DURATION = Seconds("runbook_procedure_duration", "Time from start to end", (*OF_RUN, "outcome"))
PHASE_DURATION = Seconds("runbook_phase_duration", "Time under a heading of a page", (*OF_RUN, "heading"))
CHECKPOINT_WAIT = Seconds("runbook_checkpoint_wait", "Time that a checkpoint was open", (*OF_RUN, "end"))
READINGS = Counter("runbook_readings", "Readings", (*OF_RUN, "kind", "quality"))
VERDICTS = Counter("runbook_verdicts", "Verdicts", (*OF_RUN, "verdict"))
ALERTS = Counter(
    "runbook_alerts",
    "Alerts that reached an incident: new word, known already, no room",
    (*OF_RUN[1:], "result"),
)
ACKNOWLEDGED_AFTER = Seconds(
    "runbook_incident_acknowledge_duration",
    "Time until a person had an incident, or a procedure worked at it",
    OF_RUN[1:],
)
RESOLVED_AFTER = Seconds(
    "runbook_incident_resolve_duration", "Time until an incident was over", (*OF_RUN[1:], "outcome")
)
BRAKE_ENGAGED = Gauge("runbook_brake_engaged", "Whether a person holds the brake", ("environment", "scope"))
OPEN_RUNS = Gauge("runbook_open_runs", "Open runs, by where they stand", ("environment", "state"))
AWS_CALLS = Counter(
    "runbook_aws_calls", "Calls of AWS, by service, action and error", ("service", "action", "error")
)
WATCHER_BATCH = Sizes("runbook_watcher_batch", "Services read in one call", ())
MESSAGES = Counter("runbook_messages", "Messages to people, by attempt", ("channel", "result"))

ALL: tuple[Metric, ...] = (
    PROCEDURES,
    PROCEDURE_DURATION,
    PHASE_DURATION,
    CHECKPOINT_WAIT,
    READINGS,
    VERDICTS,
    ALERTS,
    ACKNOWLEDGED_AFTER,
    RESOLVED_AFTER,
    BRAKE_ENGAGED,
    OPEN_RUNS,
    AWS_CALLS,
    WATCHER_BATCH,
    MESSAGES,
)

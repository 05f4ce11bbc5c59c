"""What the product counts of itself, at the worker's Prometheus address next to Temporal's own figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from temporalio.common import MetricMeter
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from activities.telemetry.metric_names import (
    ACKNOWLEDGED_AFTER,
    AWS_CALLS,
    CHECKPOINT_WAIT,
    PHASE_DURATION,
    PROCEDURE_DURATION,
    RESOLVED_AFTER,
    WATCHER_BATCH,
)
from runbook_model.errors import InputError
from runbook_model.text.sentences import quote

if TYPE_CHECKING:
    from botocore.client import BaseClient

HUMAN = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 86400)
"""Seconds: from what a machine takes to what a person does."""
SIZES = (1, 2, 3, 5, 7, 10)
BUCKETS: Mapping[str, Sequence[float]] = {
    PHASE_DURATION.name: HUMAN,
    PROCEDURE_DURATION.name: HUMAN,
    CHECKPOINT_WAIT.name: HUMAN,
    ACKNOWLEDGED_AFTER.name: HUMAN,
    RESOLVED_AFTER.name: HUMAN,
    WATCHER_BATCH.name: SIZES,
}


def set_up(address: str | None) -> MetricMeter:
    """Serve this process's figures, before anything else of the SDK is used; without an address nothing is counted.

    Raises:
        InputError: nothing can listen there.
    """
    if address is None:
        return MetricMeter.noop
    try:
        runtime = Runtime(
            telemetry=TelemetryConfig(
                attach_service_name=False,  # Prometheus gives each target its job
                metrics=PrometheusConfig(
                    bind_address=address,
                    counters_total_suffix=True,
                    unit_suffix=True,
                    durations_as_seconds=True,
                    histogram_bucket_overrides=BUCKETS,
                ),
            )
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"RUNBOOK_METRICS = {address}: {quote(str(error))}", fix="use HOST:PORT that is free"
        ) from None
    Runtime.set_default(runtime)
    return runtime.metric_meter


class AwsCalls:
    """Counts the calls that clients of AWS make, by action and by the error that AWS or the network gave."""

    def __init__(self, meter: MetricMeter) -> None:
        self._calls = AWS_CALLS.on(meter)

    def watch(self, client: BaseClient) -> None:
        """Count the calls of a client from now on."""
        client.meta.events.register("after-call", self._answered)
        client.meta.events.register("after-call-error", self._failed)

    def _answered(self, parsed: Mapping[str, Any], event_name: str, **_: object) -> None:
        self._count(event_name, parsed.get("Error", {}).get("Code", ""))

    def _failed(self, exception: Exception, event_name: str, **_: object) -> None:
        self._count(event_name, type(exception).__name__)

    def _count(self, event: str, error: str) -> None:
        _, service, action = event.split(".", 2)
        self._calls.add(1, {"service": service, "action": action, "error": error or "none"})

"""One trace from the command line to the AWS call, sent only where ``OTEL_*`` asks for it.

Tracing never slows or fails what it watches: a collector that is gone costs a bounded flush and a lost trace.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from temporalio.plugin import SimplePlugin


def is_tracing() -> bool:
    """Whether the environment asks for traces."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "")
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get(
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    return exporter in {"console", "otlp"} or (exporter != "none" and bool(endpoint))


def tracing_plugins(service_name: str) -> list[SimplePlugin]:
    """Return the Temporal client's tracing plugin, or nothing; the first call sets the process up."""
    if not is_tracing():
        return []
    from activities.telemetry import tracing  # noqa: PLC0415 - OpenTelemetry costs start-up time, and few processes trace

    tracing.set_up(service_name)
    return [tracing.plugin()]


def trace_outside_calls() -> None:
    """Trace each call of AWS and over HTTP that this process makes from now on, where anything is traced."""
    if is_tracing():
        from activities.telemetry import tracing  # noqa: PLC0415 - see above

        tracing.trace_outside_calls()


def untraced() -> AbstractContextManager[None]:
    """Keep calls over HTTP out of the traces: spans hold addresses, and that of a webhook is a secret."""
    if not is_tracing():
        return nullcontext()
    from opentelemetry.instrumentation.utils import suppress_http_instrumentation  # noqa: PLC0415 - see above

    return suppress_http_instrumentation()


@contextmanager
def root_span(name: str, attributes: Mapping[str, str]) -> Iterator[str | None]:
    """Open the span that everything else belongs to; yields the trace's id, None when nothing is traced."""
    if not is_tracing():
        yield None
        return
    from activities.telemetry import tracing  # noqa: PLC0415 - see above

    with tracing.span(name, attributes) as trace_id:
        yield trace_id


def flush_traces() -> None:
    """Send what was traced, for about a second at most; call it before the process ends."""
    if is_tracing():
        from activities.telemetry import tracing  # noqa: PLC0415 - see above

        tracing.flush()

"""OpenTelemetry's part of tracing; imported only by processes that trace."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter
from temporalio.contrib.opentelemetry import (
    OpenTelemetryPlugin,
    ReplaySafeTracerProvider,
    create_tracer_provider,
)

from activities.telemetry.parents_first import ParentsFirst

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FLUSH_SECONDS = 1.0
EXPORT_SECONDS = 1.0
SENT_EVERY_MILLISECONDS = 500
"""What a worker had not sent yet dies with it: OpenTelemetry's own 5 s would lose the step that it was killed in."""
SENT_EVERY = "OTEL_BSP_SCHEDULE_DELAY"


def set_up(service_name: str) -> None:
    """Give this process a tracer provider, once."""
    if _provider() is not None:
        return
    # The exporter's complaints about a collector that is gone would fill the terminal.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    name = os.environ.get("OTEL_SERVICE_NAME", service_name)
    provider = create_tracer_provider(
        resource=Resource.create({"service.name": name}),
        shutdown_on_exit=False,  # its flush would wait for a collector that is gone far longer than ours
    )
    every = None if SENT_EVERY in os.environ else SENT_EVERY_MILLISECONDS
    provider.add_span_processor(ParentsFirst(_exporter(), every_milliseconds=every))
    trace.set_tracer_provider(provider)


def plugin() -> OpenTelemetryPlugin:
    """Return the Temporal client's plugin; a worker takes it over from its client."""
    return OpenTelemetryPlugin(add_temporal_spans=True)


def trace_outside_calls() -> None:
    """Let calls of AWS and over HTTP open spans of their own."""
    # Here and not above: the command line traces too, and makes no such calls.
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor  # noqa: PLC0415
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor  # noqa: PLC0415

    BotocoreInstrumentor().instrument()  # type: ignore[no-untyped-call] # typed but for this
    HTTPXClientInstrumentor().instrument()


@contextmanager
def span(name: str, attributes: Mapping[str, str]) -> Iterator[str]:
    """Open a span; yields its trace's id in hexadecimal."""
    with trace.get_tracer("runbook").start_as_current_span(name, attributes=dict(attributes)) as opened:
        yield trace.format_trace_id(opened.get_span_context().trace_id)


def flush() -> None:
    """Send what is still held back, for so long at most: OpenTelemetry itself would wait for each batch, and for a lookup."""
    provider = _provider()
    if provider is not None:
        sending = Thread(target=provider.force_flush, daemon=True)
        sending.start()
        sending.join(FLUSH_SECONDS)


def _provider() -> ReplaySafeTracerProvider | None:
    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, ReplaySafeTracerProvider) else None


def _exporter() -> SpanExporter:
    if os.environ.get("OTEL_TRACES_EXPORTER") == "console":
        return ConsoleSpanExporter(out=sys.stderr)  # stdout belongs to the answer
    return OTLPSpanExporter(timeout=EXPORT_SECONDS)

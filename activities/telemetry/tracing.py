"""OpenTelemetry's part of tracing, with parents exported before children; imported only by processes that trace."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock, Thread
from typing import TYPE_CHECKING
from weakref import WeakSet, WeakValueDictionary

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import SpanContext
from temporalio import workflow
from temporalio.contrib.opentelemetry import (
    OpenTelemetryPlugin,
    ReplaySafeTracerProvider,
    create_tracer_provider,
)

if TYPE_CHECKING:
    from opentelemetry.context import Context

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


COURSE = "{} (to its end)"
"""What the course of a span is called whose start was sent before."""

EVERY_BIT = (1 << 64) - 1


class ParentsFirst(BatchSpanProcessor):
    """Sends what has ended every now and then, and with it the beginnings of what is under way above it."""

    def __init__(self, exporter: SpanExporter, *, every_milliseconds: float | None) -> None:
        """Send to an exporter; ``None`` is as often as OpenTelemetry's own variable says."""
        self._under_way = _UnderWay()
        super().__init__(_WithBeginnings(exporter, self._under_way), schedule_delay_millis=every_milliseconds)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note what is under way."""
        super().on_start(span, parent_context)
        self._under_way.starts(span)

    def on_end(self, span: ReadableSpan) -> None:
        """Send it soon, or its course where its start is there already."""
        started = self._under_way.ends(span)
        super().on_end(_course(span) if started else span)


class _UnderWay:
    """The spans that have not ended, and those among them whose start was sent."""

    def __init__(self) -> None:
        # Weak: of a workflow that a worker forgets, or replays, spans are started that never end.
        self._spans: WeakValueDictionary[int, Span] = WeakValueDictionary()
        self._attempt_started: WeakSet[Span] = WeakSet()
        self._sharing = Lock()

    def starts(self, span: Span) -> None:
        with self._sharing:
            self._spans[_id(span)] = span
            # What is replayed was started, and its start sent, by an earlier worker.
            if workflow.in_workflow() and workflow.unsafe.is_replaying_history_events():
                self._attempt_started.add(span)

    def ends(self, span: ReadableSpan) -> bool:
        """Return whether its start was sent."""
        with self._sharing:
            return self._spans.pop(_id(span), None) in self._attempt_started

    def begin_above(self, ended: Sequence[ReadableSpan]) -> list[Span]:
        """Return what is under way above some spans and was not started; from here on it is."""
        found = []
        with self._sharing:
            for span in ended:
                above = span
                while above.parent and (parent := self._spans.get(above.parent.span_id)):
                    if parent in self._attempt_started:
                        break
                    self._attempt_started.add(parent)
                    found.append(parent)
                    above = parent
        return found

    def not_started(self, spans: Sequence[Span]) -> None:
        with self._sharing:
            self._attempt_started.difference_update(spans)


class _WithBeginnings(SpanExporter):
    def __init__(self, exporter: SpanExporter, under_way: _UnderWay) -> None:
        self._exporter = exporter
        self._under_way = under_way

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        above = self._under_way.begin_above(spans)
        result = self._exporter.export([*map(_beginning, above), *spans])
        if result is not SpanExportResult.SUCCESS:
            self._under_way.not_started(above)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _id(span: ReadableSpan) -> int:
    assert span.context
    number: int = span.context.span_id
    return number


def _beginning(span: ReadableSpan) -> ReadableSpan:
    return _part(span, span.name, span.context, span.parent, span.start_time)


def _course(span: ReadableSpan) -> ReadableSpan:
    """Return the span below its own start; its id follows from the other's, so that it is one however often it is made."""
    assert span.context
    context = SpanContext(
        span.context.trace_id,
        (_id(span) ^ EVERY_BIT) or 1,
        is_remote=False,
        trace_flags=span.context.trace_flags,
        trace_state=span.context.trace_state,
    )
    return _part(span, COURSE.format(span.name), context, span.context, span.end_time)


def _part(
    span: ReadableSpan, name: str, context: SpanContext | None, parent: SpanContext | None, end: int | None
) -> ReadableSpan:
    return ReadableSpan(
        name,
        context,
        parent,
        span.resource,
        span.attributes,
        span.events,
        span.links,
        span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=end,
        instrumentation_scope=span.instrumentation_scope,
    )

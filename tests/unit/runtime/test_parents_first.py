"""Spans are sent so that a trace is a tree at every moment, whatever dies."""

import asyncio
import gc

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio import workflow

from activities.telemetry.tracing import ParentsFirst


class Sent(InMemorySpanExporter):
    """What a collector has; it may be away."""

    def __init__(self):
        super().__init__()
        self.away = False

    def export(self, spans):
        return SpanExportResult.FAILURE if self.away else super().export(spans)

    @property
    def spans(self):
        return self.get_finished_spans()

    @property
    def names(self):
        return [span.name for span in self.spans]

    def parent(self, span):
        return next(
            (item for item in self.spans if span.parent and item.context.span_id == span.parent.span_id), None
        )


@pytest.fixture
def sent():
    return Sent()


@pytest.fixture
def processor(sent):
    made = ParentsFirst(sent, every_milliseconds=3_600_000)
    yield made
    made.shutdown()


@pytest.fixture
def tracer(processor):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider.get_tracer("test")


def test_what_started_and_ended_between_two_sendings_is_sent_as_it_is(tracer, processor, sent):
    with tracer.start_as_current_span("run"), tracer.start_as_current_span("call"):
        pass
    processor.force_flush()
    assert sent.names == ["call", "run"]


def test_of_what_is_under_way_the_start_is_sent_with_the_first_that_ends_below_it(tracer, processor, sent):
    with tracer.start_as_current_span("incident"), tracer.start_as_current_span("run"):
        for name in ("read", "change"):
            with tracer.start_as_current_span(name):
                pass
            processor.force_flush()
        assert sent.names == ["run", "incident", "read", "change"]
        for span in sent.spans[2:]:
            assert sent.parent(sent.parent(span)).name == "incident"
        assert {span.end_time - span.start_time for span in sent.spans[:2]} == {0}


def test_what_was_started_has_its_course_below_it_once_it_ends(tracer, processor, sent):
    def work():
        with tracer.start_as_current_span("call"):
            pass
        processor.force_flush()
        raise RuntimeError("it broke")

    with pytest.raises(RuntimeError), tracer.start_as_current_span("run", attributes={"id": "1"}):
        work()
    processor.force_flush()
    run, _, course = sent.spans
    assert course.name == "run (to its end)"
    assert sent.parent(course) is run
    assert course.context.span_id != run.context.span_id
    assert (course.start_time, course.attributes) == (run.start_time, {"id": "1"})
    assert course.end_time > run.end_time
    assert course.status.status_code is trace.StatusCode.ERROR


def test_what_nothing_ended_below_is_sent_at_its_end(tracer, processor, sent):
    with tracer.start_as_current_span("run"):
        processor.force_flush()
        assert sent.names == []
    processor.force_flush()
    assert sent.names == ["run"]


def test_a_start_that_did_not_arrive_is_sent_again(tracer, processor, sent):
    with tracer.start_as_current_span("run"):
        sent.away = True
        with tracer.start_as_current_span("lost"):
            pass
        processor.force_flush()
        sent.away = False
        with tracer.start_as_current_span("call"):
            pass
        processor.force_flush()
    assert sent.names == ["run", "call"]


def test_what_a_worker_replays_was_started_by_an_earlier_one(tracer, processor, sent, monkeypatch):
    monkeypatch.setattr(workflow, "in_workflow", lambda: True)
    monkeypatch.setattr(workflow.unsafe, "is_replaying_history_events", lambda: True)
    run = tracer.start_span("run")
    monkeypatch.undo()
    with trace.use_span(run), tracer.start_as_current_span("call"):
        pass
    processor.force_flush()
    run.end()
    processor.force_flush()
    assert sent.names == ["call", "run (to its end)"]


def test_spans_that_never_end_are_forgotten(tracer, processor):
    for _ in range(100):
        tracer.start_span("replayed")
    gc.collect()
    assert len(processor._under_way._spans) == 0


async def test_spans_of_many_threads_and_tasks_are_all_sent_once(tracer, processor, sent):
    def work(number):
        with tracer.start_as_current_span(f"call {number}"):
            if number % 10 == 0:
                processor.force_flush()

    with tracer.start_as_current_span("run"):
        await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(200)))
    processor.force_flush()
    assert sorted(sent.names) == sorted([*(f"call {n}" for n in range(200)), "run", "run (to its end)"])

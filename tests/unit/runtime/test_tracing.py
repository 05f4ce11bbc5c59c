"""What a process that traces owes a collector before it ends: a second, and no more."""

import os
import subprocess
import sys

import pytest

from tests.integration.observing.otlp_collector import BlackHole, Collector

ENDS = """
import sys, time
from activities.telemetry.telemetry import flush_traces, root_span, tracing_plugins
tracing_plugins("ends")
for number in range(int(sys.argv[1])):
    with root_span(f"span {number}", {}) as trace_id:
        pass
time.sleep(float(sys.argv[2]))
started = time.monotonic()
flush_traces()
print(trace_id, time.monotonic() - started)
"""


def end(url, spans, after):
    """Let a process end after some spans; returns the last one's trace and how long it held the process up."""
    done = subprocess.run(
        [sys.executable, "-c", ENDS, str(spans), str(after)],
        env=os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": url}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    trace, seconds = done.stdout.split()
    return trace, float(seconds)


def test_a_process_sends_what_is_left_before_it_ends():
    collector = Collector()
    trace, _ = end(collector.url, 1, 0)
    assert collector.tree(trace) == ["span 0  [ends]"]
    collector.end()


@pytest.mark.parametrize("after", [0, 0.7], ids=["before any are sent", "while some are being sent"])
def test_a_collector_that_never_answers_holds_a_process_up_for_a_second(after):
    hole = BlackHole()
    _, held_up = end(hole.url, 2000, after)  # four batches, each of which would be waited for
    hole.end()
    assert hole.taken
    assert held_up < 2.5

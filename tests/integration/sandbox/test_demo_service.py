"""The demo service as a real process, one per test, with its faults set by environment alone."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandbox.machine.processes import free_port
from tests.patience import PATIENCE
from tests.sandbox_under_test import until


class Demo:
    def __init__(self, process, port):
        self.process = process
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10)

    def process_one(self, body=b'{"test": "data"}'):
        return self.client.post("/api/v1/process", content=body)

    def samples(self):
        text = self.client.get("/metrics").text
        families = text_string_to_metric_families(text)
        return [sample for family in families for sample in family.samples]

    def total(self, name, **labels):
        return sum(s.value for s in self.samples() if s.name == name and labels.items() <= s.labels.items())

    def answers(self):
        try:
            return self.client.get("/health")
        except httpx.TransportError:
            return None

    def log_lines(self):
        self.process.kill()
        return [json.loads(line) for line in self.process.stdout.read().splitlines()]


@pytest.fixture
def demo():
    with contextlib.ExitStack() as stack:

        def start(**faults):
            port = free_port()
            process = subprocess.Popen(
                [sys.executable, "-m", "sandbox.demo.service"],
                env={"PORT": str(port), "SERVICE_VERSION": "1.0.0", **{k: str(v) for k, v in faults.items()}},
                stdout=subprocess.PIPE,
            )
            stack.callback(process.wait, timeout=10)
            stack.callback(process.kill)
            started = Demo(process, port)
            stack.callback(started.client.close)
            until(started.answers, every=0.01)
            return started

        yield start


def test_a_good_release_answers_and_counts_its_requests(demo):
    service = demo()
    assert service.client.get("/health").json() == {"status": "healthy", "version": "1.0.0"}
    answer = service.process_one()
    assert answer.status_code == 200
    assert answer.json()["status"] == "processed"
    labels = {"method": "POST", "endpoint": "/api/v1/process", "status": "200"}
    assert service.total("http_requests_total", **labels) == 1
    assert service.total("http_request_duration_seconds_count") == 1


def test_health_checks_and_scrapes_do_not_count_as_requests(demo):
    service = demo()
    service.client.get("/health")
    assert service.total("http_requests_total") == 0


def test_there_is_no_error_series_before_the_first_error(demo):
    service = demo(FAULT_ERROR_RATE=0.5)
    service.process_one()
    assert not [s for s in service.samples() if s.name == "http_errors_total"]
    service.process_one()
    assert service.total("http_errors_total", type="processing") == 1


def test_a_release_that_bears_one_request_at_once_refuses_the_second(demo):
    service = demo(FAULT_REQUESTS_AT_ONCE=1, FAULT_LATENCY_SECONDS=1)
    with ThreadPoolExecutor(2) as clients:
        statuses = sorted(item.status_code for item in clients.map(lambda _: service.process_one(), range(2)))
    assert statuses == [200, 503]
    assert service.total("http_errors_total", type="overload") == 1
    assert service.process_one().status_code == 200


def test_the_error_rate_is_exact(demo):
    service = demo(FAULT_ERROR_RATE=0.3)
    statuses = [service.process_one().status_code for _ in range(100)]
    assert statuses.count(500) == 30
    assert service.total("http_errors_total") == 30


def test_an_error_is_logged_as_json_at_error_with_its_path(demo):
    service = demo(FAULT_ERROR_RATE=1)
    service.process_one()
    [error] = [line for line in service.log_lines() if line["level"] == "ERROR"]
    assert error["path"] == "/api/v1/process"
    assert error["message"].startswith("processing failed")


def test_a_slow_release_is_slow_in_its_answers_and_its_histogram(demo):
    service = demo(FAULT_LATENCY_SECONDS=0.3)
    started = time.monotonic()
    service.process_one()
    assert time.monotonic() - started >= 0.3
    assert service.total("http_request_duration_seconds_bucket", le="0.25") == 0
    assert service.total("http_request_duration_seconds_bucket", le="0.5") == 1


def test_an_unhealthy_release_works_but_fails_its_health_check(demo):
    service = demo(FAULT_UNHEALTHY="1")
    assert service.client.get("/health").status_code == 503
    assert service.process_one().status_code == 200


def test_a_crashing_release_exits_with_code_1_in_its_time(demo):
    service = demo(FAULT_CRASH_AFTER_SECONDS=0.5)
    assert service.process.wait(timeout=PATIENCE) == 1


def test_a_release_that_refuses_lives_on_and_ends_the_connections_that_there_are(demo):
    service = demo(FAULT_REFUSE_AFTER_SECONDS=0.5)

    def hangs_up():
        with contextlib.suppress(httpx.TransportError):
            return not service.client.get("/health")
        return True

    until(hangs_up)
    with pytest.raises(httpx.ConnectError):
        service.process_one()
    assert service.process.poll() is None


def test_a_release_that_burns_cpu_still_answers(demo):
    service = demo(FAULT_CPU=0.5)
    process = psutil.Process(service.process.pid)
    # It yields to everything else on the machine, so that its share is no fact; that it uses a processor unasked is one.
    until(lambda: sum(process.cpu_times()[:2]) > 1)
    assert service.process_one().status_code == 200


def test_a_leaking_release_takes_more_and_more_memory(demo):
    service = demo(FAULT_LEAK_MB_PER_SECOND=50)
    process = psutil.Process(service.process.pid)
    before = process.memory_info().rss
    until(lambda: process.memory_info().rss - before > 30 * 1024 * 1024)


@pytest.mark.parametrize(
    ("body", "status"), [(b"not json", 400), (b"", 200), (b"[1, 2]", 200), (b"x" * (1024 * 1024 + 1), 413)]
)
def test_any_body_gets_an_answer(demo, body, status):
    assert demo().process_one(body).status_code == status


def test_a_fault_that_cannot_be_meant_ends_the_process_and_says_so():
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.demo.service"],
        env={"PORT": str(free_port()), "FAULT_ERROR_RATE": "most"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert "FAULT_ERROR_RATE='most' must be a number" in json.loads(done.stdout)["message"]


def test_sigterm_ends_it_at_once_even_under_a_request(demo):
    service = demo(FAULT_LATENCY_SECONDS=600)
    with service.client.stream("GET", "/health"):
        os.kill(service.process.pid, signal.SIGTERM)
        assert service.process.wait(timeout=PATIENCE) == 0


def test_it_is_nearly_free_when_nobody_asks(demo):
    service = demo()
    process = psutil.Process(service.process.pid)
    before = process.cpu_times()
    time.sleep(1.0)  # a measurement over a time, not a wait for something
    after = process.cpu_times()
    assert (after.user + after.system) - (before.user + before.system) < 0.03

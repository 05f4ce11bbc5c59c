"""The demo service's metrics under other names: what its tasks would write with another library or proxy."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import httpx
from prometheus_client.parser import text_string_to_metric_families

SECONDS, MILLISECONDS = 1, 1000


class Convention:
    """How one library names a counter of requests by status and a histogram; ``labels`` are on both."""

    def __init__(self, counter, histogram, status, *, endpoint=None, unit=SECONDS, **labels):
        self.counter, self.histogram, self.status = counter, histogram, status
        self.endpoint, self.unit, self.labels = endpoint, unit, labels

    def written(self, text, service):
        """Translate what a task of the demo service wrote."""
        ours = {name: value.format(service=service) for name, value in self.labels.items()}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "http_requests_total":
                    labels = ours | self.status(sample.labels["status"]) | self._endpoint(sample.labels)
                    yield line(self.counter, labels, sample.value)
                elif sample.name.startswith("http_request_duration_seconds"):
                    yield from self._of_histogram(sample, ours)
                elif sample.name == "process_start_time_seconds":
                    yield line(sample.name, {}, sample.value)

    def _of_histogram(self, sample, ours):
        part = sample.name.removeprefix("http_request_duration_seconds")
        labels = ours | self._endpoint(sample.labels)
        if bound := sample.labels.get("le"):
            labels["le"] = bound if bound == "+Inf" else f"{float(bound) * self.unit:g}"
        value = sample.value * self.unit if part == "_sum" else sample.value
        if part == "_count" and self.counter == f"{self.histogram}_count":
            return  # the counter says it, by status
        yield line(f"{self.histogram}{part}", labels, value)

    def _endpoint(self, labels):
        return {self.endpoint: labels["endpoint"]} if self.endpoint else {}


def line(name, labels, value):
    inside = ",".join(f'{label}="{text}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value}"


def outcome(status):
    failed = status.startswith("5")
    return {
        "outcome": "SERVER_ERROR" if failed else "SUCCESS",
        "status": status,
        "exception": "ProcessingException" if failed else "none",
    }


CONVENTIONS = {
    "spring": Convention(
        "http_server_requests_seconds_count", "http_server_requests_seconds", outcome,
        endpoint="uri", application="{service}",
    ),
    "otel": Convention(
        "http_server_request_duration_seconds_count", "http_server_request_duration_seconds",
        lambda status: {"http_response_status_code": status, "error_type": status if status.startswith("5") else ""},
        endpoint="http_route",
    ),
    "promhttp": Convention(
        "http_requests_total", "http_request_duration_seconds", lambda status: {"code": status}, endpoint="handler"
    ),
    "fastapi": Convention(
        "http_requests_total", "http_request_duration_seconds", lambda status: {"status": f"{status[0]}xx"},
        endpoint="handler",
    ),
    "envoy": Convention(
        "envoy_cluster_upstream_rq_xx", "envoy_cluster_upstream_rq_time",
        lambda status: {"envoy_response_code_class": status[0]}, unit=MILLISECONDS, envoy_cluster_name="{service}",
    ),
    "traefik": Convention(
        "traefik_service_requests_total", "traefik_service_request_duration_seconds",
        lambda status: {"code": status}, method="POST", protocol="http", service="{service}@ecs",
    ),
    "istio": Convention(
        "istio_requests_total", "istio_request_duration_milliseconds", lambda status: {"response_code": status},
        unit=MILLISECONDS, reporter="destination", destination_service_name="{service}",
    ),
}  # fmt: skip
LABELS = {"runbook": ("service", "environment", "release")}
"""Labels that scraping adds, where it adds others than job and release."""


class Translating(BaseHTTPRequestHandler):
    """``/SERVICE/CONVENTION?task=HOST:PORT``: the metrics of a task, in a convention."""

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        _, service, name = where.path.split("/")
        task = parse_qs(where.query)["task"][0]
        try:
            with urlopen(f"http://{task}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            self.send_error(502)
            return
        if convention := CONVENTIONS.get(name):
            text = "\n".join(convention.written(text, service)) + "\n"
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


class Translator:
    """Follows the tasks that the sandbox scrapes, and has another Prometheus scrape them by their conventions."""

    def __init__(self, sandbox, targets):
        self._sandbox, self._targets = sandbox, targets
        self.conventions = {}
        """Of each service."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Translating)
        self._server.daemon_threads = True
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._follow, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _follow(self):
        while not self._over.wait(0.2):
            try:
                with urlopen(f"{self._sandbox}/api/v1/targets?state=active", timeout=10) as answer:
                    listed = json.load(answer)
            except OSError:  # it is busy, or ends before we do
                continue
            groups = [
                *filter(None, (self._group(item["labels"]) for item in listed["data"]["activeTargets"]))
            ]
            draft = self._targets.with_suffix(".draft")
            draft.write_text(json.dumps(groups))
            draft.replace(self._targets)

    def _group(self, task):
        service = task.get("service")
        if service not in self.conventions or "release" not in task:
            return None
        name = self.conventions[service]
        labels = {label: task[label] for label in LABELS.get(name, ("release",))}
        return {
            "targets": [f"127.0.0.1:{self._server.server_port}"],
            "labels": labels
            | {
                "job": service,
                "instance": task["instance"],
                "__metrics_path__": f"/{service}/{name}",
                "__param_task": task["instance"],
            },
        }

    def end(self):
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def clients_of(urls, rate=8):
    """Send requests to services until the test is over."""
    over = threading.Event()

    def send(url):
        with httpx.Client(timeout=5) as http:
            while not over.is_set():
                try:
                    http.post(f"{url}/api/v1/process", json={"test": "data"})
                except httpx.HTTPError:
                    time.sleep(0.1)
                over.wait(1 / rate)

    threads = [threading.Thread(target=send, args=(url,), daemon=True) for url in urls]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()

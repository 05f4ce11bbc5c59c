"""What real libraries write, scraped by a real Prometheus and by VictoriaMetrics, and measured by the presets."""

import asyncio
import json
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from activities.http.client import http_client
from activities.prometheus import promql
from activities.prometheus.client import Stores
from activities.prometheus.evidence import PrometheusEvidence, Window
from activities.prometheus.scrape import count, parse, question
from runbook_model.catalog.metrics import PRESETS, Metrics
from runbook_model.catalog.service_policies import Thresholds, Verify
from sandbox.machine.processes import free_port
from tests.integration.measuring.test_promql_real import running_prometheus, wait_until_ready
from tests.observing import NOW, a_target, at, seconds
from tests.patience import PATIENCE

pytestmark = pytest.mark.rare
EXPOSITIONS = Path(__file__).parent / "expositions"
WINDOW = seconds(4)
HEALTH = {"spring": 'uri="/actuator/health"', "otel": 'http_route="/health"', "fastapi": 'handler="/health"'}
WRITTEN_BY = {name: {"preset": name, "ignore": (HEALTH[name],) if name in HEALTH else ()} for name in PRESETS if name != "runbook"} | {
    "starlette": {
        "preset": "fastapi", "requests": "starlette_requests_total", "failures": 'starlette_requests_total{status_code=~"5.."}',
        "latency": "starlette_request_duration_seconds", "endpoint_label": "path", "type_label": "status_code",
        "ignore": ('path="/health"',),
    },
}  # fmt: skip
"""How the catalog reads each recorded exposition."""
SLOWEST = {"spring": 0.2, "traefik": 0.1, "promhttp": 0.1, "envoy": 0.1, "istio": 0.1, "otel": 0.05, "fastapi": 0.1, "starlette": 0.05}  # fmt: skip
"""No p95 is above it, in seconds: milliseconds that were taken for seconds would be."""
FAILED = re.compile(r'(="5\d\d"|="5xx"|SERVER_ERROR|class="5")')


def exposition(name, scrape, *, failures):
    """What was recorded, so many times over; without the series of failures if none are to be."""
    for text in (EXPOSITIONS / f"{name}.txt").read_text().splitlines():
        if text.startswith(("#", "process_start_time", "target_info")):
            yield text
        elif failures or not FAILED.search(text):
            series, _, value = text.rpartition(" ")
            yield f"{series} {float(value) * scrape}"


class Library(BaseHTTPRequestHandler):
    """``/healthy/NAME`` and ``/failing/NAME``: each scrape finds the recorded requests once more."""

    def do_GET(self) -> None:
        _, how, name = self.path.split("/")
        scrape = self.server.scrapes[self.path] = self.server.scrapes.get(self.path, 0) + 1
        body = ("\n".join(exposition(name, scrape, failures=how == "failing")) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def group(port, how, name):
    """A target that Prometheus scrapes; the job is the service's name, and tells the two kinds apart."""
    return {
        "targets": [f"127.0.0.1:{port}"],
        "labels": {"__metrics_path__": f"/{how}/{name}", "instance": f"{how}-{name}", "job": "shop", "how": how, "written_by": name},
    }  # fmt: skip


@contextmanager
def running_victoria(folder, targets):
    program = shutil.which("victoria-metrics")
    if program is None:
        pytest.fail("no `victoria-metrics` on PATH: install it (Debian: apt-get install victoria-metrics)")
    configuration, log = folder / "scrape.yml", folder / "victoria.log"
    configuration.write_text(
        f'scrape_configs: [{{job_name: tasks, scrape_interval: 500ms, file_sd_configs: [{{files: ["{targets}"]}}]}}]'
    )
    address = f"127.0.0.1:{free_port()}"
    argv = [program, f"-promscrape.config={configuration}", f"-httpListenAddr={address}"]
    argv += [f"-storageDataPath={folder / 'victoria'}", "-search.latencyOffset=0s", "-search.disableCache"]
    with log.open("w") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out)
    try:
        wait_until_ready(f"http://{address}", process, log)
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module", params=["prometheus", "victoria-metrics"])
def store(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Library)
    server.daemon_threads, server.scrapes = True, {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    targets = folder / "targets.json"
    groups = [group(server.server_port, how, name) for how in ("healthy", "failing") for name in WRITTEN_BY]
    targets.write_text(json.dumps(groups))
    running = running_prometheus if request.param == "prometheus" else running_victoria
    with running(folder, targets) as url:
        yield url
    server.shutdown()
    server.server_close()


def target_of(url, how, name, read_by):
    keys = WRITTEN_BY[read_by]
    labels = Metrics(**keys).convention("shop", "prod").labels | {"how": how, "written_by": name}
    return a_target(
        service="shop",
        url=None,
        release_label=None,
        prometheus_url=url,
        metrics=Metrics(**keys | {"selector": labels}),
        thresholds=Thresholds(min_requests=20),
        verify=Verify(bake=seconds(2), rate_window=WINDOW, consecutive=3),
    )


async def ask(url, how, name, read_by=None):
    async with http_client() as http:
        target = target_of(url, how, name, read_by or name)
        evidence = PrometheusEvidence(Stores(http, None), target, datetime.now(UTC))
        return await asyncio.gather(
            evidence.error_share(Window(WINDOW), live=True),
            evidence.p95(Window(WINDOW)),
            evidence.breakdown(promql.errors_by_type(target, None, WINDOW), target.convention.kind),
        )


async def settled(url, how, name):
    """Ask until a whole window was scraped."""
    async with asyncio.timeout(PATIENCE):
        while (found := await ask(url, how, name))[0].value is None or (found[0].requests or 0) < 400:
            await asyncio.sleep(0.25)
    return found


@pytest.mark.parametrize("name", WRITTEN_BY)
async def test_a_library_that_never_failed_has_no_failures_and_one_that_fails_has_its_share(store, name):
    share, p95, _ = await settled(store, "healthy", name)
    assert (share.quality, share.value) == ("known", 0), share
    assert p95.value <= SLOWEST[name]
    share, p95, by_type = await settled(store, "failing", name)
    assert share.value == pytest.approx(0.1, abs=0.02), share
    assert p95.value <= SLOWEST[name]
    assert [kind for kind in by_type.values if kind], by_type


async def test_under_the_names_of_another_library_nothing_is_known(store):
    for name in WRITTEN_BY:
        await settled(store, "failing", name)
    wrong = [(name, other) for name in WRITTEN_BY for other in WRITTEN_BY if name != other]
    for name, other in wrong:
        share, _, _ = await ask(store, "failing", name, read_by=other)
        assert share.value is None, f"{name} read as {other}: {share}"


@pytest.mark.parametrize("name", sorted({*WRITTEN_BY} - {"envoy", "istio"}))
def test_the_same_names_are_read_of_the_services_own_metrics(name):
    target = a_target(service="shop", metrics=Metrics(**WRITTEN_BY[name]))
    texts = ["\n".join(exposition(name, scrape, failures=True)) + "\n" for scrape in (1, 2)]
    scrapes = [parse(text, at(moment), target.convention) for moment, text in enumerate(texts)]
    seen = count(question(target, NOW), scrapes, convention=target.convention)
    assert (seen.requests, seen.failed) == (100, 10)

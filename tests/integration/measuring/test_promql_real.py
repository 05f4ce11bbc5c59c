"""The product's PromQL against a real Prometheus that scrapes tasks whose counters the test controls."""

import asyncio
import json
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import httpx
import pytest

from activities.aws.clients import AwsClients
from activities.docker.engine import Engine
from activities.doctor.looking import look
from activities.doctor.queries import ask_queries
from activities.doctor.service import ServiceLook
from activities.http.client import http_client
from activities.measuring.instruments import Instruments
from activities.measuring.sources import Sources
from activities.prometheus import promql
from activities.prometheus.answers import NoData
from activities.prometheus.client import Stores
from activities.prometheus.evidence import PrometheusEvidence, Window
from runbook_model.catalog.metrics import Metrics
from runbook_model.catalog.service_policies import Thresholds, Verify
from runbook_model.errors import RejectedError
from tests.observing import NOW, B, G, N, a_prometheus, a_release, a_target, an_observation, seconds
from tests.patience import PATIENCE

pytestmark = pytest.mark.rare

INTERVAL = 0.25
WINDOW = seconds(3)
MEMORY_LIMIT = 400.0
CONFIGURATION = """\
global: {{ scrape_interval: {interval:.0f}ms, scrape_timeout: {interval:.0f}ms }}
scrape_configs:
  - job_name: tasks
    file_sd_configs: [{{ files: ["{targets}"] }}]
"""


class Task:
    """A task of a service; each scrape finds so many good and bad requests more than the one before."""

    def __init__(self, name: str, labels: dict[str, str], good: float, bad: float) -> None:
        self.name, self.labels = name, labels
        self.good_more, self.bad_more = good, bad
        self.good = self.bad = 0.0
        self.cpu_seconds_more, self.memory = 0.0, 100.0
        self.cpu_seconds = 0.0
        self.started = 1000.0
        self.down = False
        self.ever_failed = bad > 0
        self.beyond = 0.0
        """Requests more, with each scrape, that took longer than the highest finite bucket."""
        self.scrapes = 0
        self.statuses: tuple[str, str] | None = ("200", "500")
        """Label values of good and of bad requests; None for a counter without labels."""
        self.declares_failures = False
        """Whether the TYPE line of the counter of failures is there without a series."""

    def metrics(self) -> str:
        self.good, self.bad = self.good + self.good_more, self.bad + self.bad_more
        self.scrapes += 1
        self.cpu_seconds += self.cpu_seconds_more
        lines = [
            *self.requests(),
            *endpoint("/quick", self.good, 0, seconds=0.1 * self.good),
            *endpoint("/slow", 0, self.bad, seconds=0.8 * self.bad, beyond=self.beyond * self.scrapes),
            f'container_cpu_usage_seconds_total{{cpu="cpu0"}} {self.cpu_seconds / 2}',
            f'container_cpu_usage_seconds_total{{cpu="cpu1"}} {self.cpu_seconds / 2}',
            "container_spec_cpu_quota 50000",
            "container_spec_cpu_period 100000",
            f"container_memory_usage_bytes {self.memory}",
            f"container_spec_memory_limit_bytes {MEMORY_LIMIT}",
            f"process_start_time_seconds {self.started}",
        ]
        if self.declares_failures:
            lines += ["# TYPE http_errors_total counter"]
        if self.ever_failed:
            lines += [f'http_errors_total{{type="timeout"}} {self.bad}']
        return "\n".join(lines) + "\n"

    def requests(self) -> list[str]:
        if self.statuses is None:
            return [f"http_requests_total {self.good + self.bad}"]
        return [
            f'http_requests_total{{status="{status}"}} {number}'
            for status, number in zip(self.statuses, (self.good, self.bad), strict=True)
        ]


def endpoint(path, quick, slow, seconds, beyond=0):
    """A histogram of an endpoint: quick requests take up to half a second, slow ones up to a whole one."""
    name = "http_request_duration_seconds"
    return (
        f'{name}_bucket{{endpoint="{path}",le="0.5"}} {quick}',
        f'{name}_bucket{{endpoint="{path}",le="1.0"}} {quick + slow}',
        f'{name}_bucket{{endpoint="{path}",le="+Inf"}} {quick + slow + beyond}',
        f'{name}_count{{endpoint="{path}"}} {quick + slow}',
        f'{name}_sum{{endpoint="{path}"}} {seconds}',
    )


class World:
    """A Prometheus and the tasks that it scrapes."""

    def __init__(self, url: str, exporter: ThreadingHTTPServer, targets) -> None:
        self.url = url
        self._exporter, self._targets = exporter, targets
        self.tasks: dict[str, Task] = {}
        exporter.tasks = self.tasks

    def run(self, service: str, *, revision: int = 3, good: float = 0, bad: float = 0) -> Task:
        labels = {"service": service, "environment": "prod", "release": f"ai-processor-prod:{revision}"}
        task = Task(f"task{len(self.tasks)}", labels, good, bad)
        self.tasks[task.name] = task
        self._write()
        return task

    def stop(self, task: Task) -> None:
        """Take a task away, as the end of a deployment does."""
        task.labels = {}
        self._write()

    def _write(self) -> None:
        address = f"127.0.0.1:{self._exporter.server_port}"
        groups = [
            {
                "targets": [address],
                "labels": {"__metrics_path__": f"/{task.name}", "task": task.name, **task.labels},
            }
            for task in self.tasks.values()
            if task.labels
        ]
        draft = self._targets.with_suffix(".draft")
        draft.write_text(json.dumps(groups))
        draft.replace(self._targets)


class Scraped(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        task = self.server.tasks[self.path.strip("/")]
        body = task.metrics().encode()
        self.send_response(503 if task.down else 200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@contextmanager
def running_prometheus(folder, targets, interval=INTERVAL):
    program = shutil.which("prometheus")
    if program is None:
        pytest.fail("no `prometheus` on PATH: install it (Debian: apt-get install prometheus)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    configuration = folder / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(interval=1000 * interval, targets=targets))
    argv = [program, f"--config.file={configuration}", f"--web.listen-address={address}"]
    argv += [f"--storage.tsdb.path={folder / 'data'}", "--scrape.discovery-reload-interval=100ms"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        wait_until_ready(f"http://{address}", process, folder / "prometheus.log")
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def wait_until_ready(url, process, log):
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/-/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"Prometheus is not ready after {PATIENCE:.0f}s:\n{log.read_text()}")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    targets = folder / "targets.json"
    targets.write_text("[]")
    exporter = ThreadingHTTPServer(("127.0.0.1", 0), Scraped)
    exporter.daemon_threads = True
    threading.Thread(target=exporter.serve_forever, daemon=True).start()
    with running_prometheus(folder, targets) as url:
        yield World(url, exporter, targets)
    exporter.shutdown()
    exporter.server_close()


@pytest.fixture
async def prometheus(world):
    async with http_client() as http:
        yield a_prometheus(http, world.url)


@pytest.fixture
def service(request):
    """A service of the test's own, so that tests do not see each other's series."""
    return request.node.name.replace("_", "-")[5:60].strip("-")


def target_of(world, service, **changes):
    verify = Verify(bake=seconds(2), rate_window=WINDOW, consecutive=3)
    return a_target(service=service, prometheus_url=world.url, url=None, verify=verify, **changes)


def observation_of(world, service, revision=3, **changes):
    return an_observation(target=target_of(world, service, **changes), release=a_release(revision))


async def eventually(ask, holds):
    """Ask until the answer is as awaited, and return it; the last answer is in the failure."""
    give_up = time.monotonic() + PATIENCE
    while not holds(answer := await ask()):
        assert time.monotonic() < give_up, f"not within {PATIENCE:.0f}s; the last answer was {answer!r}"
        await asyncio.sleep(INTERVAL / 2)
    return answer


async def full_window(prometheus, target, release=None):
    """Wait until every task of the target was scraped over a whole window."""
    needed = WINDOW.total_seconds() / INTERVAL - 2
    scrapes = (
        f"min(count_over_time(http_requests_total{promql.selector(target, release)}[{promql.span(WINDOW)}]))"
    )
    await eventually(lambda: prometheus.value(scrapes), lambda n: not isinstance(n, NoData) and n >= needed)


async def share_of(prometheus, target, release=None):
    return await prometheus.value(promql.error_share(target, release, WINDOW))


async def ask_share(observation):
    async with http_client() as http:
        asked = PrometheusEvidence(Stores(http, None), observation.target, datetime.now(UTC))
        return await asked.error_share(
            Window(observation.target.verify.rate_window, observation.release), live=True
        )


async def test_a_service_that_was_never_scraped_is_no_data(world, prometheus, service):
    target = target_of(world, service)
    for query in every_query(target, a_release()):
        assert await prometheus.value(query) == NoData(why="Prometheus has no such series in the window")
    assert "no live task" in (await ask_share(observation_of(world, service))).why


def every_query(target, release):
    return (
        promql.error_share(target, release, WINDOW),
        promql.request_count(target, release, WINDOW),
        promql.sample_age(target, release),
        promql.p95_seconds(target, release, WINDOW),
        promql.errors_by_type(target, release, WINDOW),
        promql.request_rate(target, WINDOW),
        promql.mean_cpu_share(target, release, WINDOW),
        promql.most_memory_share(target, release),
        promql.ended_processes(target, release, WINDOW),
        promql.usual(promql.request_rate(target, WINDOW), WINDOW),
    )


async def test_every_query_gives_the_number_that_the_counters_hold(world, prometheus, service):
    world.run(service, good=15, bad=5)
    target, release = target_of(world, service), a_release()
    await full_window(prometheus, target, release)
    share, requests, age, p95, *_ = [await prometheus.value(query) for query in every_query(target, release)]
    assert share == pytest.approx(0.25)
    assert requests == pytest.approx(20 * WINDOW.total_seconds() / INTERVAL, rel=0.25)
    assert 0 <= age < 5
    assert p95 == pytest.approx(0.9)
    by_type = await prometheus.values(promql.errors_by_type(target, release, WINDOW), "type")
    assert list(by_type) == ["timeout"]
    assert by_type["timeout"] == pytest.approx(requests / 4, rel=0.25)


async def test_no_traffic_is_nothing_to_divide_by_and_no_requests(world, prometheus, service):
    world.run(service)
    target = target_of(world, service)
    await full_window(prometheus, target)
    assert await share_of(prometheus, target) == NoData(
        why="Prometheus gave NaN: there was nothing to divide by"
    )
    assert await prometheus.value(promql.request_count(target, None, WINDOW)) == 0
    assert (await ask_share(observation_of(world, service))).requests == 0


async def test_a_service_that_never_failed_has_no_error_series_and_an_error_share_of_zero(
    world, prometheus, service
):
    world.run(service, good=10)
    target = target_of(world, service)
    await full_window(prometheus, target)
    errors = f"sum(rate(http_errors_total{promql.selector(target, None)}[3s]))"
    assert isinstance(await prometheus.value(errors), NoData)
    assert await share_of(prometheus, target) == 0


async def test_failures_that_nothing_counts_are_no_data_and_not_zero(world, prometheus, service):
    task = world.run(service, good=10, bad=10)
    task.ever_failed, task.statuses = False, None
    await full_window(prometheus, target_of(world, service))
    seen = await ask_share(observation_of(world, service))
    assert (seen.quality, seen.value, seen.uncounted) == ("no-data", None, True), seen.why


async def test_a_counter_of_failures_that_is_declared_and_has_no_series_is_zero(world, prometheus, service):
    task = world.run(service, good=20)
    task.statuses, task.declares_failures = None, True
    await full_window(prometheus, target_of(world, service))
    seen = await ask_share(observation_of(world, service))
    assert seen.known, seen
    assert (seen.failed, "http_errors_total" in seen.query) == (0, True)


async def test_without_a_counter_failures_are_read_by_the_label_that_holds_the_status(
    world, prometheus, service
):
    task = world.run(service, good=10, bad=10)
    task.ever_failed, task.statuses = False, ("2xx", "5xx")
    await full_window(prometheus, target_of(world, service))
    seen = await ask_share(observation_of(world, service))
    assert seen.failed / seen.requests == pytest.approx(0.5)


async def test_a_release_that_never_failed_is_zero_where_one_before_it_had_a_counter_of_failures(
    world, prometheus, service
):
    old = world.run(service, revision=4, bad=10)
    old.statuses = None
    await full_window(prometheus, target_of(world, service), a_release(4))
    young = world.run(service, revision=3, good=20)
    young.statuses = None
    world.stop(old)
    labels = promql.selector(target_of(world, service), None)
    gone = f"count(http_errors_total{labels})"
    await eventually(lambda: prometheus.value(gone), lambda found: isinstance(found, NoData))
    await full_window(prometheus, target_of(world, service), a_release(3))
    seen = await ask_share(observation_of(world, service))
    assert seen.known, seen
    assert seen.failed == 0


async def red_of_doctor(target):
    async with http_client() as http:
        given = ServiceLook(Sources(AwsClients(), Engine(), http), target)
        checks = await look(ask_queries(target), given, target)
    return {check.name: check.detail for check in checks if check.ok is False}


async def test_a_mistyped_histogram_is_one_red_check_of_doctor_with_the_nearest_name(
    world, prometheus, service
):
    world.run(service, good=10)
    metrics = Metrics(latency="http_request_durations_seconds")
    target = target_of(world, service, metrics=metrics)
    await full_window(prometheus, target)
    red = await red_of_doctor(target)
    assert list(red) == ["prometheus-p95-seconds"], red
    assert red["prometheus-p95-seconds"].endswith("the nearest is http_request_duration_seconds_bucket")


async def test_names_in_quotes_are_one_red_check_of_doctor_where_prometheus_reads_none(world, service):
    metrics = Metrics(selector={"service.name": "{service}"}, endpoint_label="http.route")
    red = await red_of_doctor(target_of(world, service, metrics=metrics))
    assert list(red) == ["prometheus-sample-age"], red
    async with http_client() as http:
        build = (await http.get(f"{world.url}/api/v1/status/buildinfo")).json()["data"]
    reads = int(build["version"].partition(".")[0]) >= 3
    assert ("reads no names in quotes" in red["prometheus-sample-age"]) is not reads


async def test_a_counter_that_is_reset_makes_neither_errors_nor_requests(world, prometheus, service):
    task = world.run(service, good=9, bad=1)
    target = target_of(world, service)
    await full_window(prometheus, target)
    task.good = task.bad = 0
    resets = f"sum(resets(http_requests_total{promql.selector(target, None)}[{promql.span(WINDOW)}]))"
    await eventually(lambda: prometheus.value(resets), lambda found: found == 2)
    assert await share_of(prometheus, target) == pytest.approx(0.1)
    requests = await prometheus.value(promql.request_count(target, None, WINDOW))
    assert requests == pytest.approx(10 * WINDOW.total_seconds() / INTERVAL, rel=0.3)


@pytest.mark.parametrize("ends", ["stopped", "down"])
async def test_a_task_that_is_gone_is_no_data_although_its_rate_lives_on(world, prometheus, service, ends):
    task = world.run(service, bad=10)
    target = target_of(world, service)
    await full_window(prometheus, target)
    if ends == "stopped":
        world.stop(task)
    else:
        task.down = True
    age = promql.sample_age(target, None)
    await eventually(lambda: prometheus.value(age), lambda value: isinstance(value, NoData))
    assert await share_of(prometheus, target) == 1, "its errors stay in the window"
    seen = await ask_share(observation_of(world, service))
    assert (seen.quality, seen.value) == ("no-data", None)
    assert "no live task" in seen.why


async def test_a_label_distinguishes_the_releases_at_once_and_without_it_the_old_errors_are_still_seen(
    world, prometheus, service
):
    old = world.run(service, revision=4, good=0, bad=10)
    await full_window(prometheus, target_of(world, service), a_release(4))
    world.run(service, revision=3, good=10)
    world.stop(old)
    labelled, blind = target_of(world, service), target_of(world, service, release_label=None)
    first = await eventually(
        lambda: share_of(prometheus, labelled, a_release(3)), lambda share: not isinstance(share, NoData)
    )
    assert first == 0
    assert await share_of(prometheus, blind, a_release(3)) > 0.3
    assert await share_of(prometheus, labelled, a_release(4)) == 1
    await eventually(lambda: share_of(prometheus, blind, a_release(3)), lambda share: share == 0)


async def test_a_reading_of_the_real_prometheus_is_good_and_then_bad(world, service):
    task = world.run(service, good=100)
    observation = observation_of(world, service)
    async with http_client() as http:
        instruments = Instruments(Sources(None, None, http))
        good = await eventually(
            lambda: instruments.error_rate(observation, NOW), lambda reading: reading.quality is G
        )
        task.ever_failed, task.good_more, task.bad_more = True, 0, 100
        bad = await eventually(
            lambda: instruments.error_rate(observation, NOW), lambda reading: reading.quality is B
        )
    assert good.detail.startswith("0.0 % of ")
    assert (good.source, good.value) == ("prometheus", 0)
    assert bad.value > 0.1


async def test_a_query_that_is_wrong_is_an_error_in_prometheus_words(prometheus):
    with pytest.raises(RejectedError, match=r"bad_data: .*parse error"):
        await prometheus.value("sum(")


async def test_a_name_with_quotes_stays_a_name(world, prometheus):
    assert isinstance(await share_of(prometheus, target_of(world, 'x"} or vector(1) #\\')), NoData)


async def test_the_rate_is_requests_a_second_over_all_tasks(world, prometheus, service):
    for _ in range(2):
        world.run(service, good=5)
    target = target_of(world, service)
    await full_window(prometheus, target)
    rate = await prometheus.value(promql.request_rate(target, WINDOW))
    assert rate == pytest.approx(2 * 5 / INTERVAL, rel=0.4)  # a busy machine loses scrapes


async def test_the_usual_is_what_was_before_the_last_windows_and_forgets_a_surge(world, prometheus, service):
    task = world.run(service, good=10)
    target = target_of(world, service)
    rate = promql.request_rate(target, WINDOW)
    usual = promql.usual(rate, WINDOW)
    await eventually(
        lambda: prometheus.value(usual), lambda found: not isinstance(found, NoData) and found > 35
    )
    task.good_more = 40
    now = await eventually(lambda: prometheus.value(rate), lambda found: found > 120)
    before = await prometheus.value(usual)
    assert now / before > 2.5


async def test_cpu_and_memory_are_shares_of_each_tasks_limit(world, prometheus, service):
    busy, idle = world.run(service), world.run(service)
    busy.cpu_seconds_more, busy.memory = 0.45 * INTERVAL, 300.0
    idle.cpu_seconds_more = 0.05 * INTERVAL
    target = target_of(world, service)
    await full_window(prometheus, target)
    by_task = {
        labels["task"]: share for labels, share in await prometheus.rows(promql.cpu_share(target, WINDOW))
    }
    assert by_task[busy.name] == pytest.approx(0.9, rel=0.4)
    assert by_task[busy.name] / by_task[idle.name] == pytest.approx(9, rel=0.3)
    mean = await prometheus.value(promql.mean_cpu_share(target, a_release(), WINDOW))
    assert mean == pytest.approx(0.5, rel=0.4)
    assert await prometheus.value(promql.most_memory_share(target, a_release())) == 0.75
    shares = {labels["task"]: share for labels, share in await prometheus.rows(promql.memory_share(target))}
    assert shares == {busy.name: 0.75, idle.name: 0.25}


async def test_memory_over_time_is_a_reading_at_each_step(world, prometheus, service):
    task = world.run(service)
    target = target_of(world, service)
    await full_window(prometheus, target)
    task.memory = 200.0
    query = promql.memory_bytes(target)
    await eventually(lambda: prometheus.value(query), lambda found: found == 200)
    now = datetime.now(UTC)
    ((labels, points),) = await prometheus.history(query, now - seconds(2), now, seconds(0.5))
    assert labels["task"] == task.name
    assert {value for _, value in points} == {100, 200}
    assert [later - earlier for (earlier, _), (later, _) in pairwise(points)] == [0.5] * (len(points) - 1)
    never = await prometheus.history(query, now - seconds(9000), now - seconds(8000), seconds(100))
    assert never == []


async def test_endpoints_are_distinguished(world, prometheus, service):
    world.run(service, good=10, bad=10)
    target = target_of(world, service)
    await full_window(prometheus, target)
    p95 = await prometheus.values(promql.p95_by_endpoint(target, WINDOW), "endpoint")
    assert p95 == {"/quick": pytest.approx(0.475), "/slow": pytest.approx(0.975)}
    mean = await prometheus.values(promql.mean_by_endpoint(target, WINDOW), "endpoint")
    assert mean == {"/quick": pytest.approx(0.1), "/slow": pytest.approx(0.8)}


async def test_a_quantile_beyond_the_highest_finite_bucket_is_at_least_so_much(world, service):
    task = world.run(service, bad=30)
    task.beyond = 30
    slow = target_of(world, service, thresholds=Thresholds(p95_seconds=1.0))
    async with http_client() as http:
        reading = await eventually(
            lambda: Instruments(Sources(None, None, http)).latency(
                an_observation(target=slow, release=a_release()), NOW
            ),
            lambda found: found.value is not None,
        )
    assert (reading.quality, reading.value) == (N, 1.0)
    assert "p95 at least 1.00s of " in reading.detail


async def test_releases_that_answer_side_by_side_have_shares_of_their_own(world, prometheus, service):
    world.run(service, revision=3, good=10)
    world.run(service, revision=4, good=5, bad=5)
    target = target_of(world, service)
    await full_window(prometheus, target)
    shares = await prometheus.values(promql.error_share_by_release(target, WINDOW), "release")
    assert shares == {"ai-processor-prod:3": 0, "ai-processor-prod:4": pytest.approx(0.5)}
    requests = await prometheus.values(promql.requests_by_release(target, WINDOW), "release")
    assert set(requests) == set(shares)
    assert min(requests.values()) > 50


async def test_a_past_moment_is_answered_as_it_was_then(world, prometheus, service):
    task = world.run(service, good=10)
    target = target_of(world, service)
    await full_window(prometheus, target)
    then = datetime.now(UTC)
    task.ever_failed, task.good_more, task.bad_more = True, 0, 10
    query = promql.error_share(target, None, WINDOW)
    await eventually(lambda: prometheus.value(query), lambda share: share > 0.5)
    assert await prometheus.value(query, then) == 0


async def test_processes_that_ended_or_started_again_are_counted(world, prometheus, service):
    first, second = world.run(service), world.run(service)
    target = target_of(world, service)
    await full_window(prometheus, target)
    query = promql.ended_processes(target, a_release(), seconds(30))
    assert await prometheus.value(query) == 0
    second.started += 100
    await eventually(lambda: prometheus.value(query), lambda found: found == 1)
    world.stop(first)
    await eventually(lambda: prometheus.value(query), lambda found: found == 2)

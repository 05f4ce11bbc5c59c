from itertools import count

import httpx
import pytest

from activities.measuring.instruments import Instruments
from activities.measuring.sources import Sources
from activities.prometheus.scrape import Scraper
from runbook_model.catalog.metrics import Metrics
from runbook_model.measured.measurements import Measurement, error_reading
from tests.observing import NOW, PROBE, PROMETHEUS, B, E, G, N, a_target, an_observation, at, client, seconds

LABELS = '{service="ai-processor", environment="prod", release="ai-processor-prod:3"}'


class World:
    """A Prometheus with the numbers a test gives it, and a service with metrics and a probe's path."""

    def __init__(self, *, share="0", requests="410", age="1", prometheus=200, metrics=200, probes=(200,)):
        self.numbers = {"increase": requests, "timestamp": age, "rate": share}
        self.prometheus, self.metrics, self.probes = prometheus, metrics, list(probes)
        self.scraped = count()
        self.posted, self.asked = [], []
        self.failures, self.statuses = [{}], [{"status": "200"}]
        """Live series of the counter of failures, and those of the request counter."""
        self.declared, self.remembered = [], []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if str(request.url).startswith(PROMETHEUS):
            return self._query(request.url)
        if request.method == "POST":
            self.posted.append(request.content.decode())
            status = self.probes[(len(self.posted) - 1) % len(self.probes)]
            if status is None:
                raise httpx.ReadTimeout("slow")
            return httpx.Response(status)
        requests = 1000 + 20 * next(self.scraped)
        text = f"http_requests_total {requests}\nhttp_errors_total {requests / 2}\nprocess_start_time_seconds 5\n"
        return httpx.Response(self.metrics, text=text)

    def _query(self, url: httpx.URL) -> httpx.Response:
        if not url.path.endswith("/query"):
            return self._listed(url)
        query = url.params["query"]
        if query.startswith("count"):
            return self._series(self.failures if "errors_total" in query else self.statuses)
        number = next(number for word, number in self.numbers.items() if f"{word}(" in query)
        self.asked.append(query)
        return self._series([] if number is None else [{}], number)

    def _series(self, labels, number="1") -> httpx.Response:
        result = [{"metric": label, "value": [1, number]} for label in labels]
        body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return httpx.Response(self.prometheus, json=body)

    def _listed(self, url: httpx.URL) -> httpx.Response:
        found = self.declared if url.path.endswith("targets/metadata") else self.remembered
        if found is None:
            return httpx.Response(404, text="404 page not found")
        return httpx.Response(200, json={"status": "success", "data": found})


async def read(world: World, **changes):
    http = client(world)
    ticks = count()
    scraper = Scraper(http, pause=seconds(0.01), clock=lambda: at(next(ticks) / 10))
    observation = an_observation(target=a_target(**changes.pop("target", {})), **changes)
    return await Instruments(Sources(None, None, http, scraper)).error_rate(observation, NOW)


@pytest.mark.parametrize(
    ("share", "quality", "words"),
    [
        ("0", G, "0.0 % of 410 requests failed (limit 10 %)"),
        ("0.021", G, "2.1 % of 410 requests failed (limit 10 %)"),
        ("0.1", G, "10.0 % of 410 requests failed (limit 10 %)"),
        ("0.10000000000000002", G, "10.0 % of 410 requests failed (limit 10 %)"),
        ("0.101", B, "10.1 % of 410 requests failed (limit 10 %)"),
        ("1", B, "100.0 % of 410 requests failed (limit 10 %)"),
    ],
)
async def test_more_than_the_limit_is_bad_and_the_limit_itself_is_good(share, quality, words):
    reading = await read(World(share=share))
    assert (reading.quality, reading.detail, reading.limit, reading.source) == (
        quality,
        words,
        0.1,
        "prometheus",
    )
    assert reading.value == pytest.approx(float(share))


async def test_the_reading_holds_the_query():
    query = f"(sum(rate(http_errors_total{LABELS}[15s])) or vector(0)) / sum(rate(http_requests_total{LABELS}[15s]))"
    assert (await read(World())).query == query


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"requests": "12.3"}, "12 requests in 15s, 50 are needed"),
        ({"requests": "1.2"}, "1 request in 15s, 50 are needed"),
        ({"requests": None, "share": None}, "Prometheus has no such series in the window"),
        ({"requests": "0", "share": "NaN"}, "0 requests in 15s, 50 are needed"),
        ({"share": "NaN"}, "Prometheus gave NaN: there was nothing to divide by"),
        ({"age": "9.2"}, "the newest scrape is 9s old, the window only 15s"),
        (
            {"age": None},
            f"no live task of {LABELS} shows any requests: Prometheus has no such series in the window",
        ),
    ],
)
async def test_what_says_nothing_is_no_data_and_the_reading_says_why(numbers, why):
    reading = await read(World(**numbers))
    assert (reading.quality, reading.value, reading.detail) == (N, None, why)


async def test_fifty_requests_are_enough_where_fifty_are_needed():
    assert (await read(World(requests="49.6"))).quality is G


async def test_without_prometheus_the_services_own_metrics_are_read():
    reading = await read(World(), target={"prometheus_url": None})
    assert (reading.quality, reading.source) == (B, "scrape")
    assert reading.detail == "50.0 % of 100 requests failed (limit 10 %), as 1 task counted"


async def test_when_prometheus_does_not_answer_the_services_own_metrics_are_read_and_it_is_said():
    reading = await read(World(prometheus=503))
    assert (reading.quality, reading.source) == (B, "scrape")
    assert "as 1 task counted: could not ask Prometheus: HTTP 503" in reading.detail


async def test_when_neither_can_be_read_the_error_names_both():
    reading = await read(World(prometheus=503, metrics=502), target={"probe": PROBE})
    assert reading.quality is E
    prometheus, own = reading.detail.split("; ", 1)
    assert prometheus.startswith("could not ask Prometheus: HTTP 503")
    assert own.startswith("could not scrape the service's /metrics")


async def test_when_prometheus_is_away_and_there_is_no_url_the_error_is_prometheus_own():
    reading = await read(World(prometheus=503), target={"url": None})
    assert (reading.quality, reading.source) == (E, "prometheus")
    assert reading.detail.startswith("could not ask Prometheus: HTTP 503")


async def test_nothing_is_posted_unless_the_catalog_has_a_probe():
    world = World(requests="12")
    assert (await read(world)).quality is N
    assert world.posted == []


async def test_nothing_is_posted_for_a_plan():
    world = World(requests="12")
    assert (await read(world, target={"probe": PROBE}, may_probe=False)).quality is N
    assert world.posted == []


async def test_nothing_is_posted_while_there_are_requests_enough():
    world = World()
    await read(world, target={"probe": PROBE})
    assert world.posted == []


async def test_probes_settle_too_little_traffic_and_the_detail_says_so():
    world = World(requests="12", share="0")
    reading = await read(world, target={"probe": PROBE})
    assert (reading.quality, reading.source) == (G, "probe")
    assert reading.detail == (
        "0.0 % of 32 requests failed (limit 10 %); 20 of them were probes (0 failed), because 12 requests in 15s, 50 are needed"
    )
    assert world.posted == [PROBE.body] * 20


async def test_only_as_many_probes_are_sent_as_requests_are_missing():
    world = World(requests="47")
    await read(world, target={"probe": PROBE})
    assert len(world.posted) == 3


@pytest.mark.parametrize("answer", [500, 503, None])
async def test_probes_that_fail_or_get_no_answer_are_failed_requests(answer):
    reading = await read(World(requests="0", probes=[200, answer]), target={"probe": PROBE})
    assert (reading.quality, reading.value) == (B, 0.5)
    assert "20 of them were probes (10 failed)" in reading.detail


async def test_what_users_saw_counts_next_to_the_probes():
    reading = await read(World(requests="20", share="0.5"), target={"probe": PROBE})
    assert (reading.quality, reading.value) == (B, 0.25)


async def test_a_probe_that_the_service_does_not_accept_says_nothing_of_the_service():
    reading = await read(World(requests="0", probes=[404]), target={"probe": PROBE})
    assert (reading.quality, reading.value) == (N, None)
    assert reading.detail.endswith("the probe was answered 404: correct probe in the catalog")


async def test_probes_may_settle_what_prometheus_knows_nothing_of():
    reading = await read(World(age=None), target={"probe": PROBE})
    assert (reading.quality, reading.source) == (G, "probe")


def measured(**found):
    return Measurement(source="prometheus", query="q", at=NOW, window=seconds(15), **found)


def test_what_could_not_be_measured_is_never_good():
    for quality, expected in (("no-data", N), ("error", E)):
        reading = error_reading(measured(quality=quality, why="away"), None, a_target(), NOW)
        assert (reading.quality, reading.detail) == (expected, "away")


def test_one_request_may_be_enough():
    traffic = measured(quality="known", value=0.0, requests=1, failed=0).if_enough(1)
    reading = error_reading(traffic, None, a_target(), NOW)
    assert (reading.quality, reading.detail) == (G, "0.0 % of 1 request failed (limit 10 %)")


def uncounted(**changes) -> World:
    """A service whose requests are counted, and its failures by nothing; tests change one thing."""
    world = World(metrics=404)
    world.failures, world.statuses = [], [{"job": "shop", "instance": "10.0.0.1:80"}]
    for name, value in changes.items():
        setattr(world, name, value)
    return world


NEVER_FAILED = "0.0 % of 410 requests failed (limit 10 %)"
DECLARED = {"target": {"job": "shop", "service": "ai-processor"}, "type": "counter"}


async def test_failures_that_nothing_counts_are_no_data_and_not_zero():
    reading = await read(uncounted())
    assert (reading.quality, reading.value) == (N, None)
    assert reading.detail.startswith("nothing counts failures: there is no http_errors_total of ")


@pytest.mark.parametrize(
    "counted",
    [
        {"failures": [{}]},
        {"declared": [DECLARED]},
        {"remembered": [{"__name__": "http_errors_total"}]},
        {"statuses": [{"status": "200"}, {"status": "404"}]},
        {"statuses": [{"code": "2xx"}]},
    ],
    ids=["a series", "its TYPE line", "a series within 30 days", "statuses", "classes of statuses"],
)
async def test_failures_that_something_counts_are_zero_while_there_is_no_series_of_them(counted):
    reading = await read(uncounted(**counted))
    assert (reading.quality, reading.detail) == (G, NEVER_FAILED)


async def test_without_a_counter_failures_are_read_by_the_label_that_holds_the_status():
    world = uncounted(statuses=[{"status": "2xx"}, {"status": "5xx"}])
    world.numbers["rate"] = "0.5"
    reading = await read(world)
    assert (reading.quality, reading.value) == (B, 0.5)
    assert f'http_requests_total{LABELS[:-1]}, status=~"5.."}}' in reading.query


async def test_a_counter_of_failures_wins_over_the_label():
    world = uncounted(failures=[{}], statuses=[{"status": "2xx"}])
    assert "http_errors_total" in (await read(world)).query


@pytest.mark.parametrize("statuses", [[{"status": "ok"}], [{"status": "200"}, {"outcome": "5xx"}], [{}]])
async def test_a_label_that_could_not_hold_a_5xx_counts_no_failures(statuses):
    assert (await read(uncounted(statuses=statuses))).quality is N


OWN = {"target": {"metrics": Metrics(failures="my_errors_total")}}
"""A counter of failures that the catalog names: no label of the request counter stands in for it."""


@pytest.mark.parametrize(
    ("counted", "quality"),
    [
        ({"statuses": [{"status": "200"}]}, N),
        ({"failures": [{}]}, G),
        ({"declared": [DECLARED]}, G),
        ({"remembered": [{"__name__": "my_errors_total"}]}, G),
    ],
    ids=["statuses", "a series", "its TYPE line", "a series within 30 days"],
)
async def test_a_counter_of_failures_that_the_catalog_names_is_zero_only_where_it_was_seen(counted, quality):
    world = uncounted(**counted)
    world.statuses = [labels | {"job": "shop", "instance": "10.0.0.1:80"} for labels in world.statuses]
    reading = await read(world, **OWN)
    assert (reading.quality, reading.value) == (quality, 0 if quality is G else None)
    assert quality is G or "there is no my_errors_total of " in reading.detail


@pytest.mark.parametrize(
    ("statuses", "quality"), [([{"outcome": "SUCCESS"}], G), ([{"outcome": "ok"}], N), ([{}], N)]
)
async def test_failures_by_a_matcher_are_zero_only_where_live_series_could_say_failure(statuses, quality):
    world = uncounted(statuses=statuses, remembered=[{"__name__": "http_server_requests_seconds_count"}])
    reading = await read(world, target={"metrics": Metrics(preset="spring")})
    assert (reading.quality, reading.value) == (quality, 0 if quality is G else None)


async def test_another_services_counter_of_failures_is_not_ours():
    other = {"target": {"job": "shop", "service": "other"}, "type": "counter"}
    assert (await read(uncounted(declared=[other]))).quality is N


async def test_a_store_that_knows_no_type_lines_declares_nothing():
    assert (await read(uncounted(declared=None))).quality is N


async def test_where_prometheus_counts_no_failures_the_services_own_metrics_do():
    reading = await read(uncounted(metrics=200))
    assert (reading.quality, reading.source) == (B, "scrape")
    assert reading.detail == "50.0 % of 100 requests failed (limit 10 %), as 1 task counted"

from itertools import count

import httpx
import pytest

from activities.measuring.error_rate import ErrorRate
from activities.prometheus.scrape import Scraper
from runbook_model.errors import UnreachableError
from runbook_model.traffic import Silence, Traffic, judge_traffic
from tests.observing import NOW, PROBE, PROMETHEUS, B, G, N, a_target, an_observation, at, client, seconds

LABELS = '{service="ai-processor", environment="prod", release="ai-processor-prod:3"}'


class World:
    """A Prometheus with the numbers a test gives it, and a service with metrics and a probe's path."""

    def __init__(self, *, share="0", requests="410", age="1", prometheus=200, metrics=200, probes=(200,)):
        self.numbers = {"increase": requests, "timestamp": age, "rate": share}
        self.prometheus, self.metrics, self.probes = prometheus, metrics, list(probes)
        self.scraped = count()
        self.posted = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if str(request.url).startswith(PROMETHEUS):
            return self._query(request.url.params["query"])
        if request.method == "POST":
            self.posted.append(request.content.decode())
            status = self.probes[(len(self.posted) - 1) % len(self.probes)]
            if status is None:
                raise httpx.ReadTimeout("slow")
            return httpx.Response(status)
        requests = 1000 + 20 * next(self.scraped)
        text = f"http_requests_total {requests}\nhttp_errors_total {requests / 2}\nprocess_start_time_seconds 5\n"
        return httpx.Response(self.metrics, text=text)

    def _query(self, query: str) -> httpx.Response:
        number = next(number for word, number in self.numbers.items() if f"{word}(" in query)
        result = [] if number is None else [{"metric": {}, "value": [1, number]}]
        body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return httpx.Response(self.prometheus, json=body)


async def read(world: World, **changes):
    http = client(world)
    ticks = count()
    scraper = Scraper(http, pause=seconds(0.01), clock=lambda: at(next(ticks) / 10))
    observation = an_observation(target=a_target(**changes.pop("target", {})), **changes)
    return await ErrorRate(http, scraper).reading(observation, NOW)


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
        ({"requests": None, "share": None}, "0 requests in 15s, 50 are needed"),
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
    with pytest.raises(
        UnreachableError, match=r"could not ask Prometheus: .*; could not scrape the service's /metrics"
    ):
        await read(World(prometheus=503, metrics=502))


async def test_when_prometheus_is_away_and_there_is_no_url_the_error_is_prometheus_own():
    with pytest.raises(UnreachableError, match="could not ask Prometheus: HTTP 503"):
        await read(World(prometheus=503), target={"url": None})


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
        "0.0 % of 32 requests failed (limit 10 %): 12 requests in 15s, 50 are needed; 0 of 20 probes failed"
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
    assert "10 of 20 probes failed" in reading.detail


async def test_what_users_saw_counts_beside_the_probes():
    reading = await read(World(requests="20", share="0.5"), target={"probe": PROBE})
    assert (reading.quality, reading.value) == (B, 0.25)


async def test_a_probe_that_the_service_does_not_accept_says_nothing_of_the_service():
    reading = await read(World(requests="0", probes=[404]), target={"probe": PROBE})
    assert (reading.quality, reading.value) == (N, None)
    assert reading.detail.endswith("the probe was answered 404: correct probe in the catalog")


async def test_probes_may_settle_what_prometheus_knows_nothing_of():
    reading = await read(World(age=None), target={"probe": PROBE})
    assert (reading.quality, reading.source) == (G, "probe")


def test_a_silence_is_never_good():
    assert judge_traffic(Silence(why="away", source="scrape"), a_target(), NOW).quality is N


def test_one_request_may_be_enough():
    thresholds = a_target().thresholds.model_copy(update={"min_requests": 1})
    one = Traffic(requests=1, failed=0, window=seconds(15), source="prometheus")
    assert (
        judge_traffic(one, a_target(thresholds=thresholds), NOW).detail
        == "0.0 % of 1 request failed (limit 10 %)"
    )

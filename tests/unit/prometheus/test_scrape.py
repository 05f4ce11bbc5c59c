from itertools import cycle, pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.prometheus.scrape import SCRAPES, Scrape, Scraper, grown, parse, question
from activities.prometheus.scrape import count as count_asked
from runbook_model.catalog.metrics import Metrics
from runbook_model.errors import RejectedError, UnreachableError
from tests.observing import NOW, a_target, at, client, seconds

TEXT = """\
# HELP http_requests_total Requests answered.
# TYPE http_requests_total counter
http_requests_total{{method="POST",status="200"}} {good}
http_requests_total{{method="POST",status="500"}} {bad}
# TYPE http_errors_total counter
http_errors_total{{type="processing"}} {bad}
# TYPE process_start_time_seconds gauge
process_start_time_seconds {start}
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{{le="+Inf"}} 12
"""


class Process:
    """A process behind the balancer; each scrape of it finds so many requests more."""

    def __init__(self, start: float, *, good: int = 0, bad: int = 0, good_more: int = 0, bad_more: int = 0):
        self.start, self.good, self.bad = start, good, bad
        self.more = (good_more, bad_more)

    def metrics(self) -> str:
        self.good, self.bad = self.good + self.more[0], self.bad + self.more[1]
        return TEXT.format(good=self.good, bad=self.bad, start=self.start)


def balanced(*processes: Process):
    turn = cycle(processes)
    return lambda _: httpx.Response(200, text=next(turn).metrics())


def scraper(answer, clock=None) -> Scraper:
    ticks = iter(range(10_000))
    return Scraper(client(answer), pause=seconds(0.01), clock=clock or (lambda: at(next(ticks) / 100)))


def seen(moment: float, process: float | None, requests: float, failed: float = 0) -> Scrape:
    return Scrape(at=at(moment), process=process, requests=requests, failed=failed)


def count(scrapes):
    return count_asked(question(a_target(), NOW), scrapes)


async def test_what_each_process_counted_is_summed_and_processes_are_never_compared_with_each_other():
    old, young = Process(100.0, good=90_000, bad=9_000), Process(200.5, good=10, good_more=10, bad_more=10)
    traffic = await scraper(balanced(old, young)).traffic(a_target(), NOW)
    assert (traffic.requests, traffic.failed) == (40, 20), "of three scrapes each, two steps of the young one"
    assert traffic.note == "as 2 tasks counted"


async def test_the_number_of_scrapes_is_bounded():
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, text=Process(1.0).metrics())

    await scraper(answer).traffic(a_target(), NOW)
    assert asked == ["/metrics"] * len(asked)
    assert len(asked) <= 2 * SCRAPES


async def test_scrapes_of_earlier_samples_count_as_long_as_the_window_holds_them():
    process = Process(1.0, good_more=1)
    moment = [0.0]
    reader = scraper(balanced(process), clock=lambda: at(moment[0]))
    reader._pause = seconds(0)
    await reader.traffic(a_target(), NOW)
    moment[0] = 10
    in_window = await reader.traffic(a_target(), NOW)
    moment[0] = 22
    later = await reader.traffic(a_target(), NOW)
    assert in_window.requests == 2 * SCRAPES - 1
    assert in_window.window == seconds(10)
    assert later.window == seconds(12), "the scrapes at 0 s are older than the window of 15 s"


async def test_a_process_that_answers_only_once_is_not_compared():
    assert count([seen(0, 1.0, 50), seen(1, 2.0, 80)]).requests == 0


def test_a_counter_that_was_reset_started_again_at_zero():
    traffic = count([seen(0, 1.0, 100, 10), seen(1, 1.0, 40, 4), seen(2, 1.0, 60, 5)])
    assert (traffic.requests, traffic.failed) == (60, 5)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20), st.integers(0, 19))
def test_what_a_counter_grew_by_is_the_same_wherever_it_was_reset_unseen_requests_aside(steps, reset_at):
    values, value = [0], 0
    for index, step in enumerate(steps):
        value = step if index == reset_at else value + step
        values.append(value)
    total = sum(grown(a, b) for a, b in pairwise(values))
    assert total <= sum(steps)
    if reset_at >= len(steps):
        assert total == sum(steps)


async def test_tasks_that_do_not_say_when_they_started_are_no_data():
    text = TEXT.format(good=5, bad=0, start=1).replace("process_start_time_seconds", "other")
    silence = await scraper(lambda _: httpx.Response(200, text=text)).traffic(a_target(), NOW)
    assert (silence.quality, silence.value) == ("no-data", None)
    assert (
        silence.why
        == "the service's /metrics has no process_start_time_seconds, so its tasks cannot be distinguished"
    )


async def test_a_balancer_that_answers_502_now_and_then_is_read_all_the_same():
    turn = cycle([httpx.Response(502), None])
    process = Process(1.0, good_more=3)

    def answer(request: httpx.Request) -> httpx.Response:
        return next(turn) or httpx.Response(200, text=process.metrics())

    assert (await scraper(answer).traffic(a_target(), NOW)).requests == 3 * (SCRAPES // 2 - 1)


async def test_a_service_whose_metrics_cannot_be_read_at_all_is_an_error():
    with pytest.raises(UnreachableError, match="could not scrape the service's /metrics: HTTP 503"):
        await scraper(lambda _: httpx.Response(503)).traffic(a_target(), NOW)


async def test_a_target_without_url_is_no_data():
    asked = question(a_target(url=None), NOW)
    assert (asked.quality, asked.why) == ("no-data", "the catalog gives no url to scrape")


def test_labels_are_summed_and_other_metrics_passed_over():
    scrape = parse(TEXT.format(good=5, bad=2, start=7.25), NOW)
    assert scrape == Scrape(
        at=NOW, process=7.25, requests=7, failed=2, by_type={"processing": 2}, by_status={"500": 2}
    )


def test_what_is_not_the_text_format_is_rejected():
    with pytest.raises(RejectedError, match="could not read the service's /metrics"):
        parse("http_requests_total{oops 1", NOW)


PROCESS = "process_start_time_seconds 7\n"


def counted(text: str, more: str, **changes):
    return count([parse(PROCESS + text, at(0), **changes), parse(PROCESS + more, at(1), **changes)])


def test_failures_that_the_metrics_do_not_count_are_no_data_and_not_zero():
    seen = counted("http_requests_total 10", "http_requests_total 90")
    assert (seen.quality, seen.value, seen.uncounted) == ("no-data", None, True)
    assert seen.why.startswith("nothing counts failures: there is no http_errors_total of the service's own")


@pytest.mark.parametrize("declared", ["# TYPE http_errors_total counter\n", "# TYPE http_errors counter\n"])
def test_a_counter_that_is_declared_and_has_no_series_is_zero_failures(declared):
    seen = counted(f"{declared}http_requests_total 10", f"{declared}http_requests_total 90")
    assert (seen.requests, seen.failed) == (80, 0)


def test_a_counter_whose_first_series_comes_later_counts_from_zero():
    seen = counted("http_requests_total 10", 'http_requests_total 90\nhttp_errors_total{type="x"} 8')
    assert (seen.requests, seen.failed) == (80, 8)


def test_without_a_counter_failures_are_counted_by_the_label_that_holds_the_status():
    before = 'http_requests_total{code="2xx"} 10'
    seen = counted(before, 'http_requests_total{code="2xx"} 50\nhttp_requests_total{code="5xx"} 40')
    assert (seen.requests, seen.failed) == (80, 40)
    healthy = counted(before, 'http_requests_total{code="2xx"} 90')
    assert (healthy.requests, healthy.failed) == (80, 0)


def test_requests_that_the_catalog_ignores_are_not_counted():
    before = (
        'http_requests_total{path="/health",status="200"} 0\nhttp_requests_total{path="/",status="500"} 0'
    )
    after = (
        'http_requests_total{path="/health",status="200"} 90\nhttp_requests_total{path="/",status="500"} 9'
    )
    seen = counted(before, after, convention=Metrics(ignore=('path=~"/health.*"',)).convention("", ""))
    assert (seen.requests, seen.failed) == (9, 9)


async def test_the_metrics_are_scraped_at_the_path_that_the_catalog_names():
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, text=Process(1.0).metrics())

    target = a_target(metrics_path="/actuator/prometheus")
    await scraper(answer).traffic(target, NOW)
    assert {*asked} == {"/actuator/prometheus"}

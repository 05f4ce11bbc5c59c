import asyncio

import httpx
import pytest
from botocore.exceptions import ClientError

from activities.aws.errors import aws_errors
from activities.measuring.instruments import Instruments, measured
from activities.measuring.sources import Sources
from tests.observing import NOW, PROMETHEUS, B, E, G, an_observation, client, seconds


class Logs:
    """A CloudWatch Logs client that answers, or refuses, every call the same way."""

    def __init__(self, answer):
        self.answer = answer

    def logs(self, _account):
        return self

    def filter_log_events(self, **_request):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def naming_errors(self, doing):
        return aws_errors(doing)


DENIED = ClientError(
    {"Error": {"Code": "AccessDeniedException", "Message": "not allowed"}}, "FilterLogEvents"
)
QUIET = {"events": []}


def service(request: httpx.Request) -> httpx.Response:
    if not str(request.url).startswith(PROMETHEUS):
        return httpx.Response(200, text="ok")
    query = request.url.params["query"]
    number = "410" if "increase(" in query else "1" if "timestamp(" in query else "0"
    data = {"resultType": "vector", "result": [{"metric": {}, "value": [1, number]}]}
    return httpx.Response(200, json={"status": "success", "data": data})


async def sample(answer=service, logs=QUIET):
    return await Instruments(Sources(Logs(logs), None, client(answer))).sample(an_observation(), NOW)


async def test_a_sample_is_health_error_rate_and_error_lines():
    taken = await sample()
    assert [(reading.kind, reading.quality) for reading in taken.readings] == [
        ("health", G),
        ("error-rate", G),
        ("log-errors", G),
    ]
    assert taken.quality is G
    assert {reading.at for reading in taken.readings} == {taken.at} == {NOW}


async def test_unreadable_logs_are_noted_and_decide_nothing():
    taken = await sample(logs=DENIED)
    logs = taken.readings[2]
    assert (logs.quality, logs.decides, taken.quality) == (E, False, G)
    assert "allow FilterLogEvents for the worker's role" in logs.detail


async def test_what_cannot_be_reached_is_a_reading_of_quality_error_and_nothing_is_raised():
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route to host")

    taken = await sample(away, DENIED)
    assert [reading.quality for reading in taken.readings] == [E, E, E]
    assert taken.readings[1].detail.count("no route to host") == 2, "Prometheus and the scrape are both named"


async def test_an_unhealthy_service_is_bad_although_its_errors_cannot_be_read():
    def down(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503)

    taken = await sample(down)
    assert [reading.quality for reading in taken.readings[:2]] == [B, E]
    assert taken.quality is B


async def test_readings_are_taken_at_the_same_time():
    asked = set()
    all_asked = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.add(request.url.host)
        if len(asked) == 2:
            all_asked.set()
        await all_asked.wait()
        return service(request)

    assert (await sample(answer)).quality is G


async def never():
    await asyncio.Event().wait()


async def broken():
    raise KeyError("data")


async def test_a_reading_that_takes_too_long_is_an_error_of_its_own():
    reading = await measured("health", NOW, never(), seconds(0.05))
    assert (reading.quality, reading.detail) == (E, "health took longer than 0.1s")


async def test_an_instrument_that_breaks_ends_nothing():
    reading = await measured("error-rate", NOW, broken())
    assert (reading.quality, reading.detail) == (E, "error-rate could not be measured: KeyError: 'data'")


async def test_cancellation_goes_through():
    task = asyncio.create_task(measured("health", NOW, never()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

import asyncio

import httpx
import pytest

from activities.http.client import http_client
from activities.http.probes import read_health
from runbook_model.errors import UnreachableError
from tests.observing import NOW, URL, B, G, N, a_target, client


def raising(error: Exception):
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return client(answer)


@pytest.mark.parametrize(("status", "quality"), [(200, G), (204, G), (404, B), (500, B), (503, B)])
async def test_only_2xx_is_good(status, quality):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, str(request.url)))
        return httpx.Response(status)

    reading = await read_health(client(answer), a_target(), NOW)
    assert (reading.quality, reading.value, reading.detail) == (quality, status, f"health {status}")
    assert asked == [("GET", f"{URL}/health")]


async def test_a_service_that_takes_the_request_and_stays_silent_is_bad():
    reading = await read_health(raising(httpx.ReadTimeout("")), a_target(), NOW)
    assert (reading.quality, reading.detail) == (B, "health gave no answer within 4s or broke off")


async def test_a_service_that_cannot_be_reached_is_not_called_bad():
    with pytest.raises(UnreachableError, match=r"could not reach http://service\.test/health: no route"):
        await read_health(raising(httpx.ConnectError("no route")), a_target(), NOW)


async def test_a_port_where_nothing_listens_is_bad():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with http_client() as http:
        reading = await read_health(http, a_target(url=f"http://127.0.0.1:{port}"), NOW)
    assert (reading.quality, reading.detail) == (B, "health: nothing listens there")


async def test_a_target_without_url_has_no_health_and_others_decide():
    reading = await read_health(raising(AssertionError()), a_target(url=None), NOW)
    assert (reading.quality, reading.decides) == (N, False)


async def test_a_redirect_is_named_with_where_it_leads_and_is_not_called_sick():
    answer = client(lambda _: httpx.Response(301, headers={"location": "https://service.test/health"}))
    reading = await read_health(answer, a_target(), NOW)
    assert (reading.quality, reading.value) == (N, 301)
    assert reading.detail == (
        "http://service.test/health answers 301, a redirect to https://service.test/health; "
        "set url or health_path in the catalog to where it leads"
    )


async def test_health_is_asked_for_at_the_path_that_the_catalog_names():
    answer = client(lambda request: httpx.Response(200 if request.url.path == "/healthz" else 404))
    assert (await read_health(answer, a_target(health_path="/healthz"), NOW)).quality is G

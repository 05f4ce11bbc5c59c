"""Nobody silences the webhook by connections: the silent ones end, and make room for others."""

import asyncio
import socket
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from starter.exits import CliError
from starter.processes.connections import (
    ConnectionLimits,
    Connections,
    source_of,
    trusted_proxies,
)
from starter.processes.listening import Server
from tests.webhook_calls import TOKEN, Webhook, a_payload, an_alert

PATIENT = 600.0
SOON = 0.05


@asynccontextmanager
async def serving(trusted=(), **limits):
    """Serve a webhook on loopback; yields its port and the webhook."""
    limits = {"head_seconds": PATIENT, "request_seconds": PATIENT} | limits
    table = Connections(ConnectionLimits(**limits), trusted)
    webhook = Webhook()
    listening = asyncio.Event()
    server = Server(webhook.application, table, listening.set)
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await listening.wait()
        try:
            yield listener.getsockname()[1], webhook
        finally:
            server.force_exit = True
            server.stop()
            await running


async def connect(port, source="127.0.0.1"):
    """Open a connection from an address of this machine."""
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))


async def healthy(port, source="127.0.0.1"):
    """What `/healthz` answers on a new connection."""
    reader, writer = await connect(port, source)
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.split(b"\r\n")[0]


async def ended(reader):
    """Wait until the other side has closed; returns what came before."""
    with suppress(ConnectionResetError):
        return await reader.read()
    return b""


def head(length=100, token=TOKEN):
    return (
        f"POST /alerts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


async def test_six_hundred_silent_connections_of_one_source_do_not_keep_health_from_answering():
    async with serving() as (port, _):
        silent = [await connect(port) for _ in range(600)]
        assert await healthy(port) == b"HTTP/1.1 200 OK"
        assert await ended(silent[0][0]) == b"", "the oldest made room"
        for _, writer in silent:
            writer.close()


async def test_silent_connections_of_many_sources_do_not_either():
    async with serving(total=40, per_source=5) as (port, _):
        silent = [await connect(port, f"127.0.{number // 5}.2") for number in range(60)]
        assert await healthy(port, "127.0.99.2") == b"HTTP/1.1 200 OK"
        for _, writer in silent:
            writer.close()


async def test_a_call_under_way_is_not_ended_for_others():
    async with serving(total=4, per_source=2) as (port, webhook):
        body = httpx.Request("POST", "http://x", json=a_payload(an_alert())).content
        reader, writer = await connect(port)
        writer.write(head(len(body)) + body[:10])
        await writer.drain()
        others = [await connect(port, f"127.0.{number}.2") for number in range(1, 9)]
        assert await healthy(port) == b"HTTP/1.1 200 OK"
        writer.write(body[10:])
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
        assert len(webhook.temporal.alerts) == 1
        for _, other in [*others, (reader, writer)]:
            other.close()


async def test_more_calls_at_once_of_one_source_than_it_may_have_are_to_come_again():
    async with serving(per_source=2) as (port, _):
        busy = [await connect(port) for _ in range(2)]
        for _, writer in busy:
            writer.write(head())
        while await healthy(port) != b"HTTP/1.1 503 Service Unavailable":
            pass  # a head that has not arrived yet is idle
        assert await healthy(port, "127.0.0.2") == b"HTTP/1.1 200 OK"
        for _, writer in busy:
            writer.close()


async def test_a_trusted_proxy_has_as_many_as_it_likes():
    trusted = trusted_proxies({"RUNBOOK_TRUSTED_PROXIES": "10.0.0.7, 127.0.0.0/24"})
    async with serving(trusted, per_source=2) as (port, _):
        held = [await connect(port) for _ in range(9)]
        for _, writer in held:
            writer.write(head())
        assert await healthy(port) == b"HTTP/1.1 200 OK"
        for _, writer in held:
            writer.close()


@pytest.mark.parametrize("begun", [b"", b"POST /alerts HT", b"POST /alerts HTTP/1.1\r\nhost: x\r\n"])
async def test_a_connection_without_a_complete_head_is_closed(begun):
    async with serving(head_seconds=SOON) as (port, _):
        reader, writer = await connect(port)
        writer.write(begun)
        assert await ended(reader) == b""
        writer.close()


async def test_dripping_a_head_does_not_buy_time():
    async with serving(head_seconds=SOON) as (port, _):
        reader, writer = await connect(port)
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0)
        assert await ended(reader) == b""
        writer.close()


async def test_dripping_a_head_after_an_answer_does_not_either():
    async with serving(head_seconds=SOON) as (port, _):
        reader, writer = await connect(port)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"}")
        writer.write(b"GET /heal")
        assert await ended(reader) == b""
        writer.close()


async def test_a_body_that_does_not_come_ends_with_its_request():
    async with serving(request_seconds=SOON) as (port, _):
        reader, writer = await connect(port)
        writer.write(head() + b"{")
        assert await ended(reader) == b""
        writer.close()


async def test_a_connection_that_is_kept_takes_one_call_after_the_other():
    async with serving() as (port, webhook), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(3):
            answer = await client.post(
                "/alerts", json=a_payload(an_alert()), headers={"authorization": f"Bearer {TOKEN}"}
            )
            assert answer.status_code == 200
        assert len(webhook.temporal.alerts) == 3


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("10.1.2.3", "10.1.2.3/32"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "0.0.0.0/32"),
    ],
)
def test_whom_a_connection_counts_for(host, source):
    assert source_of(host) == source


def test_a_proxy_that_is_no_address_is_reported():
    assert trusted_proxies({}) == trusted_proxies({"RUNBOOK_TRUSTED_PROXIES": " , "}) == ()
    with pytest.raises(CliError, match=r"RUNBOOK_TRUSTED_PROXIES: 'proxy' does not appear to be an IPv4"):
        trusted_proxies({"RUNBOOK_TRUSTED_PROXIES": "10.0.0.1,proxy"})

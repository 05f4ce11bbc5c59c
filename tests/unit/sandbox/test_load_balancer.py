"""The load balancer in front of small real servers that count what reaches them."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from sandbox.balancing.load_balancer import LoadBalancer
from sandbox.machine.processes import free_port
from sandbox.machine.wire import Connections, PeerGoneError, read_request, request, response

PROCESS = request("POST", "/api/v1/process", "test", b"{}")


class Backend:
    """An HTTP server whose health and speed the test sets."""

    def __init__(self):
        self.address = f"127.0.0.1:{free_port()}"
        self.healthy = True
        self.checks = 0
        self.requests = 0
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.hangs_up = False
        self._writers = set()

    async def open(self):
        self.server = await asyncio.start_server(self._serve, *self.address.split(":"))

    async def close(self):
        self.server.close()
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        while message := await read_request(reader):
            if b" /health " in message.first_line:
                self.checks += 1
                answer = response(200 if self.healthy else 503, "-", "health")
            else:
                self.requests += 1
                await self.go_on.wait()
                if self.hangs_up:
                    break
                answer = response(200, "OK", self.address)
            writer.write(answer.encode())
        writer.close()


@pytest.fixture
async def balancer():
    balancer = LoadBalancer(free_port())
    await balancer.open()
    yield balancer
    await balancer.close()


@pytest.fixture
async def client(balancer):
    async with Connections(balancer.address) as connections:
        yield connections


@asynccontextmanager
async def backends(count):
    some = [Backend() for _ in range(count)]
    for backend in some:
        await backend.open()
    try:
        yield some
    finally:
        for backend in some:
            backend.go_on.set()
            await backend.close()


async def until(true):
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_without_any_target_the_answer_is_503(client):
    assert (await client.exchange(PROCESS, 5)).status == 503


async def test_requests_are_spread_evenly_over_healthy_targets(balancer, client):
    async with backends(3) as some:
        targets = [balancer.add(item.address) for item in some]
        await until(lambda: all(target.healthy for target in targets))
        answers = Counter([(await client.exchange(PROCESS, 5)).body for _ in range(30)])
        assert answers == {item.address.encode(): 10 for item in some}


async def test_weights_split_requests_exactly_between_two_target_groups(balancer, client):
    async with backends(3) as some:
        for item, group in zip(some, ("blue", "blue", "green"), strict=True):
            balancer.add(item.address, group)
        await until(lambda: all(target.healthy for target in balancer.targets))
        balancer.production.set({"blue": 87.5, "green": 12.5})
        for _ in range(80):
            await client.exchange(PROCESS, 5)
        assert some[2].requests == 10
        assert some[0].requests + some[1].requests == 70


async def test_a_request_with_the_test_header_goes_by_the_test_rule(balancer, client):
    async with backends(2) as [blue, green]:
        balancer.add(blue.address, "blue")
        balancer.add(green.address, "green")
        await until(lambda: all(target.healthy for target in balancer.targets))
        balancer.production.set({"blue": 100, "green": 0})
        balancer.test.set({"blue": 0, "green": 100})
        test = replace(PROCESS, headers=(*PROCESS.headers, (b"X-Amzn-Ecs-Blue-Green-Test", b"1")))
        for _ in range(5):
            await client.exchange(PROCESS, 5)
            await client.exchange(test, 5)
        assert (blue.requests, green.requests) == (5, 5)


async def test_a_target_group_without_healthy_targets_answers_503_although_the_other_has_some(
    balancer, client
):
    async with backends(1) as [blue]:
        target = balancer.add(blue.address, "blue")
        await until(lambda: target.healthy)
        balancer.production.set({"blue": 0, "green": 100})
        assert (await client.exchange(PROCESS, 5)).status == 503


async def test_a_target_gets_no_request_before_two_good_health_checks(balancer, client):
    async with backends(1) as [backend]:
        target = balancer.add(backend.address)
        assert target.healthy is None
        assert (await client.exchange(PROCESS, 5)).status == 503
        await until(lambda: target.healthy)
        assert backend.checks == 2
        assert backend.requests == 0


async def test_an_unhealthy_target_gets_no_requests_until_it_recovers(balancer, client):
    async with backends(2) as [good, bad]:
        targets = [balancer.add(item.address) for item in (good, bad)]
        await until(lambda: all(target.healthy for target in targets))
        bad.healthy = False
        await until(lambda: targets[1].healthy is False)
        for _ in range(10):
            assert (await client.exchange(PROCESS, 5)).body == good.address.encode()
        assert bad.requests == 0
        bad.healthy = True
        await until(lambda: targets[1].healthy)
        await client.exchange(PROCESS, 5)
        await client.exchange(PROCESS, 5)
        assert bad.requests == 1


async def test_a_target_that_is_never_healthy_is_distinguished_from_one_that_never_answered(balancer):
    async with backends(1) as [sick]:
        sick.healthy = False
        silent = balancer.add(f"127.0.0.1:{free_port()}")
        answering = balancer.add(sick.address)
        await until(lambda: answering.healthy is False)
        assert silent.healthy is None


async def test_removal_waits_for_requests_under_way_and_sends_no_new_ones(balancer, client):
    async with backends(1) as [backend]:
        target = balancer.add(backend.address)
        await until(lambda: target.healthy)
        backend.go_on.clear()
        under_way = asyncio.create_task(client.exchange(PROCESS, 5))
        await until(lambda: backend.requests == 1)
        removal = asyncio.create_task(balancer.remove(target))
        assert (await client.exchange(PROCESS, 5)).status == 503
        assert not removal.done()
        backend.go_on.set()
        assert (await under_way).status == 200
        await removal
        assert backend.requests == 1


async def test_a_target_that_dies_under_a_request_answers_502(balancer, client):
    async with backends(1) as [backend]:
        target = balancer.add(backend.address)
        await until(lambda: target.healthy)
        backend.hangs_up = True
        assert (await client.exchange(PROCESS, 5)).status == 502


async def test_what_is_not_http_is_answered_400_and_the_connection_closed(balancer):
    reader, writer = await asyncio.open_connection(*balancer.address.split(":"))
    writer.write(b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n")
    assert b" 400 " in await reader.read()
    writer.close()


async def test_a_closed_load_balancer_accepts_no_connections():
    balancer = LoadBalancer(free_port())
    await balancer.open()
    await balancer.close()
    async with Connections(balancer.address) as connections:
        with pytest.raises(PeerGoneError, match="does not accept connections"):
            await connections.exchange(PROCESS, 5)

"""Whether each service answers its health check from outside, for Prometheus, as the blackbox exporter reports it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from starlette.responses import Response
from starlette.routing import Route

from sandbox.names import SERVICE
from sandbox.wire import Connections, WireError, request

if TYPE_CHECKING:
    from starlette.requests import Request

PATH = "/_sandbox/probes"
TIMEOUT_SECONDS = 0.8
"""Shorter than Prometheus waits for us."""


def probe_route(addresses: Mapping[str, str]) -> Route:
    """Return the route that Prometheus scrapes; it probes at each scrape.

    Args:
        addresses: environment -> ``host:port`` of the service's load balancer.
    """
    registry = CollectorRegistry()
    success = Gauge(
        "probe_success", "Whether /health answered.", ["service", "environment"], registry=registry
    )
    started: set[str] = set()

    async def probe(environment: str, address: str) -> None:
        answers = await _answers(address)
        if answers or environment in started:  # what has not started yet is not down
            started.add(environment)
            success.labels(SERVICE, environment).set(answers)

    async def show(_: Request) -> Response:
        await asyncio.gather(*(probe(*item) for item in addresses.items()))
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    return Route(PATH, show, methods=["GET"])


async def _answers(address: str) -> bool:
    async with Connections(address) as connections:
        try:
            answer = await connections.exchange(request("GET", "/health", address), TIMEOUT_SECONDS)
        except (WireError, TimeoutError):
            return False
        return answer.status == 200

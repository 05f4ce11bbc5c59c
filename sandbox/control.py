"""The sandbox's own switches, next to the simulated AWS: load, images, and kills and restarts of Temporal and others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.balancing.everyday_load import Load
from sandbox.balancing.load_balancer import LoadBalancer
from sandbox.machine.tasks import ImageRegistry, digest_of
from sandbox.monitoring.alertmanager import Alertmanager
from sandbox.postgres.server import Postgres
from sandbox.temporal import TemporalServer

if TYPE_CHECKING:
    from starlette.requests import Request


class RefusedOrderError(Exception):
    """An order that cannot be meant; the message says why."""


def switch(
    path: str,
    show: Callable[[], object],
    order: Callable[[Mapping[str, object]], Awaitable[object]] | None = None,
) -> list[Route]:
    """Return the routes of a switch.

    Args:
        path: where it is.
        show: returns what a GET shows.
        order: does what the object of a POST asks for, and may return what answers it; else that is what a GET shows.
    """

    async def get(_: Request) -> JSONResponse:
        return JSONResponse(show())

    async def post(request: Request) -> JSONResponse:
        assert order is not None
        try:
            answer = await order(await _object_in(request))
        except RefusedOrderError as refused:
            return JSONResponse({"error": str(refused)}, status_code=400)
        return JSONResponse(show() if answer is None else answer)

    return [Route(path, get, methods=["GET"]), *([Route(path, post, methods=["POST"])] if order else [])]


def one_of(asked: Mapping[str, object], name: str, allowed: Iterable[str]) -> str:
    """Return a member of an order that must be one of some texts.

    Raises:
        RefusedOrderError: it is none of them.
    """
    found, known = asked.get(name), list(allowed)
    if not isinstance(found, str) or found not in known:
        raise RefusedOrderError(f"{name} must be one of: {', '.join(known)}")
    return found


def control_routes(
    loads: Mapping[str, Load],
    balancers: Mapping[tuple[str, str], LoadBalancer],
    temporal: TemporalServer,
    postgres: Postgres | None = None,
) -> list[Route]:
    """Return the routes ``/_sandbox/load``, ``…/load-balancers``, ``…/temporal`` and, with databases, ``…/postgres``."""

    async def set_load(asked: Mapping[str, object]) -> None:
        environment, rate = one_of(asked, "environment", loads), asked.get("requests_per_second")
        if not isinstance(rate, int | float) or not 0 <= rate <= 500:
            raise RefusedOrderError("requests_per_second must be a number from 0 to 500")
        loads[environment].set_rate(float(rate))

    async def order_temporal(asked: Mapping[str, object]) -> None:
        orders = {"kill": temporal.kill, "start": temporal.start, "restart": temporal.restart}
        action = one_of(asked, "action", orders)
        if action == "start" and temporal.pid is not None:
            raise RefusedOrderError("Temporal runs already")
        await orders[action]()

    def list_balancers() -> object:
        return [
            {"cluster": cluster, "service": service, "url": balancer.url}
            for (cluster, service), balancer in balancers.items()
        ]

    return [
        *(_postgres_routes(postgres) if postgres is not None else []),
        *switch(
            "/_sandbox/load",
            lambda: {name: load.requests_per_second for name, load in loads.items()},
            set_load,
        ),
        *switch("/_sandbox/load-balancers", list_balancers),
        *switch(
            "/_sandbox/temporal", lambda: {"pid": temporal.pid, "address": temporal.address}, order_temporal
        ),
    ]


def _postgres_routes(postgres: Postgres) -> list[Route]:
    async def order(asked: Mapping[str, object]) -> None:
        orders = {"kill": postgres.kill, "restart": postgres.restart}
        environment = one_of(asked, "environment", postgres.pids())
        await orders[one_of(asked, "action", orders)](environment)

    return switch("/_sandbox/postgres", postgres.pids, order)


def image_routes(images: ImageRegistry) -> list[Route]:
    """Return the routes ``/_sandbox/images``: which tags were moved, and what moves one."""

    def show() -> object:
        return {
            tag: {"version": version, "digest": digest_of(version)} for tag, version in images.moved.items()
        }

    async def move(asked: Mapping[str, object]) -> None:
        try:
            images.move(str(asked.get("tag")), str(asked.get("version")))
        except ValueError as error:
            raise RefusedOrderError(str(error)) from None

    return switch("/_sandbox/images", show, move)


def alertmanager_routes(alertmanager: Alertmanager) -> list[Route]:
    """Return the routes ``/_sandbox/alertmanager`` of a sandbox that has one."""

    async def order(asked: Mapping[str, object]) -> None:
        orders = {"kill": alertmanager.kill, "restart": alertmanager.restart}
        await orders[one_of(asked, "action", orders)]()

    return switch("/_sandbox/alertmanager", lambda: {"pid": alertmanager.pid, "url": alertmanager.url}, order)


async def _object_in(request: Request) -> Mapping[str, object]:
    """Return the JSON object of a request's body; an empty one when there is none, which every order refuses."""
    try:
        asked = await request.json()
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}

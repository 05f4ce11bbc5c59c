"""The sandbox's own switches, next to the simulated AWS: load, images, and kills and restarts of Temporal and others."""

from __future__ import annotations

from collections.abc import Mapping
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


def control_routes(
    loads: Mapping[str, Load],
    balancers: Mapping[tuple[str, str], LoadBalancer],
    temporal: TemporalServer,
    postgres: Postgres | None = None,
) -> list[Route]:
    """Return the routes ``/_sandbox/load``, ``…/load-balancers``, ``…/temporal`` and, with databases, ``…/postgres``."""

    async def show_load(_: Request) -> JSONResponse:
        return JSONResponse({name: load.requests_per_second for name, load in loads.items()})

    async def set_load(request: Request) -> JSONResponse:
        asked = await object_in(request)
        rate, environment = asked.get("requests_per_second"), asked.get("environment")
        if not isinstance(environment, str) or environment not in loads:
            return refusal(f"environment must be one of: {', '.join(loads)}")
        if not isinstance(rate, int | float) or not 0 <= rate <= 500:
            return refusal("requests_per_second must be a number from 0 to 500")
        loads[environment].set_rate(float(rate))
        return await show_load(request)

    async def list_balancers(_: Request) -> JSONResponse:
        return JSONResponse(
            [
                {"cluster": cluster, "service": service, "url": balancer.url}
                for (cluster, service), balancer in balancers.items()
            ]
        )

    async def show_temporal(_: Request) -> JSONResponse:
        return JSONResponse({"pid": temporal.pid, "address": temporal.address})

    async def order_temporal(request: Request) -> JSONResponse:
        orders = {"kill": temporal.kill, "start": temporal.start, "restart": temporal.restart}
        action = (await object_in(request)).get("action")
        if action not in orders:
            return refusal(f"action must be one of: {', '.join(orders)}")
        if action == "start" and temporal.pid is not None:
            return refusal("Temporal runs already")
        await orders[action]()
        return await show_temporal(request)

    databases = _postgres_routes(postgres) if postgres is not None else []
    return [
        *databases,
        Route("/_sandbox/load", show_load, methods=["GET"]),
        Route("/_sandbox/load", set_load, methods=["POST"]),
        Route("/_sandbox/load-balancers", list_balancers, methods=["GET"]),
        Route("/_sandbox/temporal", show_temporal, methods=["GET"]),
        Route("/_sandbox/temporal", order_temporal, methods=["POST"]),
    ]


def _postgres_routes(postgres: Postgres) -> list[Route]:
    async def show(_: Request) -> JSONResponse:
        return JSONResponse(postgres.pids())

    async def order(request: Request) -> JSONResponse:
        orders = {"kill": postgres.kill, "restart": postgres.restart}
        asked = await object_in(request)
        environment, action = asked.get("environment"), asked.get("action")
        if not isinstance(environment, str) or environment not in postgres.pids():
            return refusal(f"environment must be one of: {', '.join(postgres.pids())}")
        if not isinstance(action, str) or action not in orders:
            return refusal(f"action must be one of: {', '.join(orders)}")
        await orders[action](environment)
        return await show(request)

    return [
        Route("/_sandbox/postgres", show, methods=["GET"]),
        Route("/_sandbox/postgres", order, methods=["POST"]),
    ]


def image_routes(images: ImageRegistry) -> list[Route]:
    """Return the routes ``/_sandbox/images``: which tags were moved, and what moves one."""

    async def show(_: Request) -> JSONResponse:
        moved = images.moved
        return JSONResponse(
            {tag: {"version": version, "digest": digest_of(version)} for tag, version in moved.items()}
        )

    async def move(request: Request) -> JSONResponse:
        asked = await object_in(request)
        try:
            images.move(str(asked.get("tag")), str(asked.get("version")))
        except ValueError as error:
            return refusal(str(error))
        return await show(request)

    return [
        Route("/_sandbox/images", show, methods=["GET"]),
        Route("/_sandbox/images", move, methods=["POST"]),
    ]


def alertmanager_routes(alertmanager: Alertmanager) -> list[Route]:
    """Return the routes ``/_sandbox/alertmanager`` of a sandbox that has one."""

    async def show(_: Request) -> JSONResponse:
        return JSONResponse({"pid": alertmanager.pid, "url": alertmanager.url})

    async def order(request: Request) -> JSONResponse:
        orders = {"kill": alertmanager.kill, "restart": alertmanager.restart}
        action = (await object_in(request)).get("action")
        if not isinstance(action, str) or action not in orders:
            return refusal(f"action must be one of: {', '.join(orders)}")
        await orders[action]()
        return await show(request)

    return [
        Route("/_sandbox/alertmanager", show, methods=["GET"]),
        Route("/_sandbox/alertmanager", order, methods=["POST"]),
    ]


async def object_in(request: Request) -> Mapping[str, object]:
    """Return the JSON object of a request's body; an empty one when there is none, which every order refuses."""
    try:
        asked = await request.json()
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def refusal(reason: str) -> JSONResponse:
    """Answer that an order cannot be meant."""
    return JSONResponse({"error": reason}, status_code=400)

"""The sandbox's own switch for the compose project: another environment, or a container that goes wrong by itself."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.control import object_in, refusal
from sandbox.engine.breaking import PATH
from sandbox.engine.container import Container
from sandbox.engine.model import POLICIES, USUALLY, known_policy
from sandbox.engine.stack import Stack

if TYPE_CHECKING:
    from starlette.requests import Request


ACTIONS: dict[str, Callable[[Container], bool]] = {
    "kill": lambda container: container.crash(signal.SIGKILL),
    "hang": lambda container: container.crash(signal.SIGSTOP),
}


def compose_routes(stack: Stack) -> list[Route]:
    """Return the route that shows the project and breaks it."""

    async def show(_: Request) -> JSONResponse:
        containers = [
            {
                "name": item.spec.name,
                "id": item.id,
                "pid": item.state.pid or None,
                "status": item.state.status,
                "environment": dict(item.spec.environment),
                "restart": item.spec.policy,
            }
            for item in stack.containers
        ]
        return JSONResponse({"url": stack.url, "containers": containers})

    async def order(request: Request) -> JSONResponse:
        asked = await object_in(request)
        service = asked.get("service")
        own = stack.of(service) if isinstance(service, str) else []
        if not own:
            return refusal(f"service must be one of: {', '.join(stack.services)}")
        action, environment, policy = (
            asked.get("action"),
            asked.get("environment"),
            asked.get("restart", USUALLY),
        )
        if action is not None:
            if action not in ACTIONS:
                return refusal(f"action must be one of: {', '.join(ACTIONS)}")
            met = [ACTIONS[action](container) for container in own]
            if not any(met):
                return refusal(f"no container of {service} runs")
            return await show(request)
        if not isinstance(environment, dict) or not all(
            isinstance(item, str) for item in environment.values()
        ):
            return refusal('without an action, environment must be an object: {"NAME": "VALUE"}')
        if not known_policy(policy):
            return refusal(f'restart must be one of: {", ".join(POLICIES)}, or such as "on-failure:3"')
        await stack.recreate(own[0].spec.service, environment, policy)
        return await show(request)

    return [Route(PATH, show, methods=["GET"]), Route(PATH, order, methods=["POST"])]

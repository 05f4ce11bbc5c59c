"""The one AWS address of the sandbox: what is simulated here, who the caller is and what he may, moto for the rest, call log, faults."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.aws.autoscaling import SimulatedAutoscaling
from sandbox.aws.calls import Call, Request, members, read_call
from sandbox.aws.elbv2 import ACTIONS, SimulatedBalancing
from sandbox.aws.faults import BadFaultError, Faults, answer, query_answer, read_fault, refusal
from sandbox.aws.hooks_and_alarms import Switches, take_alarm_state
from sandbox.aws.metric_data import is_ours, metric_data
from sandbox.aws.moto import MotoProxy, error_code
from sandbox.balancing.load_balancer import LoadBalancer
from sandbox.call_log import CallLog
from sandbox.ecs import SimulatedEcs
from sandbox.ecs.names import ApiError, Fields, Names, last_part
from sandbox.ecs.protocol import checked

if TYPE_CHECKING:
    from starlette.requests import Request as HttpRequest
    from starlette.types import Receive, Scope, Send

_SESSION = "x-amz-security-token"
"""Who signs with a session took on a role, which moto remembers."""


class SimulatedIam:
    """Every role that is asked for is there, without a path; ``denies`` says of a permission whether it is wanting."""

    def __init__(self, names: Names, denies: Callable[[str], bool]) -> None:
        self._names = names
        self._denies = denies

    def knows(self, request: Request, call: Call) -> bool:
        """Say whether a call is one that is answered here."""
        match call.service, call.action:
            case "iam", "GetRole" | "SimulatePrincipalPolicy":
                return True
            case "sts", "GetCallerIdentity":
                return _SESSION not in request.headers
        return False

    def call(self, call: Call) -> Fields:
        """Do one action.

        Raises:
            ApiError: what AWS would refuse it with.
        """
        given = checked(call.service, call.action, members(call.parameters))
        match call.action:
            case "GetRole":
                return {"Role": self._role(given["RoleName"])}
            case "SimulatePrincipalPolicy":
                return self._simulate(given)
        arn = self._names.root()
        return {
            "Arn": arn,
            "UserId": f"{_role_id(arn.split('/')[1])}:{last_part(arn)}",
            "Account": self._names.account,
        }

    def _role(self, name: str) -> Fields:
        return {
            "Path": "/",
            "RoleName": name,
            "RoleId": _role_id(name),
            "Arn": f"arn:aws:iam::{self._names.account}:role/{name}",
            "CreateDate": "2026-01-01T00:00:00Z",
        }

    def _simulate(self, given: Fields) -> Fields:
        resources = given.get("ResourceArns", ["*"])
        return {
            "EvaluationResults": [self._decide(action, resources) for action in given["ActionNames"]],
            "IsTruncated": False,
        }

    def _decide(self, action: str, resources: list[str]) -> Fields:
        """Decide on one action; AWS answers so too: once, with the decision on each resource inside."""
        decision = "implicitDeny" if self._denies(action) else "allowed"
        each = [{"EvalResourceName": resource, "EvalResourceDecision": decision} for resource in resources]
        return {
            "EvalActionName": action,
            "EvalResourceName": "*",
            "EvalDecision": decision,
            "ResourceSpecificResults": [item for item in each if item["EvalResourceName"] != "*"],
        }


def _role_id(name: str) -> str:
    return f"AROA{hashlib.sha256(name.encode()).hexdigest()[:17].upper()}"


_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]

_ECS = "AmazonEC2ContainerServiceV20141113"

_AUTOSCALING = "AnyScaleFrontendService"

_TERRAFORM = "Terraform"

_SOONEST_SECONDS = 0.01
"""An answer within a millisecond, as AWS never gives it, overtakes the end of Go's own write: it hangs up and calls again."""


def aws_endpoint(
    ecs: SimulatedEcs,
    autoscaling: SimulatedAutoscaling,
    moto_url: str | None,
    balancers: Mapping[tuple[str, str], LoadBalancer] | None = None,
    log: CallLog | None = None,
) -> Starlette:
    """Return the endpoint as an ASGI application, to be served by uvicorn.

    Args:
        ecs: the simulated ECS.
        autoscaling: what scales its services.
        moto_url: where the rest of AWS answers; None for nowhere.
        balancers: the load balancer of each cluster's services.
        log: where every call is recorded; one of its own when None.
    """
    balancing = SimulatedBalancing(ecs.services, balancers or {})
    return AwsEndpoint(ecs, autoscaling, balancing, moto_url, log or CallLog())


class AwsEndpoint(Starlette):
    """Tells by ``X-Amz-Target`` whom a call is for, lets its fault happen, and logs it."""

    def __init__(
        self,
        ecs: SimulatedEcs,
        autoscaling: SimulatedAutoscaling,
        balancing: SimulatedBalancing,
        moto_url: str | None,
        log: CallLog,
    ) -> None:
        self._log = log
        self._ecs = ecs
        self._autoscaling = autoscaling
        self._balancing = balancing
        self._faults = Faults(ecs.names)
        self._iam = SimulatedIam(ecs.names, self._faults.denies)
        self._moto = MotoProxy(moto_url) if moto_url else None
        routes = [
            Route("/_sandbox/calls", self._show_calls, methods=["GET"]),
            Route("/_sandbox/log", self._show_log, methods=["GET"]),
            Route("/_sandbox/faults", self._add_fault, methods=["POST"]),
            Route("/_sandbox/faults", self._show_faults, methods=["GET"]),
            Route("/_sandbox/faults", self._clear_faults, methods=["DELETE"]),
            *Switches(ecs, moto_url).routes,
            Route(
                "/_sandbox/{path:path}", _no_such_switch, methods=_METHODS
            ),  # a typing error is no call of AWS
            Route("/{path:path}", self._serve, methods=_METHODS),
        ]
        super().__init__(routes=routes, lifespan=_closing(self._moto))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, remembering uvicorn's connection: only there can a reply be lost as on a real network."""
        cycle: Any = getattr(send, "__self__", None)  # uvicorn's request, which owns the transport
        scope["sandbox.transport"] = getattr(cycle, "transport", None)
        await super().__call__(scope, receive, send)

    async def _show_calls(self, _: HttpRequest) -> Response:
        return JSONResponse(self._log.entries("aws"))

    async def _show_log(self, _: HttpRequest) -> Response:
        return JSONResponse(self._log.entries())

    async def _add_fault(self, http: HttpRequest) -> Response:
        try:
            self._faults.add(read_fault(json.loads(await http.body())))
        except (ValueError, BadFaultError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"recorded": True})

    async def _show_faults(self, _: HttpRequest) -> Response:
        return JSONResponse([asdict(fault) for fault in self._faults.pending])

    async def _clear_faults(self, http: HttpRequest) -> Response:
        self._faults.clear()
        return await self._show_faults(http)

    async def _serve(self, http: HttpRequest) -> Response:
        # raw_path keeps what was percent-encoded, which S3's signatures and keys depend on
        path = http.scope.get("raw_path", http.url.path.encode()).decode("latin-1").partition("?")[0]
        request = Request(http.method, path, http.url.query, dict(http.headers), await http.body())
        call = read_call(request)
        if _TERRAFORM in request.headers.get("user-agent", ""):
            await asyncio.sleep(_SOONEST_SECONDS)
        fault = self._faults.take(call)
        if fault is not None and fault.error is not None:
            self._note(call, fault.error)
            return refusal(request, call, self._faults.error(fault.error, call))
        if fault is not None:
            await asyncio.sleep(fault.delay_seconds)
        response = await self._apply(request, call)
        if fault is not None and fault.lose_reply:
            await _hang_up(http)
        return response

    async def _apply(self, request: Request, call: Call) -> Response:
        """Do what is asked, log it, and answer."""
        prefix, _ = request.target
        try:
            if prefix == _ECS:
                response = answer(await self._call_ecs(call))
            elif prefix == _AUTOSCALING:
                response = answer(await self._autoscaling.call(call.action, call.parameters))
            elif self._iam.knows(request, call):
                response = query_answer(call.service, call.action, self._iam.call(call))
            elif call.service == "elbv2" and call.action in ACTIONS:
                response = query_answer(call.service, call.action, self._balancing.call(call))
            elif is_ours(call) and request.target[1]:
                response = answer(metric_data(self._balancing, call))
            else:
                response = await self._forward(request, call)
        except ApiError as error:
            self._note(call, error.code)
            return refusal(request, call, error)
        code = error_code(response)
        self._note(call, code)
        if code is None:
            take_alarm_state(self._ecs, call)
        return response

    def _note(self, call: Call, error: str | None) -> None:
        if not call.internal:
            self._log.add(call.entry(error))

    async def _forward(self, request: Request, call: Call) -> Response:
        if self._moto is None:
            raise ApiError("NotImplemented", f"{call.service} is not part of this sandbox.", 501)
        try:
            return await self._moto.forward(request)
        except httpx.TransportError as error:
            raise ApiError("ServiceUnavailable", f"moto does not answer: {error!r}", 503) from error

    async def _call_ecs(self, call: Call) -> Fields:
        if not call.internal:
            self._ecs.throttle.admit(call.action)
        return await self._ecs.call(call.action, call.parameters)


async def _no_such_switch(http: HttpRequest) -> Response:
    return JSONResponse(
        {"error": f"there is no {http.method} {http.url.path}; docs/sandbox.md lists the switches"}, 404
    )


async def _hang_up(http: HttpRequest) -> None:
    """Close the connection without a byte of reply."""
    transport = http.scope["sandbox.transport"]
    if transport is None:
        raise RuntimeError("lose_reply needs uvicorn: no other server shows its connections")
    transport.abort()
    while (await http.receive())["type"] != "http.disconnect":
        continue


def _closing(moto: MotoProxy | None) -> Any:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        if moto is not None:
            await moto.close()

    return lifespan

"""Faults on demand: the next calls of an action are refused, come late, or lose their reply; and answers in any of AWS's protocols."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from xml.sax.saxutils import escape

from starlette.responses import Response

from sandbox.aws.calls import Call, Request, client_of
from sandbox.ecs.names import ApiError, Fields, Names, last_part
from sandbox.ecs.protocol import service_model

_JSON = "application/x-amz-json-1.1"


def answer(fields: Fields) -> Response:
    """Answer a call of the JSON protocol."""
    return _response(200, _JSON, json.dumps(fields, separators=(",", ":")).encode(), {})


def query_answer(service: str, action: str, fields: Fields) -> Response:
    """Answer a call of the query protocol."""
    namespace = service_model(service).metadata["xmlNamespace"]
    result = f"<{action}Result>{_xml(fields)}</{action}Result>"
    text = f'<{action}Response xmlns="{namespace}">{result}</{action}Response>'
    return _response(200, "text/xml", text.encode(), {})


def refusal(request: Request, call: Call, error: ApiError) -> Response:
    """Answer an error so that the caller's own client raises it by its code."""
    if request.speaks_cbor:
        body = b"\xa2" + b"".join(
            _cbor_text(text) for text in ("__type", error.code, "message", error.message)
        )
        return _response(error.status, "application/cbor", body, {"smithy-protocol": "rpc-v2-cbor"})
    if request.target[1]:
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
        return _response(error.status, _JSON, body, {"x-amzn-errortype": error.code})
    inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    if call.service == "s3":
        return _response(error.status, "application/xml", f"<Error>{inner}</Error>".encode(), {})
    fault = "Sender" if error.status < 500 else "Receiver"
    text = f"<ErrorResponse><Error><Type>{fault}</Type>{inner}</Error></ErrorResponse>"
    return _response(error.status, "text/xml", text.encode(), {})


def _xml(value: object) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(item)}</{name}>" for name, item in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{_xml(item)}</member>" for item in value)
    return escape(str(value).lower() if isinstance(value, bool) else str(value))


def _response(status: int, media_type: str, body: bytes, headers: dict[str, str]) -> Response:
    headers = headers | {"x-amzn-requestid": str(uuid.uuid4())}
    return Response(body, status, headers, media_type)


def _cbor_text(text: str) -> bytes:
    raw = text.encode()
    return b"\x79" + len(raw).to_bytes(2, "big") + raw


_KINDS = ("error", "delay_seconds", "lose_reply")

_LONGEST_DELAY = 3600

_DENIALS = {"AccessDeniedException", "AccessDenied"}

_SERVER_ERRORS = {
    "ServerException": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "InternalServerException": 500,
    "InternalServiceError": 500,
    "InternalServiceException": 500,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
    "RequestTimeout": 408,
}

_MESSAGES = {
    "ThrottlingException": "Rate exceeded",
    "Throttling": "Rate exceeded",
    "ExpiredTokenException": "The security token included in the request is expired",
    "UnrecognizedClientException": "The security token included in the request is invalid.",
    "ServerException": "Service Unavailable. Please try again later.",
}


class BadFaultError(Exception):
    """A fault that was not understood; the message says what to write."""


@dataclass
class Fault:
    """What happens to the next calls of one action. Exactly one of the last three is set."""

    action: str
    times: int
    error: str | None = None
    delay_seconds: float = 0.0
    lose_reply: bool = False

    def means(self, service: str, action: str) -> bool:
        """Say whether a call is one of those; ``UpdateService`` and ``ecs:UpdateService`` mean the same."""
        own_service, _, own_action = self.action.rpartition(":")
        return own_action == action and client_of(own_service) in {"", client_of(service)}


def read_fault(given: object) -> Fault:
    """Return the fault that a request's JSON body describes.

    Raises:
        BadFaultError: it describes none.
    """
    if not isinstance(given, dict) or not isinstance(given.get("action"), str):
        raise BadFaultError('want {"action": "UpdateService", "times": 1, "error": "ThrottlingException"}')
    unknown = given.keys() - {"action", "times", *_KINDS}
    kinds = [kind for kind in _KINDS if given.get(kind) not in (None, False)]
    times, delay = given.get("times", 1), given.get("delay_seconds") or 0.0
    if unknown or len(kinds) != 1:
        raise BadFaultError(f"want action, times and exactly one of {', '.join(_KINDS)}")
    if not isinstance(times, int) or times < 1:
        raise BadFaultError("times is a whole number of at least 1")
    if not isinstance(delay, int | float) or not 0 <= delay <= _LONGEST_DELAY:
        raise BadFaultError(f"delay_seconds is a number of seconds, {_LONGEST_DELAY} at most")
    if not isinstance(given.get("error") or "", str) or not isinstance(
        given.get("lose_reply") or False, bool
    ):
        raise BadFaultError("error is the name of an error of AWS, and lose_reply is true")
    return Fault(given["action"], times, given.get("error"), float(delay), bool(given.get("lose_reply")))


class Faults:
    """The faults that are still to come, used up in the order in which they were asked for."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._pending: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let a fault happen."""
        self._pending.append(fault)

    @property
    def pending(self) -> tuple[Fault, ...]:
        """Those that no call has met yet, with how often each still comes."""
        return tuple(self._pending)

    def clear(self) -> None:
        """Let none of them happen any more."""
        self._pending = []

    def take(self, call: Call) -> Fault | None:
        """Return the fault that this call meets, once less to come; the sandbox's own calls meet none."""
        meant = (item for item in self._pending if item.means(call.service, call.action))
        fault = None if call.internal else next(meant, None)
        if fault is not None:
            fault.times -= 1
            self._pending = [item for item in self._pending if item.times > 0]
        return fault

    def denies(self, permission: str) -> bool:
        """Say whether a permission such as ``ecs:UpdateService`` is wanting; to be asked uses nothing up."""
        service, _, action = permission.partition(":")
        return any(item.error in _DENIALS and item.means(service, action) for item in self._pending)

    def error(self, code: str, call: Call) -> ApiError:
        """Return the refusal that AWS sends with this code."""
        message = _MESSAGES.get(code, "Fault asked for through the sandbox.")
        if code in _DENIALS:
            message = (
                f"User: {self._names.root()} is not authorized to perform: {call.permission} on resource: "
                f"{self._resource(call.parameters)} because no identity-based policy allows the {call.permission} action"
            )
        return ApiError(code, message, _SERVER_ERRORS.get(code, 400))

    def _resource(self, parameters: Fields) -> str:
        for member in ("serviceDeploymentArn", "resourceArn"):
            if member in parameters:
                return str(parameters[member])
        cluster = last_part(str(parameters.get("cluster", "default")))
        service = parameters.get("service") or parameters.get("serviceName")
        if service:
            return self._names.service(cluster, last_part(str(service)))
        return self._names.cluster(cluster) if "cluster" in parameters else "*"

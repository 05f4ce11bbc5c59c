"""What an HTTP request to AWS asks for, in any of AWS's protocols."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl

import botocore.session
from botocore.parsers import RpcV2CBORParser

from sandbox.call_log import Entry, caller_of
from sandbox.ecs.names import Fields
from sandbox.ecs.protocol import service_model
from sandbox.names import SANDBOX_USER_AGENT

if TYPE_CHECKING:
    from botocore.model import OperationModel


_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request")

_RPC_PATH = re.compile(r"/service/[^/]+/operation/([A-Za-z0-9]+)")

_CLIENT_OF = {
    "monitoring": "cloudwatch",
    "elasticloadbalancing": "elbv2",
    "AmazonEC2ContainerServiceV20141113": "ecs",
    "AnyScaleFrontendService": "application-autoscaling",
    "Logs_20140328": "logs",
    "GraniteServiceVersion20100801": "cloudwatch",
}
"""boto3's client names where the signing name or the target's prefix differs."""

_PREFIX_OF = {"elbv2": "elasticloadbalancing"}
"""IAM's prefixes where they are not boto3's client names."""


def client_of(name: str) -> str:
    """Return boto3's name of the client that a signing name, an IAM prefix or a target's prefix is of."""
    return _CLIENT_OF.get(name, name)


@dataclass(frozen=True)
class Request:
    """One HTTP request, as far as it matters here."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def target(self) -> tuple[str, str]:
        """The ``X-Amz-Target`` header: service prefix and action; empty without one."""
        prefix, _, action = self.headers.get("x-amz-target", "").rpartition(".")
        return prefix, action

    @property
    def speaks_cbor(self) -> bool:
        """Whether the body is CBOR, as Smithy's RPC protocol has it."""
        return self.headers.get("smithy-protocol") == "rpc-v2-cbor"

    @property
    def is_form(self) -> bool:
        """Whether it is the query protocol's form."""
        return self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


@dataclass(frozen=True)
class Call:
    """One call of an AWS API."""

    service: str
    """boto3's name of the client."""
    action: str
    parameters: Fields
    internal: bool
    """Whether the sandbox itself made it."""
    caller: dict[str, str] | None = None
    """The run, activity and attempt that made it, where its user agent says so."""

    @property
    def permission(self) -> str:
        """What IAM names the right to make it."""
        return f"{_PREFIX_OF.get(self.service, self.service)}:{self.action}"

    def entry(self, error: str | None) -> Entry:
        """Return it as the log keeps it, with the error code that answered it, if any."""
        return Entry("aws", self.service, self.action, self.parameters, self.caller, error)


def read_call(request: Request) -> Call:
    """Say what a request asks for."""
    prefix, action = request.target
    form = dict(parse_qsl(request.body.decode("latin-1"), keep_blank_values=True)) if request.is_form else {}
    rpc = _RPC_PATH.search(request.path)
    service = _service(request, prefix)
    if rpc is not None:
        action = rpc[1]
    elif form.get("Action"):
        action = form["Action"]
    elif not action:
        action = _rest_action(service, request)
    agent = request.headers.get("user-agent", "")
    internal = SANDBOX_USER_AGENT in agent
    return Call(service, action, _parameters(request, form), internal, caller_of(agent))


def _service(request: Request, prefix: str) -> str:
    if prefix in _CLIENT_OF:
        return _CLIENT_OF[prefix]
    scope = _SCOPE.search(request.headers.get("authorization", ""))
    name = scope[1] if scope else prefix.partition("_")[0].lower()
    return client_of(name)


def _parameters(request: Request, form: Fields) -> Fields:
    if form:
        return {key: value for key, value in form.items() if key not in {"Action", "Version"}}
    if request.speaks_cbor:
        return _object(_read_cbor(request.body))
    try:
        return _object(json.loads(request.body or b"{}"))
    except ValueError:  # an upload, or XML: its size says enough
        fields: Fields = {key: values[-1] for key, values in parse_qs(request.query).items()}
        return fields | {"path": request.path, "bytes": len(request.body)}


def _object(value: object) -> Fields:
    return value if isinstance(value, dict) else {}


def _read_cbor(body: bytes) -> object:
    parser: Any = RpcV2CBORParser()  # botocore's reader of CBOR has no public name
    return json.loads(json.dumps(parser.parse_data_item(io.BufferedReader(io.BytesIO(body))), default=str))


def _rest_action(service: str, request: Request) -> str:
    """Find the action of a REST protocol by its method, path and required members, as botocore's model has them."""
    plain = f"{request.method} {request.path}"
    if service not in botocore.session.get_session().get_available_services():
        return plain
    model = service_model(service)
    given = set(parse_qs(request.query, keep_blank_values=True)) | set(request.headers)
    best, best_marks = plain, -1
    for name in model.operation_names:
        operation = model.operation_model(name)
        path, _, query = operation.http.get("requestUri", "/").partition("?")
        marks = {mark.partition("=")[0] for mark in query.split("&") if mark} | _required(operation)
        fits = operation.http.get("method") == request.method and _path_pattern(path).fullmatch(request.path)
        if fits and marks <= given and len(marks) > best_marks:
            best, best_marks = name, len(marks)
    return best


def _required(operation_model: OperationModel) -> set[str]:
    """Return the query parameters and headers that a call of an action always has."""
    if operation_model.input_shape is None:
        return set()
    members = [
        operation_model.input_shape.members[name].serialization
        for name in operation_model.input_shape.required_members
    ]
    return {
        str(member["name"]).lower() if member["location"] == "header" else str(member["name"])
        for member in members
        if member.get("location") in {"header", "querystring"}
    }


def _path_pattern(path: str) -> re.Pattern[str]:
    """Return what paths look like that a template such as ``/{Bucket}/{Key+}`` stands for."""
    return re.compile("".join(_path_part(part) for part in re.split(r"(\{[^}]+\})", path)))


def _path_part(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    return ".+" if part.endswith("+}") else "[^/]+"


def members(form: Fields) -> Fields:
    """Read the query protocol's flat names: ``ActionNames.member.1`` is the first of a list."""
    tree: Fields = {}
    for name, value in form.items():
        *path, last = name.split(".")
        at = tree
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return {name: _without_numbers(item) for name, item in tree.items()}


def _without_numbers(value: object) -> object:
    if not isinstance(value, dict):
        return value
    if value.keys() == {"member"}:
        return [_without_numbers(value["member"][number]) for number in sorted(value["member"], key=int)]
    return {name: _without_numbers(item) for name, item in value.items()}

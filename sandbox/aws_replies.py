"""Answers in the protocol of the request: JSON, query XML, REST XML or CBOR."""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape

from starlette.responses import Response

from sandbox.aws_calls import Call, Request
from sandbox.ecs.errors import ApiError
from sandbox.ecs.names import Fields
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

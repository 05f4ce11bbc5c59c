"""The AWS services that the sandbox does not simulate itself: moto in a process of its own, which gets requests unchanged."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import httpx
from starlette.responses import Response

from sandbox.aws.calls import Request
from sandbox.machine.processes import HttpDaemon, free_port

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length"})

_XML_CODE = re.compile(rb"<Code>([^<]+)</Code>")


class MotoServer(HttpDaemon):
    """CloudWatch, CloudWatch Logs, STS, RDS and S3 on one address."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        argv = [sys.executable, "-P", "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
        super().__init__("moto", argv, folder, address=f"127.0.0.1:{port}", ready="/moto-api/data.json")


class MotoProxy:
    """One HTTP client towards the moto server."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=60.0, follow_redirects=False)
        self._client.headers.clear()  # a request continues with its own headers only

    async def forward(self, request: Request) -> Response:
        """Pass a request on, byte for byte, and return what moto answers."""
        headers = [(key, value) for key, value in request.headers.items() if key not in _HOP_BY_HOP]
        query = f"?{request.query}" if request.query else ""
        sent = self._client.build_request(
            request.method, request.path + query, headers=headers, content=request.body
        )
        reply = await self._client.send(sent, stream=True)
        try:
            body = b"".join([part async for part in reply.aiter_raw()])
        finally:
            await reply.aclose()
        response = Response(body, reply.status_code)
        response.raw_headers = [
            (key.lower(), value)
            for key, value in reply.headers.raw
            if key.decode().lower() not in _HOP_BY_HOP
        ]
        response.headers["content-length"] = str(len(body))
        return response

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


def error_code(response: Response) -> str | None:
    """Return the AWS error code of moto's answer; None for a success."""
    if response.status_code < 400:
        return None
    header = response.headers.get("x-amzn-errortype")
    if header:
        return str(header).partition(":")[0]
    body = bytes(response.body)
    if found := _XML_CODE.search(body):
        return found[1].decode()
    try:
        text = json.loads(body)
    except ValueError:
        return f"HTTP {response.status_code}"
    kind = text.get("__type") or text.get("code") if isinstance(text, dict) else None
    return str(kind).rpartition("#")[2] if kind else f"HTTP {response.status_code}"

"""The engine's HTTP server: on loopback, and on raw streams, as some answers start before what they tell is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from sandbox.engine.api import Answer, EngineApi
from sandbox.engine.reading import read_call
from sandbox.engine.shapes import API_VERSION
from sandbox.wire import WireError, read_request

HEAD_FIRST_SECONDS = 0.1
"""Docker's Python client loses what comes in one piece with the head; a real engine is seldom so quick."""


class _Server:
    def __init__(self, api: EngineApi) -> None:
        self._api = api
        self.clients: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client's requests, one after another."""
        self.clients.add(writer)
        try:
            while message := await read_request(reader):
                answer = await self._api.answer(read_call(message))
                writer.write(_head(answer) + answer.body)
                await writer.drain()
                if answer.later is not None:
                    body, _ = await asyncio.gather(answer.later(), asyncio.sleep(HEAD_FIRST_SECONDS))
                    writer.write(body)
                    await writer.drain()
                if answer.later is not None or message.closes:
                    break
        except ConnectionError:
            pass  # the client hung up; nobody is left to tell
        except WireError:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        finally:
            self.clients.discard(writer)
            writer.close()


@asynccontextmanager
async def serving(api: EngineApi, port: int) -> AsyncIterator[None]:
    """Serve the engine's API on a loopback port while the context lasts."""
    server = _Server(api)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", port)
    try:
        yield
    finally:
        listening.close()
        for writer in list(server.clients):
            writer.close()


def _head(answer: Answer) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Api-Version: {API_VERSION}",
        f"Content-Type: {answer.content_type}",
    ]
    if answer.status == HTTPStatus.SWITCHING_PROTOCOLS:
        lines += ["Connection: Upgrade", "Upgrade: tcp"]
    elif answer.later is not None:
        lines.append("Connection: close")
    elif answer.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        lines.append(f"Content-Length: {len(answer.body)}")
    return "\r\n".join([*lines, "", ""]).encode()

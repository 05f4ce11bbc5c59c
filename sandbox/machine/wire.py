"""HTTP/1.1 on asyncio streams: just enough to pass messages on, at a fraction of a full client's cost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

MAX_BODY_BYTES = 16 * 1024 * 1024
HEAD_END = b"\r\n\r\n"


class WireError(Exception):
    """What came is not an HTTP/1.1 message, or it ended in the middle."""


class PeerGoneError(WireError):
    """The connection cannot be made, or ended before a whole answer came."""


class RefusedError(PeerGoneError):
    """The connection could not be made: nobody listens there."""


@dataclass(frozen=True)
class Message:
    """A request or a response; ``body`` is kept as it was framed on the wire, chunks included."""

    first_line: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    ended_by_close: bool = False

    @property
    def status(self) -> int:
        """The status code of a response."""
        try:
            return int(self.first_line.split(b" ", 2)[1])
        except (IndexError, ValueError):
            raise WireError(f"no status code in {self.first_line!r}") from None

    @property
    def method(self) -> bytes:
        """The method of a request."""
        return self.first_line.split(b" ", 1)[0]

    @property
    def closes(self) -> bool:
        """Whether the connection ends after this message."""
        connection = _header(self.headers, b"connection").lower()
        if b"HTTP/1.0" in self.first_line:
            return b"keep-alive" not in connection
        return self.ended_by_close or b"close" in connection

    def has(self, name: bytes) -> bool:
        """Whether a header is there; ``name`` in small letters."""
        return any(header.lower() == name for header, _ in self.headers)

    def encode(self, *, close: bool = False) -> bytes:
        """Return the bytes to send on, with our own word on whether the connection stays open."""
        lines = [self.first_line]
        lines += [name + b": " + value for name, value in self.headers if name.lower() != b"connection"]
        if close:
            lines.append(b"Connection: close")
        return b"\r\n".join(lines) + HEAD_END + self.body


def request(method: str, path: str, host: str, body: bytes = b"") -> Message:
    """Build a request with a JSON body, or none."""
    headers = [(b"Host", host.encode())]
    if body or method == "POST":
        headers += [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body))]
    return Message(f"{method} {path} HTTP/1.1".encode(), tuple(headers), body)


def response(status: int, reason: str, text: str) -> Message:
    """Build a plain-text response."""
    body = text.encode()
    headers = ((b"Content-Type", b"text/plain"), (b"Content-Length", b"%d" % len(body)))
    return Message(f"HTTP/1.1 {status} {reason}".encode(), headers, body)


async def read_request(reader: asyncio.StreamReader) -> Message | None:
    """Read the next request of a connection; None when the client closed it between two requests."""
    try:
        first_line, headers = await _read_head(reader)
    except PeerGoneError:
        return None
    return Message(first_line, headers, await _read_framed_body(reader, headers) or b"")


async def read_response(reader: asyncio.StreamReader, method: bytes) -> Message:
    """Read the response to a request that was sent with this method."""
    first_line, headers = await _read_head(reader)
    message = Message(first_line, headers, b"")
    if method == b"HEAD" or message.status in {204, 304}:
        return message
    body = await _read_framed_body(reader, headers)
    if body is not None:
        return Message(first_line, headers, body)
    return Message(first_line, headers, await reader.read(MAX_BODY_BYTES), ended_by_close=True)


async def _read_head(reader: asyncio.StreamReader) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    try:
        head = await reader.readuntil(HEAD_END)
    except (asyncio.IncompleteReadError, ConnectionError) as gone:
        raise PeerGoneError("the connection ended before a message came") from gone
    except asyncio.LimitOverrunError as too_long:
        raise WireError("the head of the message is too long") from too_long
    first_line, *lines = head[: -len(HEAD_END)].split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return first_line, tuple((name.strip(), value.strip()) for name, _, value in pairs)


async def _read_framed_body(
    reader: asyncio.StreamReader, headers: tuple[tuple[bytes, bytes], ...]
) -> bytes | None:
    """Read the body that the headers announce; None when they announce none."""
    try:
        if b"chunked" in _header(headers, b"transfer-encoding").lower():
            return await _read_chunks(reader)
        announced = _header(headers, b"content-length")
        if not announced:
            return None
        length = int(announced)
        if length > MAX_BODY_BYTES:
            raise WireError(f"a body of {length} bytes is too large")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError) as gone:
        raise PeerGoneError("the connection ended in the middle of a body") from gone
    except (ValueError, asyncio.LimitOverrunError) as wrong:
        raise WireError("the body is not framed as HTTP/1.1 says") from wrong


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    size = 1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        parts += [line, await reader.readexactly(size + 2)]
    return b"".join(parts)


def _header(headers: tuple[tuple[bytes, bytes], ...], name: bytes) -> bytes:
    return next((value for key, value in headers if key.lower() == name), b"")


class Connections:
    """Kept-alive connections to one ``host:port``, as many as there are exchanges at the same time."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def exchange(self, message: Message, timeout_seconds: float) -> Message:
        """Send a request and return its response.

        Raises:
            RefusedError: nobody listens there.
            PeerGoneError: the connection ended before the answer.
            WireError: the answer is not HTTP.
            TimeoutError: no whole answer came in time.
        """
        async with asyncio.timeout(timeout_seconds):
            while self._idle:
                try:
                    return await self._exchange_on(self._idle.pop(), message)
                except PeerGoneError:
                    continue  # it was closed while it lay idle; a fresh one says whether the peer lives
            host, _, port = self.address.partition(":")
            try:
                opened = await asyncio.open_connection(host, int(port))
            except OSError as refused:
                raise RefusedError(f"{self.address} does not accept connections") from refused
            return await self._exchange_on(opened, message)

    async def _exchange_on(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], message: Message
    ) -> Message:
        reader, writer = connection
        reusable = False
        try:
            writer.write(message.encode())
            answer = await read_response(reader, message.method)
            reusable = not answer.closes
        finally:
            if reusable:
                self._idle.append(connection)
            else:
                writer.close()
        return answer

    def close(self) -> None:
        """Close the idle connections; those in use close when their exchange ends."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

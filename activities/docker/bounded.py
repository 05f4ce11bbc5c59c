"""What the Docker engine answers costs little: bodies are read up to a bound, never unpacked, and for so long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from docker import APIClient, DockerClient
from docker.errors import DockerException
from requests.adapters import BaseAdapter
from requests.exceptions import ReadTimeout

from activities.runtime.attribution import user_agent

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

BOUND = 8 * 1024 * 1024
"""Bytes of a body that are read."""
PIECE = 64 * 1024


class TooMuchError(DockerException):
    """A body is larger than its bound, or compressed and so of unknown size."""


class BoundedDocker(DockerClient):
    """A client of the Docker engine whose answers are bounded in bytes and in time, whoever sends them."""

    def __init__(self, *args: Any, **more: Any) -> None:
        """Connect as ``docker.DockerClient`` does."""
        self.api = _BoundedApi(*args, **more)


class _BoundedApi(APIClient):
    def get_adapter(self, url: str) -> BaseAdapter:
        return _Bounded(super().get_adapter(url), self.timeout)


class _Bounded(BaseAdapter):
    """A connection of requests' whose answers are bounded."""

    def __init__(self, inner: BaseAdapter, seconds: float) -> None:
        super().__init__()
        self._inner = inner
        self._seconds = seconds

    def send(self, request: PreparedRequest, *args: Any, **more: Any) -> Response:
        request.headers["Accept-Encoding"] = "identity"
        request.headers["User-Agent"] = user_agent()
        response = self._inner.send(request, *args, **more)
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            response.close()
            raise TooMuchError("its answer is compressed, though that was not asked for")
        response.raw = _Body(response.raw, self._seconds)
        return response

    def close(self) -> None:
        self._inner.close()


class _Body:
    """A body as urllib3 hands it to requests; all that is not about reading is the original's."""

    def __init__(self, raw: Any, seconds: float) -> None:
        self._raw = raw
        self._left = BOUND
        self._late = False
        self._clock = threading.Timer(seconds, self._stop)
        self._clock.daemon = True
        self._clock.start()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def _stop(self) -> None:
        self._late = True
        with suppress(RuntimeError, ValueError, OSError):  # it has ended meanwhile
            self._raw.shutdown()

    def stream(self, amt: int = PIECE, decode_content: object = None) -> Iterator[bytes]:
        """Yield the body in pieces, as they arrive."""
        del amt, decode_content
        while piece := self._next(PIECE):
            yield piece

    def read(self, amt: int | None = None, decode_content: object = None) -> bytes:
        """Return so many bytes, or all; fewer at the end."""
        del decode_content
        found = bytearray()
        while (amt is None or len(found) < amt) and (
            piece := self._next(PIECE if amt is None else min(PIECE, amt - len(found)))
        ):
            found += piece
        return bytes(found)

    def _next(self, most: int) -> bytes:
        """Return what has arrived; nothing at the end.

        Raises:
            TooMuchError: the bound is reached.
            ReadTimeout: the time is up.
        """
        try:
            piece: bytes = self._raw.read1(most, decode_content=False)
        except Exception:
            if self._late:
                raise ReadTimeout("its answer took too long") from None
            raise
        if self._late:
            raise ReadTimeout("its answer took too long")
        self._left -= len(piece)
        if not piece or self._left < 0:
            self._clock.cancel()
        if self._left < 0:
            raise TooMuchError(f"its answer is longer than {BOUND // 1024:,} KiB")
        return piece

    def close(self) -> None:
        """Close the connection, where the body was not read to its end."""
        self._clock.cancel()
        self._raw.close()

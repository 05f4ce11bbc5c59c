"""The Docker engine: its client, whose answers are read up to a bound and for so long, and its errors as ours."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from docker import APIClient, DockerClient
from docker.errors import APIError, DockerException, NotFound
from requests.adapters import BaseAdapter
from requests.exceptions import ConnectionError as NotConnectedError
from requests.exceptions import ConnectTimeout, ReadTimeout, RequestException

from activities.runtime.fence import user_agent
from runbook_model.containers import ENGINE_TIMEOUT
from runbook_model.errors import (
    AccessDeniedError,
    EngineFailedError,
    NotFoundError,
    NotServingError,
    OutsideError,
    RejectedError,
    UnreachableError,
)
from runbook_model.text.sentences import quote

if TYPE_CHECKING:
    import docker
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


NOT_THERE = (FileNotFoundError, ConnectionRefusedError)
"""Nothing listens at the engine's address, so nothing was asked."""

FIX = "start Docker (or Podman's socket) there, or set DOCKER_HOST in the worker's environment"

ENGINE_SOCKET = "unix:///var/run/docker.sock"


class Engine:
    """The Docker engine of ``DOCKER_HOST``, else of the default socket; its client is built on first use."""

    def __init__(self) -> None:
        self._client = cache(_client)

    @contextmanager
    def client(self, doing: str) -> Iterator[docker.DockerClient]:
        """Hand out the engine's client.

        Args:
            doing: what is tried, for the errors.

        Raises:
            OutsideError: what the Docker client raises, inside too.
        """
        with engine_errors(doing, engine_address()):
            yield self._client()


def engine_address() -> str:
    """Return where the Docker engine is looked for."""
    return os.environ.get("DOCKER_HOST") or ENGINE_SOCKET


def _client() -> docker.DockerClient:
    return BoundedDocker.from_env(timeout=round(ENGINE_TIMEOUT.total_seconds()), max_pool_size=20)


@contextmanager
def engine_errors(doing: str, address: str) -> Iterator[None]:
    """Raise the product's own error for what the Docker client raises inside.

    Args:
        doing: what was tried, as it continues after "could not": ``restart the container shop-app-1``.
        address: where the engine was looked for.
    """
    try:
        yield
    except (DockerException, RequestException) as error:
        raise translate(error, doing, address) from error


def translate(error: Exception, doing: str, address: str) -> OutsideError:
    """Name an error of the Docker client in the product's own tree."""
    if isinstance(error, APIError) and error.response is not None:
        return _answered(error, doing)
    beneath = list(_beneath(error))
    if too_much := next((item for item in beneath if isinstance(item, TooMuchError)), None):
        return RejectedError(
            f"could not {doing}: the Docker engine at {address}: {too_much}", fix="look at what answers there"
        )
    if any(isinstance(item, NOT_THERE) for item in beneath):
        return NotServingError(f"no Docker engine answers at {address}", fix=FIX)
    if any(isinstance(item, PermissionError) for item in beneath):
        return AccessDeniedError(
            f"the worker may not use the Docker engine at {address}",
            fix="add its user to the group that owns the socket",
        )
    if any(isinstance(item, NotConnectedError | ReadTimeout) for item in beneath):
        silent = any(isinstance(item, ReadTimeout | TimeoutError) for item in beneath)
        kind = "no answer in time" if silent else quote(str(error))
        return UnreachableError(
            f"could not {doing}: the Docker engine at {address}: {kind}",
            may_have_landed=not any(isinstance(item, ConnectTimeout) for item in beneath),
        )
    return RejectedError(f"could not {doing}: the Docker engine at {address}: {quote(str(error))}")


def _answered(error: APIError, doing: str) -> OutsideError:
    said = f"could not {doing}: {quote(error.explanation or str(error))}"
    if isinstance(error, NotFound):
        return NotFoundError(said)
    if error.status_code in {401, 403}:
        return AccessDeniedError(said, fix="allow the worker to use the Docker engine")
    return EngineFailedError(said) if error.is_server_error() else RejectedError(said)


def _beneath(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it wraps; urllib3 hides the socket's own error in arguments."""
    seen: set[int] = set()
    left: list[object] = [error]
    while left:
        found_error = left.pop()
        if isinstance(found_error, BaseException) and id(found_error) not in seen:
            seen.add(id(found_error))
            left += [
                found_error.__cause__,
                found_error.__context__,
                *found_error.args,
                getattr(found_error, "reason", None),
            ]
            yield found_error

"""The HTTP client, and its errors as ours.

Whatever a service answers, it costs little: a body is read up to a bound and never unpacked, and head and body have to
arrive within the time that the request has for reading, however slowly they drip.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx

from activities.runtime.fence import CONNECT_TIMEOUT, READ_TIMEOUT
from runbook_model.errors import (
    AccessDeniedError,
    OutsideError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from runbook_model.text.redaction import excerpt
from runbook_model.text.sentences import quote

if TYPE_CHECKING:
    from ssl import SSLContext

LOCATION = 200
"""Characters of the address that a redirect leads to."""
SET_THE_ADDRESS = "set the address or the path in the catalog to where it leads"
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""After these, no request reached the other side."""


@contextmanager
def http_errors(doing: str) -> Iterator[None]:
    """Raise the product's own error for what httpx raises inside, ``raise_for_status`` included.

    Args:
        doing: what was tried, as it continues after "could not": ``ask Prometheus``.
    """
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise translate(error, doing) from error


class TooMuchError(httpx.ReadError):
    """A body is larger than its bound, or compressed and so of unknown size."""


def translate(error: httpx.HTTPError | httpx.InvalidURL, doing: str) -> OutsideError:
    """Name an error of httpx in the product's own tree."""
    if isinstance(error, httpx.HTTPStatusError):
        if redirect := redirect_of(error.response):
            return RejectedError(f"could not {doing}: it {redirect}", fix=SET_THE_ADDRESS)
        return answered(error.response.status_code, f"could not {doing}: HTTP {error.response.status_code}")
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return RejectedError(
            f"could not {doing}: {quote(str(error))}", fix="correct the address in the catalog"
        )
    if isinstance(error, TooMuchError):
        return RejectedError(f"could not {doing}: {error}", fix="look at what answers there")
    kind = "no answer in time" if isinstance(error, httpx.TimeoutException) else quote(str(error))
    return UnreachableError(
        f"could not {doing}: {kind or type(error).__name__}",
        may_have_landed=not isinstance(error, NEVER_SENT),
    )


def answered(status: int, said: str) -> OutsideError:
    """Name an answer that is not a good one by its status."""
    if status in {401, 403}:
        return AccessDeniedError(said, fix="allow the worker to read it")
    if status == 429:
        return ThrottledError(said)
    return UnreachableError(said) if status >= 500 else RejectedError(said)


def redirect_of(response: httpx.Response) -> str | None:
    """Say where an answer redirects to; None of any other answer."""
    if not response.has_redirect_location:
        return None
    return f"answers {response.status_code}, a redirect to {excerpt(response.headers['location'], LOCATION)}"


def was_refused(error: BaseException | None) -> bool:
    """Whether the host answered that nothing listens there, as opposed to no answer at all."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


BOUND = 8 * 1024 * 1024
"""Bytes of a body that are read; a request may have another bound, as its extension ``bound``."""


class BoundedClient(httpx.AsyncClient):
    """A client whose answers are bounded in bytes and in time, whoever sends them."""

    async def send(self, request: httpx.Request, *, stream: bool = False, **more: Any) -> httpx.Response:
        """Send a request; its body is read within its bound, here or by the caller.

        Raises:
            TooMuchError: the body is larger than the bound, or compressed.
            httpx.ReadTimeout: head and body did not arrive within the time for reading.
        """
        patience = asyncio.timeout(None)
        request.extensions["trace"] = _start_when_sent(patience, request)
        try:
            async with patience:
                response = await super().send(request, stream=True, **more)
        except TimeoutError:
            raise httpx.ReadTimeout("", request=request) from None
        response.stream = _BoundedBody(response, patience.when())
        if not stream:
            await _read_or_close(response)
        return response


async def wait_for_end(response: httpx.Response) -> None:
    """Wait for all of an answer and keep nothing of it; one that is too large has its status all the same."""
    with suppress(TooMuchError):
        async for _ in response.aiter_bytes():
            pass


def _start_when_sent(patience: asyncio.Timeout, request: httpx.Request) -> Any:
    """Return a listener of httpcore's that starts the time for the answer once there is a connection."""

    async def trace(event: str, _: object) -> None:
        seconds = request.extensions["timeout"]["read"]
        if event.endswith("send_request_headers.started") and patience.when() is None and seconds:
            patience.reschedule(asyncio.get_running_loop().time() + seconds)

    return trace


async def _read_or_close(response: httpx.Response) -> None:
    try:
        await response.aread()
    except BaseException:
        await response.aclose()
        raise


class _BoundedBody(httpx.AsyncByteStream):
    """A body that ends in an error where it is more than its bound, in bytes or in time."""

    def __init__(self, response: httpx.Response, until: float | None) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._body = response.stream
        self._encoding = response.headers.get("content-encoding", "identity")
        self._request = response.request
        self._until = until

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._encoding.strip().lower() != "identity":
            raise TooMuchError("its answer is compressed, though that was not asked for")
        bound = self._request.extensions.get("bound", BOUND)
        left = bound
        pieces = aiter(self._body)
        while (piece := await self._next(pieces)) is not None:
            left -= len(piece)
            if left < 0:
                raise TooMuchError(f"its answer is longer than {bound // 1024:,} KiB")
            yield piece

    async def _next(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        try:
            async with asyncio.timeout_at(self._until):
                return await anext(pieces, None)
        except TimeoutError:
            raise httpx.ReadTimeout("", request=self._request) from None

    async def aclose(self) -> None:
        """Close the connection, where the body was not read to its end."""
        await self._body.aclose()


def http_client(trusted: SSLContext | None = None) -> BoundedClient:
    """Build the client for health probes, Prometheus, ``/metrics`` and webhooks; close it with the worker.

    Args:
        trusted: whose certificates are trusted; the usual authorities' unless given.
    """
    # At INFO httpx logs every address, and that of a webhook is a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return BoundedClient(
        timeout=httpx.Timeout(READ_TIMEOUT.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds()),
        headers={"user-agent": "incident-runbooks", "accept-encoding": "identity"},
        limits=httpx.Limits(max_connections=200),
        verify=trusted or True,
    )

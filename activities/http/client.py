"""The HTTP client, and its errors as ours."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from activities.runtime.fence import CONNECT_TIMEOUT, READ_TIMEOUT
from runbook_model.errors import (
    AccessDeniedError,
    OutsideError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from runbook_model.redaction import excerpt
from runbook_model.sentences import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    kind = "no answer in time" if isinstance(error, httpx.TimeoutException) else quote(str(error))
    unreachable = UnreachableError(f"could not {doing}: {kind or type(error).__name__}")
    unreachable.may_have_landed = not isinstance(error, NEVER_SENT)
    return unreachable


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


def http_client() -> httpx.AsyncClient:
    """Build the client for health probes, Prometheus, ``/metrics`` and webhooks; close it with the worker."""
    # At INFO httpx logs every address, and that of a webhook is a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.AsyncClient(
        timeout=httpx.Timeout(READ_TIMEOUT.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds()),
        headers={"user-agent": "incident-runbooks"},
        limits=httpx.Limits(max_connections=200),
    )

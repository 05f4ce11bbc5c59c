"""The Docker engine: its client, and its errors as ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import ConnectionError as NotConnectedError
from requests.exceptions import ConnectTimeout, ReadTimeout, RequestException

from activities.docker.bounded import BoundedDocker, TooMuchError
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
        unreachable = UnreachableError(f"could not {doing}: the Docker engine at {address}: {kind}")
        unreachable.may_have_landed = not any(isinstance(item, ConnectTimeout) for item in beneath)
        return unreachable
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

"""Prometheus: one number, or why there is none."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ValidationError

from activities.errors import RejectedError, UnreachableError
from activities.http_errors import answered, http_errors
from activities.models import Fact

if TYPE_CHECKING:
    import httpx

TIMEOUT = timedelta(seconds=4)
"""For one query; those of one reading run at the same time."""


class NoData(Fact):
    """Prometheus answered, and the answer says nothing of the service."""

    why: str


class _Series(BaseModel):
    metric: dict[str, str]
    value: tuple[float, str]


class _Result(BaseModel):
    resultType: Literal["vector"]  # noqa: N815 - Prometheus's name
    result: list[_Series]


class _Answer(BaseModel):
    status: Literal["success"]
    data: _Result
    warnings: list[str] = []


class _Failure(BaseModel):
    status: Literal["error"]
    errorType: str = "unknown"  # noqa: N815 - Prometheus's name
    error: str = ""


class Prometheus:
    """Reads one Prometheus by instant queries."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        """Read the Prometheus at ``url``, without trailing slash."""
        self._http = http
        self._url = url

    async def value(self, query: str) -> float | NoData:
        """Return the one finite number that the query gives.

        Raises:
            UnreachableError: no answer in time, a server error, or a query that took Prometheus too long.
            AccessDeniedError: it wants credentials that the worker does not have.
            ThrottledError: it is asked too much.
            RejectedError: it refused the query, or what answers is not a Prometheus.
        """
        series = await self._ask(query)
        if isinstance(series, NoData):
            return series
        if not series:
            return NoData(why="Prometheus has no such series in the window")
        if len(series) > 1:
            return NoData(why=f"Prometheus gave {len(series)} series where one was expected")
        number = float(series[0].value[1])
        if math.isfinite(number):
            return number
        return NoData(why=f"Prometheus gave {series[0].value[1]}: there was nothing to divide by")

    async def values(self, query: str, label: str) -> dict[str, float] | NoData:
        """Return the finite numbers that the query gives, by the value of a label.

        Raises:
            OutsideError: as ``value`` does.
        """
        series = await self._ask(query)
        if isinstance(series, NoData):
            return series
        found = {one.metric.get(label, ""): float(one.value[1]) for one in series}
        return {name: number for name, number in found.items() if math.isfinite(number)}

    async def _ask(self, query: str) -> list[_Series] | NoData:
        seconds = TIMEOUT.total_seconds()
        with http_errors("ask Prometheus"):
            response = await self._http.get(
                f"{self._url}/api/v1/query",
                params={"query": query, "timeout": f"{seconds:g}s"},
                timeout=seconds,
            )
        if not response.is_success:
            raise answered(response.status_code, f"could not ask Prometheus: {_complaint(response)}")
        answer = _read(response)
        if answer.warnings:
            return NoData(
                why=f"Prometheus warns that the answer may be incomplete: {answer.warnings[0][:200]}"
            )
        return answer.data.result


def _read(response: httpx.Response) -> _Answer:
    try:
        return _Answer.model_validate_json(response.content)
    except ValidationError:
        complaint = _complaint(response)
    if response.headers.get("content-type", "").startswith("application/json"):
        raise UnreachableError(f"could not read Prometheus's answer: {complaint}")
    raise RejectedError(f"what answers is not a Prometheus: {complaint}; mend prometheus_url in the catalog")


def _complaint(response: httpx.Response) -> str:
    """Say what Prometheus says is wrong, or begin of what came instead."""
    try:
        failure = _Failure.model_validate_json(response.content)
    except ValidationError:
        return f"HTTP {response.status_code}: {response.text[:80]!r}"
    return f"{failure.errorType}: {failure.error[:200]}"

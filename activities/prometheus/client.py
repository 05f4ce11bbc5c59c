"""Prometheus: one number, or why there is none."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ValidationError

from activities.http.client import answered, http_errors
from runbook_model.errors import RejectedError, UnreachableError
from runbook_model.fact import Fact
from runbook_model.sentences import quote

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

    from runbook_model.evidence import Points

TIMEOUT = timedelta(seconds=4)
"""For one query; those of one reading run at the same time."""


class NoData(Fact):
    """Prometheus answered, and the answer says nothing of the service."""

    why: str


class _Series(BaseModel):
    metric: dict[str, str]
    value: tuple[float, str]


class _Rows(BaseModel):
    metric: dict[str, str]
    values: list[tuple[float, str]]


class _Vector(BaseModel):
    resultType: Literal["vector"]  # noqa: N815 - Prometheus's name
    result: list[_Series]


class _Matrix(BaseModel):
    resultType: Literal["matrix"]  # noqa: N815 - Prometheus's name
    result: list[_Rows]


class _Answer(BaseModel):
    status: Literal["success"]
    data: _Vector | _Matrix
    warnings: list[str] = []


class _Failure(BaseModel):
    status: Literal["error"]
    errorType: str = "unknown"  # noqa: N815 - Prometheus's name
    error: str = ""


class Prometheus:
    """Reads one Prometheus by queries."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        """Read the Prometheus at ``url``, without trailing slash."""
        self._http = http
        self._url = url

    async def value(self, query: str, at: datetime | None = None) -> float | NoData:
        """Return the one finite number that the query gives, now or at another moment.

        Raises:
            UnreachableError: no answer in time, a server error, or a query that took Prometheus too long.
            AccessDeniedError: it wants credentials that the worker does not have.
            ThrottledError: it is asked too much.
            RejectedError: it refused the query, or what answers is not a Prometheus.
        """
        series = await self._instant(query, at)
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
        rows = await self.rows(query)
        if isinstance(rows, NoData):
            return rows
        return {labels.get(label, ""): number for labels, number in rows}

    async def rows(self, query: str) -> list[tuple[dict[str, str], float]] | NoData:
        """Return the finite numbers that the query gives, each with its labels.

        Raises:
            OutsideError: as ``value`` does.
        """
        series = await self._instant(query, None)
        if isinstance(series, NoData):
            return series
        found = [(one.metric, float(one.value[1])) for one in series]
        return [(labels, number) for labels, number in found if math.isfinite(number)]

    async def history(
        self, query: str, since: datetime, until: datetime, step: timedelta
    ) -> list[tuple[dict[str, str], Points]] | NoData:
        """Return what the query gave over a time, each series with its labels.

        Raises:
            OutsideError: as ``value`` does.
        """
        asked = {"query": query, "start": _moment(since), "end": _moment(until)}
        data = await self._ask("query_range", asked | {"step": f"{step.total_seconds():g}"})
        if isinstance(data, NoData):
            return data
        rows = data.result if isinstance(data, _Matrix) else []
        return [(one.metric, _finite(one.values)) for one in rows]

    async def _instant(self, query: str, at: datetime | None) -> list[_Series] | NoData:
        asked = {"query": query} | ({"time": _moment(at)} if at else {})
        data = await self._ask("query", asked)
        if isinstance(data, NoData):
            return data
        return data.result if isinstance(data, _Vector) else []

    async def _ask(self, endpoint: str, asked: dict[str, str]) -> _Vector | _Matrix | NoData:
        seconds = TIMEOUT.total_seconds()
        with http_errors("ask Prometheus"):
            response = await self._http.get(
                f"{self._url}/api/v1/{endpoint}",
                params=asked | {"timeout": f"{seconds:g}s"},
                timeout=seconds,
            )
        if not response.is_success:
            raise answered(response.status_code, f"could not ask Prometheus: {_complaint(response)}")
        answer = _read(response)
        if answer.warnings:
            return NoData(
                why=f"Prometheus warns that the answer may be incomplete: {quote(answer.warnings[0], 200)}"
            )
        return answer.data


def _moment(at: datetime) -> str:
    return f"{at.timestamp():.3f}"


def _finite(values: list[tuple[float, str]]) -> Points:
    return tuple((moment, number) for moment, text in values if math.isfinite(number := float(text)))


def _read(response: httpx.Response) -> _Answer:
    try:
        return _Answer.model_validate_json(response.content)
    except ValidationError:
        complaint = _complaint(response)
    if response.headers.get("content-type", "").startswith("application/json"):
        raise UnreachableError(f"could not read Prometheus's answer: {complaint}")
    raise RejectedError(
        f"what answers is not a Prometheus: {complaint}", fix="correct prometheus_url in the catalog"
    )


def _complaint(response: httpx.Response) -> str:
    """Say what Prometheus says is wrong, or begin of what came instead."""
    try:
        failure = _Failure.model_validate_json(response.content)
    except ValidationError:
        return f"HTTP {response.status_code}: {quote(response.text, 80)}"
    return f"{failure.errorType}: {quote(failure.error, 200)}"

"""Prometheus: one number, or why there is none."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from activities.http.client import answered, http_errors, redirect_of
from runbook_model.errors import RejectedError, UnreachableError
from runbook_model.fact import Fact
from runbook_model.text.sentences import quote

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

    from runbook_model.measured.evidence import Points

A = TypeVar("A", bound=BaseModel)
TIMEOUT = timedelta(seconds=4)
"""For one query; those of one reading run at the same time."""

ANSWER = 2 * 1024 * 1024
"""Bytes of an answer that are read: JSON takes sixty times as much memory once it is parsed."""

INFO = "PromQL info: "
"""Stores that pass Prometheus's answers on put its infos among the warnings; they say nothing of the answer's truth."""


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
    warnings: list[str] | None = None
    isPartial: bool = False  # noqa: N815 - VictoriaMetrics's name

    @property
    def doubt(self) -> str:
        """Why the answer may not be the whole truth; empty of one that is."""
        real = [warning for warning in self.warnings or [] if not warning.startswith(INFO)]
        return quote(real[0], 200) if real else "it is partial" if self.isPartial else ""


class _Listed(BaseModel):
    status: Literal["success"]
    data: list[Any] | None


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

    async def values(self, query: str, label: str, at: datetime | None = None) -> dict[str, float] | NoData:
        """Return the finite numbers that the query gives, by the value of a label.

        Raises:
            OutsideError: as ``value`` does.
        """
        rows = await self.rows(query, at)
        if isinstance(rows, NoData):
            return rows
        return {labels.get(label, ""): number for labels, number in rows}

    async def rows(
        self, query: str, at: datetime | None = None
    ) -> list[tuple[dict[str, str], float]] | NoData:
        """Return the finite numbers that the query gives, each with its labels.

        Raises:
            OutsideError: as ``value`` does.
        """
        series = await self._instant(query, at)
        if isinstance(series, NoData):
            return series
        found = [(item.metric, float(item.value[1])) for item in series]
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
        return [(row.metric, _finite(row.values)) for row in rows]

    async def has_series(self, selector: str, since: datetime, until: datetime) -> bool:
        """Whether a series that the selector matches existed in a time; asks the index only.

        Raises:
            OutsideError: as ``value`` does.
        """
        window = {"start": _moment(since), "end": _moment(until)}
        return bool(await self._listed("series", {"match[]": selector, "limit": "1"} | window))

    async def names(self, label: str, selector: str, since: datetime) -> set[str]:
        """Return a label's values among the series that the selector matches; ``__name__`` for metrics.

        Raises:
            OutsideError: as ``value`` does.
        """
        asked = {"match[]": selector, "start": _moment(since)}
        return {*map(str, await self._listed(f"label/{label}/values", asked))}

    async def labels(self, selector: str, since: datetime) -> set[str]:
        """Return the names of the labels among the series that the selector matches.

        Raises:
            OutsideError: as ``value`` does.
        """
        return {*map(str, await self._listed("labels", {"match[]": selector, "start": _moment(since)}))}

    async def declared(self, metric: str, targets: str) -> list[dict[str, str]]:
        """Return the labels of those targets whose last scrape had the metric's TYPE line, series or not.

        Stores that scrape nothing themselves do not answer this: then it is declared nowhere.

        Raises:
            OutsideError: as ``value`` does.
        """
        asked = {"metric": metric, "match_target": targets}
        try:
            found = await self._listed("targets/metadata", asked)
        except RejectedError:
            return []
        return [
            item["target"]
            for item in found
            if isinstance(item, dict) and isinstance(item.get("target"), dict)
        ]

    async def _instant(self, query: str, at: datetime | None) -> list[_Series] | NoData:
        asked = {"query": query} | ({"time": _moment(at)} if at else {})
        data = await self._ask("query", asked)
        if isinstance(data, NoData):
            return data
        return data.result if isinstance(data, _Vector) else []

    async def _ask(self, endpoint: str, asked: dict[str, str]) -> _Vector | _Matrix | NoData:
        seconds = TIMEOUT.total_seconds()
        answer = _read(await self._get(endpoint, asked | {"timeout": f"{seconds:g}s"}), _Answer)
        if answer.doubt:
            return NoData(why=f"Prometheus warns that the answer may be incomplete: {answer.doubt}")
        return answer.data

    async def _listed(self, endpoint: str, asked: dict[str, str]) -> list[Any]:
        return _read(await self._get(endpoint, asked), _Listed).data or []

    async def _get(self, endpoint: str, asked: dict[str, str]) -> httpx.Response:
        with http_errors("ask Prometheus"):
            response = await self._http.get(
                f"{self._url}/api/v1/{endpoint}",
                params=asked,
                timeout=TIMEOUT.total_seconds(),
                extensions={"bound": ANSWER},
            )
        if not response.is_success:
            raise answered(response.status_code, f"could not ask Prometheus: {_complaint(response)}")
        return response


def _moment(at: datetime) -> str:
    return f"{at.timestamp():.3f}"


def _finite(values: list[tuple[float, str]]) -> Points:
    return tuple((moment, number) for moment, text in values if math.isfinite(number := float(text)))


def _read(response: httpx.Response, shape: type[A]) -> A:
    try:
        return shape.model_validate_json(response.content)
    except ValidationError:
        complaint = _complaint(response)
    if response.headers.get("content-type", "").startswith("application/json"):
        raise UnreachableError(f"could not read Prometheus's answer: {complaint}")
    raise RejectedError(
        f"what answers is not a Prometheus: {complaint}", fix="correct prometheus_url in the catalog"
    )


def _complaint(response: httpx.Response) -> str:
    """Say what Prometheus says is wrong, or start of what came instead."""
    if redirect := redirect_of(response):
        return f"it {redirect}"
    try:
        failure = _Failure.model_validate_json(response.content)
    except ValidationError:
        return f"HTTP {response.status_code}: {quote(response.text, 80)}"
    return f"{failure.errorType}: {quote(failure.error, 200)}"

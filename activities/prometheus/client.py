"""Prometheus: one number, or why there is none."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as percent
from urllib.parse import urlencode

from activities.http.client import answered, http_client, http_errors
from activities.prometheus.access import Entry
from activities.prometheus.answers import (
    Answer,
    Listed,
    Matrix,
    NoData,
    Series,
    Vector,
    complaint_of,
    finite,
    read_answer,
)
from runbook_model.catalog.accounts import Account
from runbook_model.catalog.prometheus import PrometheusAccess
from runbook_model.catalog.target import Target
from runbook_model.errors import AccessDeniedError, OutsideError, RejectedError, ThrottledError
from runbook_model.measured.evidence import Points

if TYPE_CHECKING:
    import httpx

    from activities.aws.clients import AwsClients

TIMEOUT = timedelta(seconds=4)
"""For one query; those of one reading run at the same time."""

ANSWER = 2 * 1024 * 1024
"""Bytes of an answer that are read: JSON takes sixty times as much memory once it is parsed."""

LONGEST_ADDRESS = 2_000
"""Characters of a query, encoded, that are asked by GET: every store has that, and proxies limit its length."""

BY_POST = frozenset({"query", "query_range", "series", "labels"})

FORM = "application/x-www-form-urlencoded"

LONGEST_PAUSE = 3
"""Seconds that a store's Retry-After is waited for; a reading has no more time."""

NARROWER = "make verify.rate_window shorter or metrics.selector narrower, or raise the store's limits"


class Prometheus:
    """Reads one Prometheus by queries."""

    def __init__(self, http: Callable[[], httpx.AsyncClient], url: str, entry: Entry) -> None:
        """Read a Prometheus.

        Args:
            http: the client to ask by.
            url: where it is, without trailing slash.
            entry: what lets the worker in.
        """
        self._http = http
        self._url = url
        self._entry = entry

    async def value(self, query: str, at: datetime | None = None) -> float | NoData:
        """Return the one finite number that the query gives, now or at another moment.

        Raises:
            UnreachableError: no answer in time, a server error, or a query that took Prometheus too long.
            AccessDeniedError: it wants credentials that the worker does not have.
            ThrottledError: it is asked too much, also a moment later where it said so.
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
        rows = data.result if isinstance(data, Matrix) else []
        return [(row.metric, finite(row.values)) for row in rows]

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
        return {*map(str, await self._listed(f"label/{percent(label, safe='')}/values", asked))}

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

    async def _instant(self, query: str, at: datetime | None) -> list[Series] | NoData:
        asked = {"query": query} | ({"time": _moment(at)} if at else {})
        data = await self._ask("query", asked)
        if isinstance(data, NoData):
            return data
        return data.result if isinstance(data, Vector) else []

    async def _ask(self, endpoint: str, asked: dict[str, str]) -> Vector | Matrix | NoData:
        seconds = TIMEOUT.total_seconds()
        answer = read_answer(await self._get(endpoint, asked | {"timeout": f"{seconds:g}s"}), Answer)
        if answer.doubt:
            return NoData(why=f"Prometheus warns that the answer may be incomplete: {answer.doubt}")
        return answer.data

    async def _listed(self, endpoint: str, asked: dict[str, str]) -> list[Any]:
        return read_answer(await self._get(endpoint, asked), Listed).data or []

    async def _get(self, endpoint: str, asked: dict[str, str]) -> httpx.Response:
        response = await self._send(endpoint, asked)
        if response.status_code == 429 and (pause := _pause(response)) is not None:
            await asyncio.sleep(pause)
            response = await self._send(endpoint, asked)
        if not response.is_success:
            raise self._refusal(response)
        return response

    async def _send(self, endpoint: str, asked: dict[str, str]) -> httpx.Response:
        """Ask by GET, or by POST where the query is too long for an address."""
        url, form = f"{self._url}/api/v1/{endpoint}", urlencode(asked, quote_via=percent, safe="-_.~")
        posts = len(form) > LONGEST_ADDRESS and endpoint in BY_POST
        method, body = ("POST", form.encode()) if posts else ("GET", b"")
        url = url if posts else f"{url}?{form}"
        sent = {"Content-Type": FORM} if posts else {}
        http, headers = self._http(), await self._entry.headers(method, url, body, sent)
        with http_errors("ask Prometheus"):
            return await http.request(
                method,
                url,
                content=body,
                headers=sent | headers,
                timeout=TIMEOUT.total_seconds(),
                extensions={"bound": ANSWER},
            )

    def _refusal(self, response: httpx.Response) -> OutsideError:
        """Name what is wrong, and what to do about it."""
        status, said = response.status_code, self._entry.hide(complaint_of(response))
        if status in {401, 403}:
            why = "wants to know who asks" if status == 401 else "does not let the worker ask"
            return AccessDeniedError(f"Prometheus {why}: {said}", fix=self._entry.fix_for(status, said))
        if status == 429:
            return ThrottledError(
                f"Prometheus is asked too much: {said}", fix="raise the store's query limits"
            )
        if status == 422:
            return RejectedError(f"Prometheus could not execute the query: {said}", fix=NARROWER)
        return answered(status, f"could not ask Prometheus: {said}")


def _pause(response: httpx.Response) -> float | None:
    """Return for how long an answer asks to wait, where that is short enough to wait for."""
    seconds = response.headers.get("retry-after", "").strip()
    return float(seconds) if seconds.isdigit() and int(seconds) <= LONGEST_PAUSE else None


def _moment(at: datetime) -> str:
    return f"{at.timestamp():.3f}"


class Stores:
    """Every Prometheus that the worker asks."""

    def __init__(self, http: httpx.AsyncClient, aws: AwsClients | None) -> None:
        self._http = http
        self._aws = aws
        self._trusting = cache(_client_that_trusts)

    def of(self, target: Target) -> Prometheus | None:
        """Return a target's; None where the catalog names none."""
        if target.store is None:
            return None
        return self.at(
            target.store, target.store.account(target.environment, target.region, target.assume_role)
        )

    def at(self, access: PrometheusAccess, account: Account) -> Prometheus:
        """Return the one that is reached in some way, and asked by somebody."""
        return Prometheus(lambda: self._client(access), access.url, Entry(self._aws, access, account))

    def _client(self, access: PrometheusAccess) -> httpx.AsyncClient:
        """Return the client for it: one of its own where it has its own authorities, read again when the file changes."""
        if access.ca_file is None:
            return self._http
        try:
            return self._trusting(access.ca_file, Path(access.ca_file).stat().st_mtime_ns)
        except OSError as error:
            raise AccessDeniedError(
                f"could not read the authorities in {access.ca_file}: {error.strerror or 'it is not PEM'}",
                fix="correct prometheus.ca_file in the catalog",
            ) from None


def _client_that_trusts(ca_file: str, changed: int) -> httpx.AsyncClient:  # noqa: ARG001 - a part of the key
    return http_client(ssl.create_default_context(cafile=ca_file))

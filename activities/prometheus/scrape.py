"""The service's own ``/metrics``, for when Prometheus is absent or does not answer.

A load balancer answers from one task now and from another then. So counters are compared only within one process, told
by ``process_start_time_seconds``; what each process counted is summed. Scrapes are remembered for a rate window, so that
a service with little traffic can be judged too; after a restart of the worker the memory begins again.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families
from pydantic import Field

from activities.http.client import http_errors
from activities.prometheus.promql import ERRORS, REQUESTS
from runbook_model.errors import OutsideError, RejectedError
from runbook_model.fact import Fact
from runbook_model.sentences import quote
from runbook_model.traffic import Silence, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from runbook_model.catalog.catalog import Target
    from runbook_model.readings import Observation

SCRAPES = 6
"""GETs in one round; a balancer with more tasks shows only some of them, which is enough for a share."""
PAUSE = timedelta(seconds=2)
"""Between two rounds when there is nothing earlier to compare with."""
TIMEOUT = timedelta(seconds=2)
ROUND = timedelta(seconds=2)
"""No further scrape begins after this long into a round."""
LONGEST = 8 * 1024 * 1024
"""Characters of an answer that is still read."""
PROCESS = "process_start_time_seconds"


class Scrape(Fact):
    """The counters of one process at one moment."""

    at: datetime
    process: float | None
    """When the process started, in seconds since 1970; None when it does not tell."""
    requests: float
    failed: float
    by_type: dict[str, float] = Field(default_factory=dict)
    """Failed requests for each value of the label ``type``, where there is one."""


class Scraper:
    """Scrapes services and remembers what their processes had counted."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        pause: timedelta = PAUSE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._http = http
        self._pause = pause
        self._now = clock
        self._seen: defaultdict[str, list[Scrape]] = defaultdict(list)

    async def traffic(self, observation: Observation) -> Traffic | Silence:
        """Return what the live processes counted since the observation began, a rate window back at most.

        Raises:
            OutsideError: not one scrape of a round succeeded.
        """
        target = observation.target
        if target.url is None:
            return Silence(why="the catalog gives no url to scrape", source="scrape")
        since = max(observation.since, self._now() - target.verify.rate_window)
        seen = [one for one in self._seen[target.metrics_url] if one.at >= since]
        seen += await self.scrapes(target)
        if _spanned(seen) < self._pause:
            await asyncio.sleep(self._pause.total_seconds())
            seen += await self.scrapes(target)
        self._seen[target.metrics_url] = seen
        return count(seen)

    async def scrapes(self, target: Target) -> list[Scrape]:
        """Make one round of scrapes.

        Raises:
            OutsideError: not one of them succeeded.
        """
        scrapes: list[Scrape] = []
        failed: OutsideError | None = None
        began = time.monotonic()
        for _ in range(SCRAPES):
            if time.monotonic() - began > ROUND.total_seconds():
                break
            try:
                scrapes.append(parse(await self._get(target.metrics_url), self._now()))
            except OutsideError as error:
                failed = error
        if failed and not scrapes:
            raise failed
        return scrapes

    async def _get(self, url: str) -> str:
        with http_errors("scrape the service's /metrics"):
            response = await self._http.get(url, timeout=TIMEOUT.total_seconds())
            response.raise_for_status()
        return response.text[:LONGEST]


def parse(text: str, at: datetime) -> Scrape:
    """Read the counters that matter out of a service's metrics.

    Raises:
        RejectedError: this is not Prometheus's text format.
    """
    wanted = "\n".join(line for line in text.splitlines() if line.startswith((REQUESTS, ERRORS, PROCESS)))
    sums: dict[str, float] = {}
    by_type: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(wanted + "\n"):
            for sample in family.samples:
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
                if sample.name == ERRORS and (kind := sample.labels.get("type")):
                    by_type[kind] = by_type.get(kind, 0.0) + sample.value
    except ValueError as error:
        raise RejectedError(f"could not read the service's /metrics: {quote(str(error), 120)}") from error
    return Scrape(
        at=at,
        process=sums.get(PROCESS),
        requests=sums.get(REQUESTS, 0.0),
        failed=sums.get(ERRORS, 0.0),
        by_type=by_type,
    )


def count(scrapes: list[Scrape]) -> Traffic | Silence:
    """Sum what each process counted between its scrapes."""
    if any(one.process is None for one in scrapes):
        why = f"the service's /metrics has no {PROCESS}, so its tasks cannot be told apart"
        return Silence(why=why, source="scrape")
    by_process: defaultdict[float | None, list[Scrape]] = defaultdict(list)
    for one in sorted(scrapes, key=lambda one: one.at):
        by_process[one.process].append(one)
    pairs = [pair for row in by_process.values() for pair in pairwise(row)]
    tasks = sum(len(row) > 1 for row in by_process.values())
    return Traffic(
        requests=sum(grown(before.requests, after.requests) for before, after in pairs),
        failed=sum(grown(before.failed, after.failed) for before, after in pairs),
        window=_spanned(scrapes),
        source="scrape",
        note=f"as {tasks} {'task' if tasks == 1 else 'tasks'} counted",
    )


def grown_by_type(scrapes: list[Scrape]) -> dict[str, float]:
    """Sum what each process counted of each type between its first and its last scrape."""
    found: defaultdict[str, float] = defaultdict(float)
    by_process: defaultdict[float | None, list[Scrape]] = defaultdict(list)
    for one in sorted(scrapes, key=lambda one: one.at):
        by_process[one.process].append(one)
    for row in by_process.values():
        for kind, total in row[-1].by_type.items():
            found[kind] += grown(row[0].by_type.get(kind, 0.0), total)
    return {kind: count for kind, count in found.items() if count > 0}


def grown(before: float, after: float) -> float:
    """How much a counter grew; one that shrank was reset and began again at zero."""
    return after - before if after >= before else after


def _spanned(scrapes: list[Scrape]) -> timedelta:
    moments = [one.at for one in scrapes]
    return max(moments) - min(moments) if moments else timedelta(0)

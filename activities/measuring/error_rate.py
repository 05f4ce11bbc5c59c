"""The share of requests that fail: from Prometheus, else from the service's own metrics, else from probes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from activities.http.probes import send_probes
from activities.prometheus import promql
from activities.prometheus.client import NoData, Prometheus
from activities.prometheus.failures import find_failures
from activities.prometheus.scrape import Scraper
from runbook_model.durations import format_duration
from runbook_model.errors import OutsideError
from runbook_model.traffic import Silence, Traffic, judge_probed, judge_traffic, missing

if TYPE_CHECKING:
    import httpx

    from runbook_model.readings import Observation, Reading


class ErrorRate:
    """Measures the share of requests that fail."""

    def __init__(self, http: httpx.AsyncClient, scraper: Scraper | None = None) -> None:
        self._http = http
        self._scraper = scraper or Scraper(http)

    async def reading(self, observation: Observation, now: datetime) -> Reading:
        """Measure once.

        Raises:
            OutsideError: neither Prometheus nor the service's own metrics can be read.
        """
        target = observation.target
        seen = await self._traffic(observation)
        wanted = missing(seen, target)
        if wanted and observation.may_probe and target.probe and target.url:
            probes = await send_probes(self._http, target.url, target.probe, wanted)
            return judge_probed(seen, probes, target, now)
        return judge_traffic(seen, target, now)

    async def _traffic(self, observation: Observation) -> Traffic | Silence:
        target = observation.target
        if target.prometheus_url is None:
            return await self._scraper.traffic(observation)
        try:
            seen = await ask_prometheus(Prometheus(self._http, target.prometheus_url), observation)
            return await self._counted_elsewhere(observation, seen)
        except OutsideError as error:
            if target.url is None:
                raise
            return await self._instead(observation, error)

    async def _counted_elsewhere(
        self, observation: Observation, seen: Traffic | Silence
    ) -> Traffic | Silence:
        """Return what the service's own metrics say where Prometheus has nothing that counts failures."""
        if isinstance(seen, Traffic) or not seen.uncounted or observation.target.url is None:
            return seen
        try:
            scraped = await self._scraper.traffic(observation)
        except OutsideError:
            return seen
        return seen if isinstance(scraped, Silence) else scraped

    async def _instead(self, observation: Observation, away: OutsideError) -> Traffic | Silence:
        try:
            seen = await self._scraper.traffic(observation)
        except OutsideError as error:
            raise type(away)(f"{away}; {error}") from error
        if isinstance(seen, Silence):
            return seen.model_copy(update={"why": f"{away}; {seen.why}"})
        return seen.model_copy(update={"note": f"{seen.note}: {away}"})


async def ask_prometheus(prometheus: Prometheus, observation: Observation) -> Traffic | Silence:
    """Ask how many requests there were, what share failed, and whether the numbers are fresh.

    Raises:
        OutsideError: Prometheus cannot be read.
    """
    target, release = observation.target, observation.release
    window = target.verify.rate_window
    query = promql.error_share(target, release, window)
    failures, requests, age = await asyncio.gather(
        find_failures(prometheus, target, datetime.now(UTC)),
        prometheus.value(promql.request_count(target, release, window)),
        prometheus.value(promql.sample_age(target, release)),
    )
    if isinstance(age, NoData):
        return _silent(
            f"no live task of {promql.selector(target, release)} shows any requests: {age.why}", query
        )
    if age > window.total_seconds() / 2:
        return _silent(
            f"the newest scrape is {age:.0f}s old, the window only {format_duration(window)}", query
        )
    if isinstance(requests, NoData) or round(requests) == 0:
        return Traffic(requests=0, failed=0, window=window, source="prometheus", query=query)
    if isinstance(failures, NoData):
        return _silent(failures.why, query).model_copy(update={"uncounted": True})
    query = promql.error_share(target, release, window, failures)
    share = await prometheus.value(query)
    if isinstance(share, NoData):
        return _silent(share.why, query)
    return Traffic(
        requests=requests, failed=share * requests, window=window, source="prometheus", query=query
    )


def _silent(why: str, query: str) -> Silence:
    return Silence(why=why, source="prometheus", query=query)

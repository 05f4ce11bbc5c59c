"""What a diagnosis reads of a compose service where there is no ECS, no CloudWatch and perhaps no Prometheus."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from activities.docker.reading import read_project, read_statistics
from activities.prometheus import promql
from activities.prometheus.scrape import Scraper, count, grown_by_type
from runbook_model.durations import format_duration
from runbook_model.errors import InputError, OutsideError
from runbook_model.evidence import AcrossRelease, Breakdown, Evidence, Figure, Onset, Restarts
from runbook_model.symptoms import ErrorsRead, MemorySeries, ResourcesRead
from runbook_model.traffic import Silence

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

    from activities.docker.engine import Engine
    from activities.prometheus.evidence import PrometheusEvidence
    from runbook_model.catalog.catalog import Target
    from runbook_model.containers import Container, Use

LONGEST_LOOK = timedelta(seconds=15)
"""How long the service's own counters are watched; a read is not to take longer."""
POINTS = 60


async def scraped_errors(http: httpx.AsyncClient, target: Target, onset: Onset, now: datetime) -> ErrorsRead:
    """Read which requests fail from the service's own ``/metrics``, scraped twice."""
    window = min(target.verify.rate_window, LONGEST_LOOK)
    query = f"{target.metrics_url}, twice within {format_duration(window)}"
    asked = Evidence(
        quality="no-data", why="the catalog gives no url to scrape", source="scrape", query=query, at=now
    )
    by_type, share, requests = Breakdown(**asked.model_dump()), *_unknown(asked)
    if target.url:
        by_type, share, requests = await _watched(Scraper(http), target, window, asked)
    before = Figure(**asked.model_dump(exclude={"why"}), why="a scrape sees the present only")
    return ErrorsRead(
        onset=onset,
        share=AcrossRelease(before=before, first=before, now=share),
        requests=requests,
        by_type=by_type,
        by_release=Breakdown(**asked.model_dump(exclude={"why"}), why="compose keeps no releases"),
    )


async def _watched(
    scraper: Scraper, target: Target, window: timedelta, asked: Evidence
) -> tuple[Breakdown, Figure, Figure]:
    try:
        scrapes = await scraper.scrapes(target)
        await asyncio.sleep(window.total_seconds())
        scrapes += await scraper.scrapes(target)
    except OutsideError as error:
        away = asked.model_copy(update={"quality": "error", "why": str(error)[:500]})
        return Breakdown(**away.model_dump()), *_unknown(away)
    seen = count(scrapes)
    if isinstance(seen, Silence):
        silent = asked.model_copy(update={"why": seen.why})
        return Breakdown(**silent.model_dump()), *_unknown(silent)
    known = asked.model_copy(update={"quality": "known", "why": ""}).model_dump()
    requests = Figure(**known, value=seen.requests)
    by_type = Breakdown(**known, values=grown_by_type(scrapes))
    wanted = target.thresholds.min_requests
    if round(seen.requests) < wanted:
        few = f"{round(seen.requests)} requests in {format_duration(window)}, {wanted} are needed"
        return by_type, Figure(**asked.model_dump(exclude={"why"}), why=few), requests
    return by_type, Figure(**known, value=seen.failed / seen.requests), requests


def _unknown(asked: Evidence) -> tuple[Figure, Figure]:
    return Figure(**asked.model_dump()), Figure(**asked.model_dump())


async def container_resources(
    engine: Engine, ask: PrometheusEvidence, target: Target, onset: Onset, span: timedelta, now: datetime
) -> ResourcesRead:
    """Read what the service's containers use by the engine's statistics, and how memory went by Prometheus.

    The engine remembers nothing: without a Prometheus that watches containers there is no row of readings to see a leak
    in.
    """
    asked = Evidence(quality="no-data", why="no container runs", source="engine", query="stats", at=now)
    uses: tuple[Use, ...] = ()
    own: tuple[Container, ...] = ()
    (evidence, series), (limits, _) = await asyncio.gather(
        ask.history(promql.memory_bytes(target), span, max(span / POINTS, timedelta(seconds=1))),
        ask.by_task(promql.memory_limit(target)),
    )
    try:
        own = (await asyncio.to_thread(read_project, engine, target)).own
        uses = await asyncio.to_thread(read_statistics, engine, own)
    except (OutsideError, InputError) as error:
        asked = asked.model_copy(update={"quality": "error", "why": str(error)[:500]})
    course = Figure(**asked.model_dump(exclude={"why"}), why="compose keeps no releases")
    return ResourcesRead(
        onset=onset,
        cpu=_shares(asked, {one.name: one.cpu_share for one in uses}),
        cpu_course=AcrossRelease(before=course, first=course, now=course),
        memory=_shares(asked, {one.name: one.memory_share for one in uses}),
        series=MemorySeries(**evidence.model_dump(), tasks=series, limits=limits.values),
        restarts=_restarts(asked, own),
    )


def _shares(asked: Evidence, shares: dict[str, float | None]) -> Breakdown:
    values = {name: share for name, share in shares.items() if share is not None}
    if not values:
        return Breakdown(**asked.model_dump())
    return Breakdown(**asked.model_copy(update={"quality": "known", "why": ""}).model_dump(), values=values)


def _restarts(asked: Evidence, own: tuple[Container, ...]) -> Restarts:
    if not own:
        return Restarts(**asked.model_dump())
    return Restarts(
        **asked.model_copy(update={"quality": "known", "why": "", "query": "inspect"}).model_dump(),
        count=sum(one.restarts for one in own),
        out_of_memory=sum(one.out_of_memory for one in own),
        reasons=tuple(one.told for one in own if one.failed),
    )

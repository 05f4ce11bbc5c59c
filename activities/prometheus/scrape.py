"""The service's own ``/metrics``, for when Prometheus is absent or does not answer.

A load balancer answers from one task now and from another then. So counters are compared only within one process, identified
by ``process_start_time_seconds``; what each process counted is summed. Scrapes are remembered for a rate window, so that
a service with little traffic can be judged too; after a restart of the worker the memory starts again.
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
from activities.prometheus.failures import REMEMBERED, cannot_tell, status_label, uncounted
from activities.prometheus.promql import PROCESS
from runbook_model.catalog.metrics import Convention, Metrics
from runbook_model.errors import OutsideError, RejectedError
from runbook_model.fact import Fact
from runbook_model.measured.evidence import Evidence
from runbook_model.measured.measurements import LABEL, Measurement
from runbook_model.text.redaction import excerpt
from runbook_model.text.sentences import count_of, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    from prometheus_client.samples import Sample

    from runbook_model.catalog.matchers import Selector
    from runbook_model.catalog.target import Target

SCRAPES = 6
"""GETs in one round; a balancer with more tasks shows only some of them, which is enough for a share."""
PAUSE = timedelta(seconds=2)
"""Between two rounds when there is nothing earlier to compare with."""
TIMEOUT = timedelta(seconds=2)
ROUND = timedelta(seconds=2)
"""No further scrape starts after this long into a round."""
RUNBOOK = Metrics().convention("", "")
"""The names that count where the catalog says nothing else."""
MOST_LINES = 20_000
"""Series of the counters that matter; more would hold up everything else that the worker does."""


class Scrape(Fact):
    """The counters of one process at one moment."""

    at: datetime
    process: float | None
    """When the process started, in seconds since 1970; None when it does not say."""
    requests: float
    failed: float | None
    """By the counter of failures; None where neither a series nor the TYPE line of it is there, or no label says it."""
    unclear: str = ""
    """Why the label that distinguishes failures says nothing; empty where it does, or where no label should."""
    by_type: dict[str, float] = Field(default_factory=dict)
    """Failed requests for each value of the label that says of what kind they were, where there is one."""
    by_status: dict[str, float] | None = None
    """Requests with a 5xx for each status; None where no label of the request counter holds it."""


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
        self._counted: dict[str, datetime] = {}
        """When a service last had a counter of failures."""

    async def traffic(
        self, target: Target, since: datetime | None = None, pause: timedelta | None = None
    ) -> Measurement:
        """Return what the live processes counted since a moment, a rate window back at most.

        Args:
            target: whose metrics they are.
            since: from when on; a rate window back unless given.
            pause: between two rounds where there is nothing earlier to compare with.

        Raises:
            OutsideError: not one scrape of a round succeeded.
        """
        pause = self._pause if pause is None else pause
        window_began = self._now() - target.verify.rate_window
        since = max(since, window_began) if since else window_began
        seen = [item for item in self._seen[target.metrics_url] if item.at >= since]
        seen += await self.scrapes(target)
        if _spanned(seen) < pause:
            await asyncio.sleep(pause.total_seconds())
            seen += await self.scrapes(target)
        self._seen[target.metrics_url] = seen
        convention = target.convention
        if any(item.failed is not None for item in seen) and not convention.by_matcher:
            self._counted[target.metrics_url] = self._now()
        counted = self._counted.get(target.metrics_url)
        remembered = counted is not None and self._now() - counted <= REMEMBERED
        return count(question(target, self._now()), seen, convention=convention, counted=remembered)

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
                scrapes.append(parse(await self._get(target.metrics_url), self._now(), target.convention))
            except OutsideError as error:
                failed = error
        if failed and not scrapes:
            raise failed
        return scrapes

    async def _get(self, url: str) -> str:
        with http_errors("scrape the service's /metrics"):
            response = await self._http.get(url, timeout=TIMEOUT.total_seconds())
            response.raise_for_status()
        return response.text


def parse(text: str, at: datetime, convention: Convention = RUNBOOK) -> Scrape:
    """Read the counters that matter out of a service's metrics, without the requests to ignore.

    Raises:
        RejectedError: this is not Prometheus's text format.
    """
    requests, failures = (_exposed(part, convention) for part in (convention.requests, convention.failures))
    lines, declared = _lines(text, requests.metric, failures.metric)
    process, ours = None, []
    for sample in _samples(lines):
        if sample.name == PROCESS:
            process = sample.value
        elif _is_ours(sample, convention):
            ours.append(sample)
    asked = [item for item in ours if item.name == requests.metric and requests.selects(item.labels)]
    failing = [item for item in ours if item.name == failures.metric and failures.selects(item.labels)]
    unclear, counted = "", bool(failing) or declared
    if convention.by_matcher:
        labels = [item.labels for item in asked]
        unclear = cannot_tell(convention.failing, labels, requests.text) if asked else ""
        counted = not unclear
    status = status_label(item.labels for item in asked) if convention.by_status else None
    by_status = [item for item in asked if status and item.labels[status].startswith("5")]
    return Scrape(
        at=at,
        process=process,
        requests=sum(item.value for item in asked),
        failed=sum(item.value for item in failing) if counted else None,
        unclear=unclear,
        by_type=_sums(failing, convention.kind),
        by_status=_sums(by_status, status) if status else None,
    )


def _exposed(series: Selector, convention: Convention) -> Selector:
    """Return what a text exposition has in place of a native histogram: its count."""
    return series.named(f"{series.metric}_count") if convention.counts_natively(series) else series


def _lines(text: str, requests: str, failures: str) -> tuple[list[str], bool]:
    """Return the lines that matter, and whether the counter of failures is declared."""
    types = tuple(f"# TYPE {name} " for name in {failures, failures.removesuffix("_total")})
    lines = [line for line in text.splitlines() if line.startswith((requests, failures, PROCESS, *types))]
    if len(lines) > MOST_LINES:
        names = " and ".join(dict.fromkeys((requests, failures)))
        raise RejectedError(
            f"the service's /metrics has {len(lines):,} lines of {names}; {MOST_LINES:,} are read",
            fix="remove labels from these counters, so that they have fewer series",
        )
    return lines, any(line.startswith(types) for line in lines)


def _samples(lines: list[str]) -> Iterator[Sample]:
    try:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            yield from family.samples
    except ValueError as error:
        raise RejectedError(f"could not read the service's /metrics: {quote(str(error), 120)}") from error


def _is_ours(sample: Sample, convention: Convention) -> bool:
    """Whether a user made these requests, and of this service where the labels that find it are there."""
    labels = convention.labels if convention.scoped else {}
    return all(sample.labels.get(name, value) == value for name, value in labels.items()) and not any(
        matcher.matches(sample.labels) for matcher in convention.ignore
    )


def _sums(samples: list[Sample], label: str) -> dict[str, float]:
    sums: defaultdict[str, float] = defaultdict(float)
    for sample in samples:
        if kind := sample.labels.get(label):
            sums[excerpt(kind, LABEL)] += sample.value
    return dict(sums)


def question(target: Target, now: datetime) -> Evidence:
    """Return what is asked of a service's own metrics."""
    why = "" if target.url else "the catalog gives no url to scrape"
    if target.url and not target.has("scrape"):
        why = "the catalog's evidence leaves the service's own metrics out"
    query = target.metrics_url if target.url else "GET /metrics"
    return Evidence(quality="no-data", why=why, source="scrape", query=query, at=now)


def count(
    asked: Evidence, scrapes: list[Scrape], *, convention: Convention = RUNBOOK, counted: bool = False
) -> Measurement:
    """Sum what each process counted between its scrapes.

    Args:
        asked: what was asked, and where.
        scrapes: of one service, in any order.
        convention: by what names it counts.
        counted: whether the service had a counter of failures lately, though none is in these scrapes.
    """
    found = Measurement.of(asked, window=_spanned(scrapes))
    if any(scrape.process is None for scrape in scrapes):
        return found.unanswered(
            f"the service's /metrics has no {PROCESS}, so its tasks cannot be distinguished"
        )
    rows = _by_process(scrapes)
    pairs = [pair for row in rows for pair in pairwise(row)]
    requests = sum(grown(before.requests, after.requests) for before, after in pairs)
    own = any(scrape.failed is not None for scrape in scrapes)
    if unclear := next((scrape.unclear for scrape in scrapes if scrape.unclear), ""):
        return found.unanswered(unclear, uncounted=True)
    if own:
        failed = sum(grown(before.failed or 0, after.failed or 0) for before, after in pairs)
    elif any(scrape.by_status is not None for scrape in scrapes):
        failed = sum(_grown_by_status(before, after) for before, after in pairs)
    elif requests and not counted:
        return found.unanswered(uncounted(convention, "the service's own metrics"), uncounted=True)
    else:
        failed = 0
    return found.answered(
        value=failed / requests if requests else None,
        requests=requests,
        failed=failed,
        by_type=_grown_by_type(rows, own=own),
        note=f"as {count_of(sum(len(row) > 1 for row in rows), 'task')} counted",
    )


def _grown_by_type(rows: list[list[Scrape]], *, own: bool) -> dict[str, float]:
    """Sum what each process counted of each kind of failure between its first and its last scrape."""
    found: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        before, after = ((item.by_type if own else item.by_status or {}) for item in (row[0], row[-1]))
        for kind, total in after.items():
            found[kind] += grown(before.get(kind, 0.0), total)
    return {kind: count for kind, count in found.items() if count > 0}


def _grown_by_status(before: Scrape, after: Scrape) -> float:
    then = before.by_status or {}
    return sum(grown(then.get(status, 0.0), total) for status, total in (after.by_status or {}).items())


def _by_process(scrapes: list[Scrape]) -> list[list[Scrape]]:
    rows: defaultdict[float | None, list[Scrape]] = defaultdict(list)
    for scrape in sorted(scrapes, key=lambda item: item.at):
        rows[scrape.process].append(scrape)
    return list(rows.values())


def grown(before: float, after: float) -> float:
    """How much a counter grew; one that shrank was reset and started again at zero."""
    return after - before if after >= before else after


def _spanned(scrapes: list[Scrape]) -> timedelta:
    moments = [scrape.at for scrape in scrapes]
    return max(moments) - min(moments) if moments else timedelta(0)

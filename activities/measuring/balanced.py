"""What load balancers and Service Connect say of a service: found from the service, without configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Literal, NamedTuple

from activities.cloudwatch.traffic import (
    Ways,
    balancer_question,
    connect_question,
    read_figures,
    read_requests,
)
from activities.cloudwatch.utilization import read_statistics
from activities.ecs.tasks import describe_service
from activities.ecs.traffic import read_serving
from activities.elb.groups import TargetHealth, describe_groups, describe_health
from runbook_model.catalog.target import Target
from runbook_model.errors import AccessDeniedError, InputError, OutsideError
from runbook_model.measured.balancing import (
    ConnectFigures,
    Figures,
    errors_of,
    errors_of_answers,
    p95_of,
    p95_of_answers,
)
from runbook_model.measured.evidence import Evidence, Figure, Points
from runbook_model.measured.measurements import Measurement
from runbook_model.measured.publishing import Published, published
from runbook_model.measured.readings import Quality, Reading
from runbook_model.measured.symptoms import LoadRead
from runbook_model.releases.release import ServiceState
from runbook_model.text.sentences import count_of

if TYPE_CHECKING:
    from activities.measuring.sources import Sources
USUAL_WINDOWS = 14
"""So many windows are looked at for what is usual …"""
USUAL_BUT = 2
"""… without the last of them, so that an outage that has just started is not usual."""


Source = Literal["load-balancer", "service-connect"]


class Seen(NamedTuple):
    """How a service gets its requests, and what CloudWatch has of them."""

    service: ServiceState
    ways: Ways
    early: str = ""
    """Why there is nothing yet: no whole window is published of the time that counts."""
    balancers: Figures = Figures()
    connect: ConnectFigures = ConnectFigures()


class Balanced:
    """One target's load balancers and its discovery names in Service Connect, at one moment."""

    def __init__(
        self, sources: Sources, target: Target, now: datetime, since: datetime | None = None
    ) -> None:
        """Ask about a target.

        Args:
            sources: where to ask.
            target: whose load balancers they are.
            now: the moment.
            since: what happened before says nothing.
        """
        self._aws = sources.aws
        self._target = target
        self._now = now
        self._since = since
        self._least = target.thresholds.min_requests
        self._asked_for: dict[Published, asyncio.Task[Seen]] = {}

    async def errors(self, end: datetime | None = None) -> Measurement | None:
        """Measure the share of requests that failed in the last window that is published, or ended by a moment.

        Returns:
            None where no application load balancer is in front of it.
        """
        return await self._measured(
            "load-balancer",
            end,
            lambda asked, seen, window: errors_of(
                asked, seen.balancers, window, seen.service.desired, self._least
            ),
        )

    async def p95(self, end: datetime | None = None) -> Measurement | None:
        """Measure in what time 95 % of the requests were answered, until the first byte of the answer's head."""
        return await self._measured(
            "load-balancer",
            end,
            lambda asked, seen, window: p95_of(asked, seen.balancers, window, self._since, self._least),
        )

    async def connect_errors(self, end: datetime | None = None) -> Measurement | None:
        """Measure the same where callers reach it by Service Connect.

        Returns:
            None where it has no discovery name.
        """
        return await self._measured("service-connect", end, self._answers)

    async def connect_p95(self, end: datetime | None = None) -> Measurement | None:
        """Measure in what time 95 % of the requests by Service Connect were answered."""
        return await self._measured(
            "service-connect",
            end,
            lambda asked, seen, window: p95_of_answers(asked, seen.connect, window, self._since, self._least),
        )

    async def health(self) -> Reading:
        """Ask for the health of the targets that users reach: all that are wanted must be healthy.

        Where it may not be asked for, others decide, as where there is no target group.

        Raises:
            OutsideError: it cannot be read otherwise.
        """
        try:
            desired, found = await asyncio.to_thread(self._health)
        except (InputError, AccessDeniedError) as error:
            return self._reading(Quality.NO_DATA, str(error), decides=False)
        if not found:
            why = "the catalog gives no url for health, and the service is behind no target group"
            return self._reading(Quality.NO_DATA, why, decides=False)
        return self._judge(
            max(found, key=lambda item: item.healthy), sum(item.unhealthy for item in found), desired
        )

    async def rates(self) -> tuple[Evidence, Points]:
        """Read how many requests a second there were in each of the last windows."""
        window = self._window(None)
        first = self._asked("load-balancer", window)
        asked = Evidence(**{name: getattr(first, name) for name in Evidence.model_fields})
        try:
            _, ways = await asyncio.to_thread(self._ways)
            if not any(ways):
                return asked.unanswered("neither a load balancer nor Service Connect counts its requests"), ()
            source: Source = "load-balancer" if ways.groups else "service-connect"
            asked = asked.model_copy(update={"source": source, "query": _question(source, ways, window)})
            found = await asyncio.to_thread(
                read_requests, self._aws, self._target, ways, window, USUAL_WINDOWS
            )
        except (OutsideError, InputError) as error:
            return asked.unread(error), ()
        if isinstance(found, str):
            return asked.unanswered(found), ()
        points = tuple((moment, count / window.span.total_seconds()) for moment, count in found)
        return asked.answered() if points else asked.unanswered("CloudWatch has no requests"), points

    def _health(self) -> tuple[int, list[TargetHealth]]:
        service = describe_service(self._aws, self._target)
        serving = read_serving(self._aws, self._target, service)
        return service.desired, [describe_health(self._aws, self._target, arn) for arn in serving]

    def _judge(self, best: TargetHealth, sick: int, desired: int) -> Reading:
        words = f"{best.healthy} of {count_of(desired, 'target')} healthy"
        if sick:
            why = f" ({'; '.join(best.reasons)})" if best.reasons else ""
            return self._reading(Quality.BAD, f"{words}, {sick} unhealthy{why}", best.healthy)
        if best.healthy >= desired:
            return self._reading(Quality.GOOD, words, best.healthy)
        starting = best.states.get("initial", 0)
        quality = Quality.NO_DATA if best.healthy + starting >= desired else Quality.BAD
        return self._reading(quality, f"{words}, {starting} starting", best.healthy)

    def _reading(
        self, quality: Quality, detail: str, value: float | None = None, *, decides: bool = True
    ) -> Reading:
        return Reading(
            kind="health",
            quality=quality,
            value=value,
            detail=detail,
            source="load-balancer",
            query="DescribeTargetHealth",
            decides=decides,
            at=self._now,
        )

    def _window(self, end: datetime | None) -> Published:
        newest = self._now - self._target.verify.lag
        return published(self._target.verify, min(end, newest) if end else newest)

    async def _measured(
        self,
        source: Source,
        end: datetime | None,
        judge: Callable[[Measurement, Seen, Published], Measurement],
    ) -> Measurement | None:
        """Judge what CloudWatch has of a window, or say why it has nothing; None where the service has no such source."""
        window = self._window(end)
        asked = self._asked(source, window)
        if end and end - window.end > window.span:
            return asked.unanswered("CloudWatch has not published that window yet")
        try:
            seen = await self._once(window)
        except (OutsideError, InputError) as error:
            return asked.unread(error)
        if not (seen.ways.groups if source == "load-balancer" else seen.ways.names):
            return None
        asked = asked.model_copy(update={"query": _question(source, seen.ways, window)})
        if seen.early:
            return asked.unanswered(seen.early, waiting=True)
        return judge(asked, seen, window)

    def _answers(self, asked: Measurement, seen: Seen, window: Published) -> Measurement:
        tasks = (seen.service.running, seen.service.desired)
        health = bool(self._target.url or seen.service.target_groups)
        return errors_of_answers(asked, seen.connect, window, tasks, self._least, health=health)

    async def _once(self, window: Published) -> Seen:
        """Ask once for both sources and for everything that is measured."""
        if window not in self._asked_for:
            self._asked_for[window] = asyncio.create_task(asyncio.to_thread(self._ask, window))
        return await self._asked_for[window]

    def _ask(self, window: Published) -> Seen:
        service, ways = self._ways()
        if not any(ways):
            return Seen(service, ways)
        if self._since and window.begin < self._since:
            early = f"CloudWatch has not published a whole window since {self._since:%H:%M:%S} UTC"
            return Seen(service, ways, early)
        balancers, connect = read_figures(self._aws, self._target, ways, window)
        return Seen(service, ways, balancers=balancers, connect=connect)

    def _ways(self) -> tuple[ServiceState, Ways]:
        """Find the service's target groups behind application load balancers (others count no requests) and its names."""
        service, has = describe_service(self._aws, self._target), self._target.has
        names = service.discovery_names if has("service-connect") else ()
        if not service.target_groups or not has("load-balancer"):
            return service, Ways(names=names)
        groups = describe_groups(self._aws, self._target, service.target_groups)
        balanced = tuple(group for group in groups if group.balancer_name.startswith("app/"))
        return service, Ways(balanced, names)

    def _asked(self, source: Source, window: Published) -> Measurement:
        return Measurement(
            quality="no-data", source=source, query="DescribeServices", at=window.end, window=window.span
        )


def _question(source: Source, ways: Ways, window: Published) -> str:
    if source == "load-balancer":
        return balancer_question(ways.groups, window)
    return connect_question(ways.names, window)


async def measure_load(sources: Sources, target: Target, now: datetime) -> LoadRead:
    """Measure how much is requested and how busy tasks are, against the usual, by CloudWatch alone."""
    rates = await Balanced(sources, target, now).rates()
    cpu = await asyncio.to_thread(read_statistics, sources.aws, target, "CPUUtilization", now)
    rate, usual = _newest_and_usual(*rates)
    busy, usually_busy = _newest_and_usual(cpu, cpu.points)
    return LoadRead(rate=rate, usual_rate=usual, cpu=busy, usual_cpu=usually_busy)


def _newest_and_usual(asked: Evidence, points: Points) -> tuple[Figure, Figure]:
    """Return the newest of some values, and the median of those before the last two."""
    values = [value for _, value in points]
    if not values:
        return Figure.of(asked), Figure.of(asked)
    newest, before = Figure.of(asked, value=values[-1]), values[:-USUAL_BUT]
    if not before:
        return newest, Figure.of(asked).unanswered("CloudWatch has nothing before the last windows")
    return newest, Figure.of(asked, value=median(before))

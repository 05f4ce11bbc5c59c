"""What the services of an environment share: AWS, the cluster, Prometheus, the container engine, the clock."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from activities.docker.activities import ping
from activities.doctor.looking import NotSetError, Question, Threads, WrongError, questions
from runbook_model.catalog.accounts import account_of
from runbook_model.catalog.arns import ecs_name
from runbook_model.checks import SET_THE_CLOCK, Place
from runbook_model.errors import OutsideError
from runbook_model.fact import Fact

if TYPE_CHECKING:
    from activities.measuring.sources import Sources

BY_COMPOSE = "it runs by compose"
ONE_SECOND = timedelta(seconds=1)
"""HTTP's dates have no fractions."""
MOST_OFF = timedelta(seconds=5)


class ClockReading(Fact):
    """What another's clock said between two moments of ours."""

    whose: str
    said: datetime
    before: datetime
    after: datetime

    @property
    def off(self) -> timedelta:
        """How far ours is ahead, at least; behind is negative. Their answer may have been under way for a while."""
        if self.said < self.before:
            return self.before - self.said
        return self.after - self.said if self.said > self.after else timedelta(0)


def judge_clock(*readings: ClockReading) -> str:
    """Say that our clock agrees with the others.

    Raises:
        WrongError: it does not agree with one of them.
    """
    for reading in readings:
        if abs(reading.off) > MOST_OFF:
            side = "ahead of" if reading.off > timedelta(0) else "behind"
            seconds = abs(reading.off).total_seconds()
            raise WrongError(f"the worker's clock is {seconds:.0f} s {side} {reading.whose}", SET_THE_CLOCK)
    return f"within {MOST_OFF.seconds} s of {' and '.join(reading.whose for reading in readings)}"


@dataclass(frozen=True)
class Caller:
    """Who AWS says we are."""

    arn: str
    clock: ClockReading | None


class PlaceQuestions:
    """The questions about one environment."""

    def __init__(self, sources: Sources, threads: Threads, place: Place, served: datetime) -> None:
        self._clients = sources.aws
        self._engine = sources.engine
        self._stores = sources.stores
        self._threads = threads
        self._where = place.where
        self._environment = place.environment
        self._account = account_of(place.environment, place.where.region, place.where.assume_role)
        self._table = f"[environments.{place.environment}]"
        now = datetime.now(UTC)
        self._temporals = ClockReading(whose="Temporal's", said=served, before=now, after=now)
        self._asked: asyncio.Task[Caller] | None = None

    def all(self) -> list[Question]:
        """Return them all."""
        functions = {
            "aws-identity": self.identity,
            "cluster": self.cluster,
            "prometheus": self.prometheus,
            "docker-engine": self.engine,
            "clock": self.clock,
        }
        return questions(functions, table=self._table)

    async def identity(self) -> str:
        """Ask AWS who the worker is."""
        return f"{(await self._caller()).arn} in {self._where.region}"

    async def cluster(self) -> str:
        """Ask ECS for the cluster."""
        name, region = self._ecs_cluster(), self._where.region
        found = await self._threads.run(self._describe_cluster, name)
        if found is None:
            raise WrongError(f"there is no cluster {name} in {region}")
        if found != "ACTIVE":
            raise WrongError(f"the cluster {name} is {found}")
        return f"{name} is ACTIVE"

    async def prometheus(self) -> str:
        """Ask Prometheus for a number that it need not look up."""
        store = self._where.store
        if store is None:
            raise NotSetError(
                f"no prometheus_url in {self._table}: rates come from load balancers and the services' own /metrics"
            )
        asking = store.account(self._environment, self._where.region, self._where.assume_role)
        try:
            await self._stores.at(store, asking).value("vector(1)")
        except OutsideError as error:
            raise WrongError(f"{store.url}: {error.message}", error.fix) from error
        return f"{store.url} answers"

    async def engine(self) -> str:
        """Ask the container engine whether it is there."""
        if self._where.platform != "compose":
            raise NotSetError("it runs on ECS")
        return f"{await self._threads.run(ping, self._engine)} answers"

    async def clock(self) -> str:
        """Compare the worker's clock with Temporal's and, where it answers, AWS's."""
        readings = [self._temporals]
        if self._where.platform == "ecs":
            with suppress(OutsideError):  # that AWS does not answer is reported by another check
                readings += filter(None, [(await self._caller()).clock])
        return judge_clock(*readings)

    def _ecs_cluster(self) -> str:
        if self._where.platform != "ecs":
            raise NotSetError(BY_COMPOSE)
        return ecs_name(self._where.cluster).name

    async def _caller(self) -> Caller:
        if self._where.platform != "ecs":
            raise NotSetError(BY_COMPOSE)
        if self._asked is None:
            self._asked = asyncio.create_task(self._threads.run(self._ask_caller))
        try:
            return await asyncio.shield(self._asked)
        except OutsideError:
            self._asked = None  # who tries again asks again
            raise

    def _ask_caller(self) -> Caller:
        before = datetime.now(UTC)
        with self._clients.naming_errors("ask AWS who the worker is"):
            answer = self._clients.sts(self._account).get_caller_identity()
        after = datetime.now(UTC)
        said = _date(answer["ResponseMetadata"]["HTTPHeaders"].get("date", ""))
        clock = (
            ClockReading(whose="AWS's", said=said, before=before - ONE_SECOND, after=after) if said else None
        )
        return Caller(arn=answer["Arn"], clock=clock)

    def _describe_cluster(self, name: str) -> str | None:
        with self._clients.naming_errors(f"describe the cluster {name}"):
            found = self._clients.ecs(self._account).describe_clusters(clusters=[name])["clusters"]
        return found[0]["status"] if found else None


def _date(header: str) -> datetime | None:
    try:
        said = parsedate_to_datetime(header)
    except ValueError:
        return None
    return said if said.tzinfo else said.replace(tzinfo=UTC)  # HTTP's dates are UTC

"""What the services of an environment share: AWS, the cluster, Prometheus, the container engine, the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from activities.docker.activities import ping
from activities.doctor.looking import NotSetError, WrongError, check, naming
from runbook_model.catalog.accounts import Account, account_of, ecs_name
from runbook_model.catalog.policies import Channel
from runbook_model.checks import SECONDS, SET_THE_CLOCK, Check, Place, Row
from runbook_model.errors import OutsideError, ThrottledError
from runbook_model.fact import Fact

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients
    from activities.chat.channels import Channels
    from activities.measuring.sources import Sources

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


@dataclass(frozen=True)
class Means:
    """What a worker has to look with, and what it was started with."""

    sources: Sources
    channels: Channels
    reviews: str | None
    procedures: Callable[[], str]
    signers: Path | None = None
    standing: Path | None = None


@dataclass
class PlaceLook:
    """A look at one environment; who AWS says that the worker is, is asked once for all that need it."""

    means: Means
    place: Place
    served: datetime
    """What Temporal's clock said at ``now``."""
    namespace: str = ""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    caller: Caller | None = None
    unanswered: OutsideError | None = None
    asking: Lock = field(default_factory=Lock)

    @property
    def clients(self) -> AwsClients:
        """The clients of AWS."""
        return self.means.sources.aws

    @property
    def account(self) -> Account:
        """Where the environment's calls of AWS go, and as whom."""
        return account_of(self.place.environment, self.place.where.region, self.place.where.assume_role)


def identify(look: PlaceLook) -> str:
    """Ask AWS who the worker is."""
    return f"{_caller(look).arn} in {look.place.where.region}"


def read_cluster(look: PlaceLook) -> str:
    """Ask ECS for the cluster."""
    name = ecs_name(look.place.where.cluster).name
    with look.clients.naming_errors(f"describe the cluster {name}"):
        found = look.clients.ecs(look.account).describe_clusters(clusters=[name])["clusters"]
    if not found:
        raise WrongError(f"there is no cluster {name} in {look.place.where.region}")
    if found[0]["status"] != "ACTIVE":
        raise WrongError(f"the cluster {name} is {found[0]['status']}")
    return f"{name} is ACTIVE"


async def ask_prometheus(look: PlaceLook) -> str:
    """Ask Prometheus for a number that it need not look up."""
    where = look.place.where
    if (store := where.store) is None:
        raise NotSetError(
            f"no prometheus_url in {look.place.table}: rates come from load balancers and the services' own /metrics"
        )
    asking = store.account(look.place.environment, where.region, where.assume_role)
    with naming(store.url):
        await look.means.sources.stores.at(store, asking).value("vector(1)")
    return f"{store.url} answers"


def ask_engine(look: PlaceLook) -> str:
    """Ask the container engine whether it is there."""
    if look.place.where.platform != "compose":
        raise NotSetError("it runs on ECS")
    return f"{ping(look.means.sources.engine)} answers"


def read_clock(look: PlaceLook) -> str:
    """Compare the worker's clock with Temporal's and, where it answers, AWS's."""
    readings = [ClockReading(whose="Temporal's", said=look.served, before=look.now, after=look.now)]
    if look.place.where.platform == "ecs":
        with suppress(OutsideError):  # that AWS does not answer is reported by another check
            readings += filter(None, [_caller(look).clock])
    return judge_clock(*readings)


def _caller(look: PlaceLook) -> Caller:
    """Ask once for all; of a call that was throttled nothing is kept, so it is asked again."""
    with look.asking:
        if look.unanswered:
            raise look.unanswered
        try:
            look.caller = look.caller or _ask_caller(look)
        except OutsideError as error:
            look.unanswered = None if isinstance(error, ThrottledError) else error
            raise
        return look.caller


def _ask_caller(look: PlaceLook) -> Caller:
    before = datetime.now(UTC)
    with look.clients.naming_errors("ask AWS who the worker is"):
        answer = look.clients.sts(look.account).get_caller_identity()
    after = datetime.now(UTC)
    said = _date(answer["ResponseMetadata"]["HTTPHeaders"].get("date", ""))
    clock = ClockReading(whose="AWS's", said=said, before=before - ONE_SECOND, after=after) if said else None
    return Caller(arn=answer["Arn"], clock=clock)


def _date(header: str) -> datetime | None:
    try:
        said = parsedate_to_datetime(header)
    except ValueError:
        return None
    return said if said.tzinfo else said.replace(tzinfo=UTC)  # HTTP's dates are UTC


async def try_channels(outlets: Channels, channels: Sequence[Channel]) -> str:
    """Try every channel at once, as far as that goes without notifying anybody; red names what would carry no message."""
    if not channels:
        raise NotSetError("no channels: what people should know stands in the worker's log")
    tried = await asyncio.gather(*(_try(outlets, channel) for channel in channels))
    if wrong := [item for item in tried if item.ok is False]:
        fixes = dict.fromkeys(item.fix for item in wrong if item.fix)
        raise WrongError("; ".join(map(_text, wrong)), "; ".join(fixes))
    return "; ".join(map(_text, tried))


async def _try(outlets: Channels, channel: Channel) -> Check:
    async def look() -> str:
        return await outlets.open(channel.name).look()

    reach = "let the worker reach its host"
    fix = reach if channel.kind == "slack" else f"{reach}, or correct what {channel.secret_env} holds"
    return await check(Row(channel.name, "environment", fix=fix, seconds=SECONDS), look)


def _text(tried: Check) -> str:
    said = tried.detail.removeprefix(f"channel {tried.name}: ")
    return f"channel {tried.name}: {said}"

"""Amazon RDS: the instance of a service's database, and its reboot, sent at most once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from activities.runtime.fence import fenced, sending
from activities.runtime.waiting import Progress, handing_over
from runbook_model import calls
from runbook_model.authority.order import ChangeOrder
from runbook_model.catalog.target import Target
from runbook_model.errors import DriftedError, InputError, RunbookError, UnknownReplyError
from runbook_model.fact import Fact
from runbook_model.measured.database import AVAILABLE, REBOOTING, Instance
from runbook_model.plans import PlannedCall

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import DBInstanceTypeDef, EventTypeDef

    from activities.aws.clients import AwsClients

EVENTS_OF = timedelta(hours=1)
"""How far back events are read."""

LOOKED_AT_EVERY = timedelta(seconds=5)

LOOKS = 3
"""Looks in a row that must find it available: just after a reboot was ordered it may still seem to be."""

RESTARTS = ("restarted", "rebooted", "shutdown")
"""Words of the events that report about a restart: "DB instance restarted", "DB instance shutdown"."""


class Reboot(ChangeOrder):
    """Reboot an instance that still is as it was seen."""

    was: Instance

    @property
    def call(self) -> PlannedCall:
        """The reboot of the instance that the catalog names."""
        return calls.reboot(self.target.database.rds_instance if self.target.database else None)

    @property
    def planned_essence(self) -> str:
        """How it was seen."""
        return self.was.essence


class Rebooted(Fact):
    """What came of it."""

    name: str
    adopted: bool = False
    """An earlier attempt had sent it."""

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        return f"{self.name} reboots{' since an earlier attempt' if self.adopted else ''}"


class AwaitedInstance(Fact):
    """An instance that shall become available."""

    target: Target
    deadline: datetime


class RdsActivities:
    """Reads, reboots and waits for the instance that the catalog names for a service's database."""

    def __init__(self, clients: AwsClients, every: timedelta = LOOKED_AT_EVERY) -> None:
        self._clients = clients
        self._every = every

    @activity.defn
    def read_instance(self, target: Target) -> Instance:
        """Read the instance and when it was restarted last."""
        name = target.database.rds_instance if target.database else None
        if name is None:
            raise InputError(
                f"the catalog names no RDS instance of {target.key}", fix="add database.rds_instance"
            )
        rds = self._clients.rds(target.account)
        with self._clients.naming_errors(f"describe the RDS instance {name}"):
            found = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        with self._clients.naming_errors(f"read the events of {name}"):
            pages = rds.get_paginator("describe_events").paginate(
                SourceIdentifier=name,
                SourceType="db-instance",
                Duration=round(EVENTS_OF.total_seconds() / 60),
            )
            events = [event for page in pages for event in page["Events"]]
        if not found:
            raise InputError(
                f"there is no RDS instance {name} in {target.region}", fix="correct database.rds_instance"
            )
        return _read(found[0], events)

    @activity.defn
    def reboot_instance(self, change: Reboot) -> Rebooted:
        """Reboot the instance; after an unknown reply it is looked for, and never sent again.

        Raises:
            DriftedError: the instance is no longer as the plan saw it.
            UnknownReplyError: a reboot was sent, and neither its state nor its events show one.
        """
        with fenced():
            was, now = change.was, self.read_instance(change.target)
            sent_before = activity.info().attempt > 1 and any(activity.info().heartbeat_details)
            restarted = now.restarted != was.restarted and now.restarted is not None
            if sent_before and (now.status == REBOOTING or restarted):
                return Rebooted(name=now.name, adopted=True)
            if sent_before:
                raise UnknownReplyError(
                    f"a reboot of {now.name} was sent, no answer came, and it is {now.status} without an event of a "
                    "restart; it is not sent again",
                    fix="look at the instance's events",
                )
            if now.status != was.status or restarted:
                raise DriftedError(
                    f"{now.summary}, and was {was.status} when the plan was made; this run does not touch it"
                )
            rds = self._clients.rds(change.target.account)
            with sending(), self._clients.naming_errors(f"reboot {now.name}"):
                rds.reboot_db_instance(DBInstanceIdentifier=now.name)
            return Rebooted(name=now.name)

    # Long, and on the queue of waits: it holds a thread for a moment at each look.
    @activity.defn
    async def await_instance(self, awaited: AwaitedInstance) -> Instance:
        """Wait until the instance is available, or the time is up: the caller looks which."""
        progress = Progress()
        return await handing_over(self._until_available(awaited, progress), lambda: progress.summary)

    async def _until_available(self, awaited: AwaitedInstance, progress: Progress) -> Instance:
        alike = 0
        while True:
            try:
                instance = await asyncio.to_thread(self.read_instance, awaited.target)
                progress.summary = instance.summary
                alike = alike + 1 if instance.status == AVAILABLE else 0
                if alike >= LOOKS or datetime.now(UTC) >= awaited.deadline:
                    return instance
            except RunbookError as error:
                if not error.retryable:
                    raise
                progress.summary = str(error)
            await asyncio.sleep(self._every.total_seconds())


def _read(found: DBInstanceTypeDef, events: list[EventTypeDef]) -> Instance:
    restarts = [
        event["Date"] for event in events
        if "Date" in event and any(word in event.get("Message", "").lower() for word in RESTARTS)
    ]  # fmt: skip
    return Instance(
        name=found.get("DBInstanceIdentifier", ""),
        status=found.get("DBInstanceStatus", ""),
        engine=found.get("Engine", ""),
        multi_az=found.get("MultiAZ", False),
        restarted=max(restarts, default=None),
    )

"""A stage for incidents: alerts come in, procedures are played by hand, and what people are told is kept."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from temporalio import activity
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.parts import activities_of
from activities.alert_matrix import RUNBOOK_MATRIX
from activities.alerts import Alert, AlertBatch
from activities.announcements import Announcement, Delivered, Delivery
from activities.brakes import BrakeActivities
from activities.chat import Notice
from activities.incident_policy import IncidentPolicy
from activities.interceptors import TranslateErrors
from activities.policies import Brake as BrakePolicy
from activities.policies import Contact, Incidents
from activities.remediations import RemediationActivities
from activities.review.model import ReviewRequest, Written
from activities.reviewing import ReviewActivities
from activities.targets import TargetNames
from starter.incidents import open_incident, report_alerts
from tests.procedures.played import PLAYED, Thing

from workflows import ids
from workflows.brake import Brake
from workflows.incident import Incident
from workflows.incidents.messages import IncidentRequest
from workflows.incidents.report import IncidentReport
from workflows.interceptor import TrimArguments
from workflows.messages import ProcedureRequest, Report

if TYPE_CHECKING:
    from temporalio.worker import Interceptor

    from activities.errors import RunbookError

SOON = 20


@dataclass
class World(Thing):
    """The catalog, the chat, and the one thing that procedures change."""

    rhythm: Incidents = field(default_factory=Incidents)
    brake: BrakePolicy = field(default_factory=BrakePolicy)
    contacts: tuple[Contact, ...] = (
        Contact(name="On-call SRE", channel="pager"),
        Contact(name="DevOps lead", channel="chat"),
    )
    problem: str | None = None
    told: list[tuple[str, Announcement]] = field(default_factory=list)
    chat_is_down: bool = False
    attempts: int = 0
    reviews: list[ReviewRequest] = field(default_factory=list)
    reviewer: ReviewActivities | None = None
    """Writes them for real, where there is one."""
    between: list[Interceptor] = field(default_factory=list)
    """What else is between the workers and Temporal."""
    fails: list[RunbookError] = field(default_factory=list)
    """What the next looks into the catalog end with."""

    @activity.defn
    async def incident_policy(self, _names: TargetNames) -> IncidentPolicy:
        if self.fails:
            raise self.fails.pop(0)
        return IncidentPolicy(
            problem=self.problem,
            matrix=RUNBOOK_MATRIX,
            contacts=self.contacts,
            channels=("chat",),
            rhythm=self.rhythm,
            brake=self.brake,
        )

    @activity.defn
    async def announce(self, delivery: Delivery) -> Delivered:
        self.attempts += 1
        if self.chat_is_down:
            raise RuntimeError("chat is down")
        self.told.append((delivery.channel, delivery.announcement))
        return Delivered(told="said", thread=f"thread of {delivery.channel}")

    @activity.defn
    async def tell(self, _notice: Notice) -> None:
        pass

    @activity.defn
    async def write_review(self, request: ReviewRequest) -> Written:
        self.reviews.append(request)
        return await self.reviewer.write_review(request) if self.reviewer else Written(told="written")

    @property
    def activities(self) -> list[object]:
        names = ("incident_policy", "announce", "change", "resolve_target", "tell", "write_review")
        return [getattr(self, name) for name in names]

    def said(self, kind: str, channel: str = "chat") -> list[Announcement]:
        return [one for where, one in self.told if where == channel and one.kind == kind]


class Stage:
    """One target of the test's own, on workers of the test's own."""

    def __init__(self, temporal, world: World) -> None:
        self.temporal = temporal
        self.client = temporal.client
        self.world = world
        self.environment = f"e{uuid.uuid4().hex[:12]}"
        self.service = "shop"
        self.incidents = set()

    # --- what happens -------------------------------------------------------------------------------------------

    async def fires(self, *names: str, service: str = "shop", **fields: object):
        """Alerts fire; returns the incident."""
        return await self.report(*(self.alert(name, service=service, **fields) for name in names))

    async def resolves(self, *names: str, service: str = "shop", **fields: object):
        """Alerts are resolved; returns the incident."""
        alerts = [self.alert(name, status="resolved", service=service, **fields) for name in names]
        return await self.report(*alerts)

    def alert(self, name: str, *, status: str = "firing", service: str = "shop", **fields: object) -> Alert:
        return Alert(
            **{
                "fingerprint": f"{name}-{service}",
                "name": name,
                "status": status,
                "service": service,
                "environment": self.environment,
                "starts_at": datetime.now(UTC),
                "annotations": {"summary": f"{name} of {service}"},
                **fields,
            }
        )

    async def report(self, *alerts: Alert):
        batch = AlertBatch(alerts=alerts, received=datetime.now(UTC))
        service = alerts[0].service
        await report_alerts(self.client, service, self.environment, batch)
        self.incidents.add(service)
        return self.incident(service)

    async def opens(self, **fields: object):
        """A person opens an incident."""
        request = IncidentRequest(
            **{"service": self.service, "environment": self.environment, "opened_by": "alice", **fields}
        )
        await open_incident(self.client, request)
        self.incidents.add(self.service)
        return self.incident()

    def incident(self, service: str = "shop"):
        return self.client.get_workflow_handle(
            ids.incident_id(self.environment, service), result_type=IncidentReport
        )

    def procedure(self, service: str = "shop"):
        return self.client.get_workflow_handle(
            ids.remediation_id(self.environment, service), result_type=Report
        )

    async def starts(self, procedure: str, **fields: object):
        """A person starts a procedure."""
        request = ProcedureRequest(
            **{"service": self.service, "environment": self.environment, "requested_by": "alice", **fields}
        )
        return await self.client.start_workflow(
            ids.PROCEDURES[procedure],
            request,
            id=ids.remediation_id(self.environment, self.service),
            task_queue=ids.task_queue(self.environment),
        )

    async def cue(self, do: str, service: str = "shop", **more: object) -> None:
        """Tell the procedure under way what to do next."""
        await self.procedure(service).signal("cue", {"do": do, **more})

    async def ends(self, outcome: str, service: str = "shop", **more: object) -> None:
        """The procedure ends so."""
        await self.cue("end", service, outcome=outcome, **more)

    # --- what is seen -------------------------------------------------------------------------------------------

    async def until(self, holds, service: str = "shop") -> IncidentReport:
        """The first report of which it is true."""
        run, seen = self.incident(service), None
        try:
            async with asyncio.timeout(SOON):
                while True:
                    seen = await run.query(Incident.status)
                    if holds(seen):
                        return seen
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"it never came: {seen}") from None

    async def running(self, procedure: str, service: str = "shop") -> IncidentReport:
        """The report once a procedure is under way."""
        return await self.until(
            lambda now: any(one.procedure == procedure and one.ended is None for one in now.procedures),
            service,
        )

    async def over(self, service: str = "shop") -> IncidentReport:
        """The incident's last report."""
        async with asyncio.timeout(SOON), self.temporal.time_skipping_unlocked():
            return await self.incident(service).result()

    async def passes(self, **time: float) -> None:
        """Time goes by."""
        await self.temporal.sleep(timedelta(**time))

    async def procedures_begun(self, service: str = "shop") -> int:
        """How many runs there were on the target's lock."""
        report = await self.incident(service).query(Incident.status)
        return len(report.procedures)

    async def leave_nothing_behind(self) -> None:
        for service in self.incidents:
            for handle in (self.procedure(service), self.incident(service)):
                with suppress(RPCError):
                    await handle.terminate()
        with suppress(RPCError):
            await self.client.get_workflow_handle(ids.brake_id(self.environment)).terminate()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def stage(temporal, world, request):
    stage = Stage(temporal, world)
    activities = [
        *world.activities,
        *activities_of(BrakeActivities(stage.client), RemediationActivities(stage.client)),
    ]
    short = Worker(
        stage.client,
        task_queue=ids.task_queue(stage.environment),
        workflows=[Incident, Brake, *PLAYED],
        activities=activities,
        interceptors=[TrimArguments(), TranslateErrors(), *world.between],
        workflow_failure_exception_types=[ValidationError],
    )
    long = Worker(stage.client, task_queue=ids.watch_queue(stage.environment), activities=[world.announce])
    async with short, long:
        yield stage
        await stage.leave_nothing_behind()
    recorder = request.config.pluginmanager.get_plugin("recorder")
    ending = request.node.get_closest_marker("ending")
    if recorder and ending:
        await recorder.record(ending.args[0], stage.incident())

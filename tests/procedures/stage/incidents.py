"""A stage for incidents: alerts come in, procedures are played by hand, and what people are sent is kept.

It stands on a real server and everything that waits is short: the server that skips time stops doing so for ever once a
run ends, or continues as a new one, while one of its activities waits for its next attempt, as an incident's looks do.
When things are due is tested in tests/unit, by the hundred.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.catalog.activities import ProcedureActivities, TargetNames
from activities.registry import activities_of
from activities.review.model import ReviewRequest, Written
from activities.runtime.converter import data_converter
from activities.runtime.decisions import GateActivities
from activities.runtime.interceptors import TranslateErrors
from activities.temporal.brakes import BrakeActivities
from activities.temporal.remediations import RemediationActivities
from runbook_model.authority.statement import Judged, Presented
from runbook_model.catalog.incident_policy import IncidentPolicy
from runbook_model.catalog.policies import RUNBOOK_MATRIX, AlertRule, Contact, Incidents
from runbook_model.catalog.policies import Brake as BrakePolicy
from runbook_model.errors import RejectedError
from runbook_model.incident.account import IncidentRequest
from runbook_model.incident.announcements import Announcement, Delivered, Delivery, Notice
from runbook_model.incident.messages import Alert, AlertBatch
from runbook_model.messages import ProcedureRequest
from runbook_model.names import ids
from runbook_model.names.procedures import KnownProcedures, workflow_type
from runbook_model.reports import Report
from starter.client.incidents import open_incident, report_alerts
from tests.patience import PATIENCE
from tests.procedures.stage.played import PLAYED, Thing
from tests.temporal_server import temporal_server
from workflows.any_procedure import AnyProcedure
from workflows.brake import Brake
from workflows.incident import Incident
from workflows.incidents.report import IncidentReport
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner

if TYPE_CHECKING:
    from temporalio.worker import Interceptor

    from activities.review.activities import ReviewActivities
    from runbook_model.errors import RunbookError


QUICK = Incidents(call_every=timedelta(seconds=0.3), quiet=timedelta(0), cool_down=timedelta(seconds=0.5))
"""An alert that still fires half a second after a procedure recovered starts the next one: have it resolved before."""
LOOK_EVERY = timedelta(seconds=0.2)


@dataclass
class World(Thing):
    """The catalog, the chat, and the one thing that procedures change."""

    rhythm: Incidents = QUICK
    matrix: tuple[AlertRule, ...] = RUNBOOK_MATRIX
    checkpoint_escalate: timedelta = timedelta(hours=1)
    brake: BrakePolicy = field(default_factory=BrakePolicy)
    contacts: tuple[Contact, ...] = (
        Contact(name="On-call SRE", channel="pager"),
        Contact(name="DevOps lead", channel="chat"),
    )
    problem: str | None = None
    sent: list[tuple[str, Announcement]] = field(default_factory=list)
    chat_is_down: bool = False
    refuses: str | None = None
    """The channel that takes nothing."""
    threads: list[tuple[str, str | None]] = field(default_factory=list)
    """Of each message the channel, and the thread that it continues."""
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
            matrix=self.matrix,
            checkpoint_escalate=self.checkpoint_escalate,
            contacts=self.contacts,
            channels=("chat",),
            rhythm=self.rhythm,
            brake=self.brake,
        )

    @activity.defn
    async def announce(self, delivery: Delivery) -> Delivered:
        if self.chat_is_down:
            raise RuntimeError("chat is down")
        if delivery.channel == self.refuses:
            raise RejectedError("no such channel")
        self.threads.append((delivery.channel, delivery.thread))
        self.sent.append((delivery.channel, delivery.announcement))
        return Delivered(detail="said", thread=f"thread of {delivery.channel}")

    @activity.defn
    async def notify(self, _notice: Notice) -> None:
        pass

    @activity.defn
    async def write_review(self, request: ReviewRequest) -> Written:
        self.reviews.append(request)
        return await self.reviewer.write_review(request) if self.reviewer else Written(detail="written")

    @activity.defn
    async def verify_decision(self, _presented: Presented) -> Judged:
        return Judged()

    @property
    def activities(self) -> list[object]:
        names = ("incident_policy", "announce", "change", "resolve_target", "notify", "write_review")
        names += ("verify_decision",)
        return [getattr(self, name) for name in names]

    def said(self, kind: str, channel: str = "chat") -> list[Announcement]:
        return [item for where, item in self.sent if where == channel and item.kind == kind]


class Stage:
    """One target of the test's own, on workers of the test's own."""

    def __init__(self, client, world: World) -> None:
        self.client = client
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
            workflow_type(procedure),
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
            async with asyncio.timeout(PATIENCE):
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
            lambda now: any(item.procedure == procedure and item.ended is None for item in now.procedures),
            service,
        )

    async def over(self, service: str = "shop") -> IncidentReport:
        """The incident's last report."""
        async with asyncio.timeout(PATIENCE):
            return await self.incident(service).result()

    async def leave_nothing_behind(self) -> None:
        """End what is open."""
        self.world.chat_is_down = False
        over = {"by": "the test", "reason": "it is over"}
        for service in self.incidents:
            with suppress(RPCError):
                await self.procedure(service).signal("abort", over)
            with suppress(RPCError):
                await self.incident(service).cancel()
            for run in (self.procedure(service), self.incident(service)):
                with suppress(RPCError, WorkflowFailureError):
                    await self._end(run)

    async def _end(self, run) -> None:
        """Wait for a run's end; one that does not come is made, or its worker could not leave either."""
        try:
            async with asyncio.timeout(PATIENCE):
                await run.result()
        except TimeoutError:
            await run.terminate("the test is over")


@pytest.fixture(scope="module")
async def server():
    """A real Temporal server, whose timers are not rounded up to seconds."""
    shift = 'history.timerProcessorMaxTimeShift="10ms"'
    options = {"data_converter": data_converter, "identity": "tests"}
    async with temporal_server("--dynamic-config-value", shift, **options) as server:
        yield server


@pytest.fixture
def world() -> World:
    return World()


@asynccontextmanager
async def at_work(stage: Stage):
    """Workers of a stage."""
    world = stage.world
    activities = [
        *world.activities,
        *activities_of(
            BrakeActivities(stage.client, LOOK_EVERY),
            RemediationActivities(stage.client, LOOK_EVERY),
            GateActivities(),
            ProcedureActivities(KnownProcedures()),
        ),
    ]
    short = Worker(
        stage.client,
        task_queue=ids.task_queue(stage.environment),
        workflows=[Incident, Brake, *PLAYED, AnyProcedure],
        workflow_runner=sandbox_runner(),
        activities=activities,
        interceptors=[TrimArguments(), TranslateErrors(), *world.between],
        workflow_failure_exception_types=[ValidationError],
    )
    long = Worker(
        stage.client,
        task_queue=ids.watch_queue(stage.environment),
        activities=[world.announce],
        interceptors=[TranslateErrors()],
    )
    async with short, long:
        yield


@pytest.fixture
async def stage(server, world, request):
    stage = Stage(server.client, world)
    async with at_work(stage):
        yield stage
        await stage.leave_nothing_behind()
    recorder = request.config.pluginmanager.get_plugin("recorder")
    ending = request.node.get_closest_marker("history")
    if recorder and ending:
        await recorder.record(ending.args[0], stage.incident())
        with suppress(RPCError):  # nobody asked whether anything may be started
            brake = stage.client.get_workflow_handle(ids.brake_id(stage.environment))
            await recorder.record(ending.args[0], brake)

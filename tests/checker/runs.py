"""What a run's history says: what was shown, who agreed, what was ordered, and when somebody aborted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pydantic import ValidationError
from temporalio.api.enums.v1 import EventType

from activities.ecs.configuring import PutSettingsBack
from activities.ecs.orders import DeployRelease, ForceDeployment, MarkRelease, RegisterRelease, StopDeployment
from activities.ecs.pausing import ContinueDeployment
from activities.ecs.task_sizes import RegisterSized
from activities.postgres.activities import TerminateSessions
from activities.rds.activities import Reboot
from activities.runtime.converter import data_converter
from activities.temporal.predecessor import NOTHING_SENT
from activities.terraform.activities import TerraformApply
from runbook_model.authority.order import ChangeOrder
from runbook_model.authority.shown import Opened
from runbook_model.authority.standing import StandingAnswer
from runbook_model.catalog.target import Target
from runbook_model.containers import RestartService
from runbook_model.messages import Abort, Approval
from runbook_model.names.ids import is_lock
from runbook_model.reports import Checkpoint
from runbook_model.sizes import RestoreCapacity, ScaleOut

ORDERS = {
    "deploy_release": DeployRelease,
    "force_deployment": ForceDeployment,
    "stop_deployment": StopDeployment,
    "put_settings_back": PutSettingsBack,
    "continue_deployment": ContinueDeployment,
    "register_release": RegisterRelease,
    "register_sized": RegisterSized,
    "mark_release": MarkRelease,
    "apply_terraform": TerraformApply,
    "scale_out": ScaleOut,
    "restore_capacity": RestoreCapacity,
    "terminate_sessions": TerminateSessions,
    "reboot_instance": Reboot,
    "restart_service": RestartService,
}
"""Activity that changes something -> what it is ordered by."""


@dataclass(frozen=True)
class Order:
    """A change that a run ordered."""

    activity: str
    """Its id."""
    kind: str
    event: int
    decided: int
    """The event by which the run's worker took what it knew when it decided on it."""
    at: datetime
    given: ChangeOrder
    refused: bool = False
    """Whether the worker refused it before it sent anything."""


@dataclass(frozen=True)
class Shown:
    """What a run wrote down to be shown, when it did."""

    event: int
    opened: Opened


@dataclass(frozen=True)
class Yes:
    """A person's answer."""

    event: int
    approval: Approval


@dataclass(frozen=True)
class Stop:
    """An abort that the run took."""

    event: int
    keep: bool | None
    by_signal: bool
    signed: bool = False


@dataclass
class Record:
    """All that the checker knows of a run."""

    workflow_id: str = ""
    run_id: str = ""
    kind: str = ""
    """Type of the workflow."""
    requester: str = ""
    automatic: bool = False
    target: Target | None = None
    """As it was resolved first."""
    shown: list[Shown] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    """Plan that a gate was opened for -> how many people it needed."""
    yeses: list[Yes] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    standing: list[str] = field(default_factory=list)
    """Orders of people beforehand that were found to cover a plan."""
    ended: datetime | None = None
    children: list[tuple[str, str]] = field(default_factory=list)


async def records_of(client, workflow_id, run_id=None):
    """Return what the histories of a run and of all that it started say."""
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    found = await record_of(workflow_id, (await handle.fetch_history()).events)
    below = [item for child in found.children for item in await records_of(client, *child)]
    return [found, *below]


async def record_of(workflow_id, events, converter=data_converter):
    """Return what a history says."""
    reader = _Reader(workflow_id, converter)
    for event in events:
        await reader.read(event)
    return reader.finished()


class _Reader:
    def __init__(self, workflow_id, converter):
        self.record = Record(workflow_id=workflow_id)
        self._converter = converter
        self._started = {}  # completion of a workflow task -> the event that started it
        self._updates = {}  # id of an update -> what it asks for
        self._targets = set()  # ids of events
        self._rejected = 0
        self._refused = set()  # ids of events

    async def read(self, event):
        name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower()
        take = getattr(self, f"_{name}", None)
        if take:
            await take(event, getattr(event, event.WhichOneof("attributes")))

    def finished(self):
        """Leave out aborts by signal that the run rejected: nothing in a history says so but its own account."""
        if self._rejected:
            self.record.stops = [stop for stop in self.record.stops if not stop.by_signal]
        self.record.orders = [
            replace(order, refused=order.event in self._refused) for order in self.record.orders
        ]
        return self.record

    async def _decoded(self, payloads, kind=None):
        found = await self._converter.decode(payloads, [kind] if kind else None)
        return found[0] if found else None

    async def _workflow_execution_started(self, _, started):
        self.record.run_id = started.original_execution_run_id
        self.record.kind = started.workflow_type.name
        request = await self._decoded(started.input.payloads)
        if isinstance(request, dict):
            self.record.requester = request.get("requested_by", "")
            self.record.automatic = request.get("automatic", False)

    async def _workflow_task_completed(self, event, completed):
        self._started[event.event_id] = completed.started_event_id

    async def _activity_task_scheduled(self, event, scheduled):
        kind = scheduled.activity_type.name
        if kind == "resolve_target":
            self._targets.add(event.event_id)
        if kind not in ORDERS:
            return
        order = Order(
            activity=scheduled.activity_id,
            kind=kind,
            event=event.event_id,
            decided=self._decided(scheduled.workflow_task_completed_event_id),
            at=event.event_time.ToDatetime(UTC),
            given=await self._decoded(scheduled.input.payloads, ORDERS[kind]),
        )
        self.record.orders.append(order)

    def _decided(self, completed):
        """Return the event that started a workflow task; the time-skipping server names it in place of the task's end."""
        return self._started.get(completed, completed)

    async def _activity_task_completed(self, _, completed):
        if completed.scheduled_event_id in self._targets:
            self.record.target = await self._decoded(completed.result.payloads, Target)

    async def _activity_task_failed(self, _, failed):
        if failed.failure.application_failure_info.type in NOTHING_SENT:
            self._refused.add(failed.scheduled_event_id)

    async def _marker_recorded(self, event, marker):
        about = json.loads(marker.details["data"].payloads[0].data) if "data" in marker.details else {}
        if about.get("activity_type") == "show_gate":
            opened = await self._decoded(marker.details["result"].payloads, Opened)
            self.record.shown.append(Shown(event.event_id, opened))
        elif about.get("activity_type") == "find_standing":
            answer = await self._decoded(marker.details["result"].payloads, StandingAnswer)
            self.record.standing += [answer.name] if answer.name else []

    async def _workflow_properties_modified(self, _, modified):
        kept = modified.upserted_memo.fields.get("checkpoint")
        if kept is None or kept.metadata.get("encoding") == b"binary/null":
            return
        gate = await self._decoded([kept], Checkpoint)
        if gate and gate.plan:
            self.record.asked[gate.plan_hash] = gate.approvals_needed

    async def _workflow_execution_signaled(self, event, signaled):
        if signaled.signal_name in {"approve", "abort"}:
            payloads = signaled.input.payloads
            self._take(signaled.signal_name, event.event_id, await self._decoded(payloads), by_signal=True)

    async def _workflow_execution_update_accepted(self, event, accepted):
        asked = accepted.accepted_request
        if asked.input.name in {"decide", "abort_run"}:
            kind = {"decide": "approve", "abort_run": "abort"}[asked.input.name]
            given = await self._decoded(asked.input.args.payloads)
            self._updates[asked.meta.update_id] = kind, event.event_id, given

    async def _workflow_execution_update_completed(self, event, completed):
        asked = self._updates.pop(completed.meta.update_id, None)
        if asked is None or not completed.outcome.HasField("success"):
            return
        answer = await self._decoded(completed.outcome.success.payloads)
        kind, accepted, given = asked
        if kind == "approve":
            self._take(kind, accepted, given)
        elif not answer.get("already"):
            self._take(kind, event.event_id, given)  # from the answer on nobody expects a change

    async def _workflow_execution_cancel_requested(self, event, _):
        self.record.stops.append(Stop(event.event_id, keep=None, by_signal=False))

    async def _workflow_execution_completed(self, event, completed):
        self.record.ended = event.event_time.ToDatetime(UTC)
        report = await self._decoded(completed.result.payloads)
        rejected = report.get("rejected", ()) if isinstance(report, dict) else ()
        self._rejected = sum(item["message"] == "abort" for item in rejected)

    async def _workflow_execution_terminated(self, event, _):
        self.record.ended = event.event_time.ToDatetime(UTC)

    async def _child_workflow_execution_started(self, _, started):
        child = started.workflow_execution
        if not is_lock(child.workflow_id):
            self.record.children.append((child.workflow_id, child.run_id))

    def _take(self, kind, event, given, *, by_signal=False):
        try:
            if kind == "approve":
                self.record.yeses.append(Yes(event, Approval.model_validate(given)))
            else:
                order = Abort.model_validate(given)
                stop = Stop(
                    event, order.keep, by_signal, signed=order.statement is not None or order.from_parent
                )
                self.record.stops.append(stop)
        except ValidationError:
            return  # the run rejects it too

"""A small procedure that talks as the product's do, to test the command line against a real Temporal server."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from runbook_model.authority.shown import plan_hash
    from runbook_model.messages import Abort, Answer, Approval, Instruction, RollbackRequest
    from runbook_model.names import ids
    from runbook_model.plans import Plan, PlannedCall
    from runbook_model.releases.release import Fence, Release
    from runbook_model.reports import Change, Checkpoint, Outcome, Problem, Report, State, Step
    from runbook_model.steps import StepPlace
    from workflows.page.options import at_step

FAMILY = "arn:aws:ecs:us-east-1:123456789012:task-definition/ai-processor-prod"
PLAN = Plan(
    headline="Put ai-processor in prod back from 1.1.0 to 1.0.0",
    calls=(
        PlannedCall(
            service="ecs", action="UpdateService", parameters={"taskDefinition": "ai-processor-prod:1"}
        ),
    ),
    before=Release(task_definition=f"{FAMILY}:2"),
    after=Release(task_definition=f"{FAMILY}:1"),
    because=("1.0.0 ran well for an hour",),
    fence=Fence(primary="ecs-svc/1", task_definition=f"{FAMILY}:2"),
)


@activity.defn
async def read_service(service: str) -> str:
    return service


@workflow.defn(name="Rollback")
class AskingRollback:
    """Reads, asks, and ends as its reason says."""

    def __init__(self) -> None:
        self.report = Report(
            procedure="rollback",
            service="",
            environment="",
            requested_by="",
            state=State.RUNNING,
            summary="Started.",
        )
        self.approval: Approval | None = None
        self.abort_order: Abort | None = None

    @workflow.run
    async def run(self, request: RollbackRequest) -> Report:
        self.note(
            service=request.service,
            environment=request.environment,
            requested_by=request.requested_by,
            reason=request.reason,
            trace_id=request.trace_id,
            heading="Look",
            plan=PLAN,
            plan_hash=plan_hash(PLAN),
        )
        if request.to == "no-such-release":
            return self.end(
                Outcome.REFUSED, error=Problem(kind="input", message="there is no release no-such-release")
            )
        if request.to == "forbidden":
            return self.end(
                Outcome.REFUSED,
                error=Problem(kind="policy", message="the release is marked bad", fix="name another"),
            )
        self.note(admitted=True)
        await self.read()
        if request.plan_only:
            return self.end(Outcome.PLANNED)
        await self.ask()
        if self.abort_order:
            return self.end(Outcome.ABORTED)
        self.note(changes=(Change(action="UpdateService", before="2", after="1"),))
        return self.end(Outcome.NOT_RECOVERED if request.reason == "will not recover" else Outcome.RECOVERED)

    async def read(self) -> None:
        began = workflow.now()
        with at_step(StepPlace(heading="Look", number=1)):
            reading = workflow.start_activity(
                read_service,
                self.report.service,
                summary="Read the service",
                start_to_close_timeout=timedelta(seconds=5),
            )
        await reading
        step = Step(
            heading="Look", step="Read the service", state="done", started=began, ended=workflow.now()
        )
        self.note(steps=(step,))

    async def ask(self) -> None:
        gate = Checkpoint(
            question="Put it back?",
            plan=PLAN,
            plan_hash=plan_hash(PLAN),
            abort_means="change nothing",
            opened=workflow.now(),
            closes=workflow.now() + timedelta(minutes=30),
        )
        self.note(checkpoint=gate, state=State.AWAITING_APPROVAL, summary="Waits for an approval.")
        workflow.upsert_memo({"checkpoint": gate.model_dump(mode="json")})
        workflow.upsert_search_attributes([ids.STATE.value_set(State.AWAITING_APPROVAL)])
        await workflow.wait_condition(lambda: self.approval is not None or self.abort_order is not None)
        self.note(checkpoint=None, state=State.RUNNING)
        workflow.upsert_memo({"checkpoint": None})

    def end(self, outcome: Outcome, error: Problem | None = None) -> Report:
        workflow.upsert_search_attributes([ids.STATE.value_set(State.DONE), ids.OUTCOME.value_set(outcome)])
        self.note(state=State.DONE, outcome=outcome, summary=f"Ended: {outcome}.", error=error)
        return self.report

    def note(self, **update: object) -> None:
        self.report = self.report.model_copy(update=update)

    @workflow.query
    def status(self) -> Report:
        return self.report

    @workflow.signal
    def approve(self, approval: Approval) -> None:
        self.approval = self.approval or approval

    @workflow.signal
    def abort(self, order: Abort) -> None:
        self.abort_order = self.abort_order or order

    @workflow.update
    def decide(self, approval: Approval) -> Answer:
        already = self.approval is not None
        self.approval = self.approval or approval
        return Answer(detail="approved, 1 of 1", already=already)

    @decide.validator
    def check_decide(self, approval: Approval) -> None:
        if approval.by == self.report.requested_by:
            raise ApplicationError(f"{approval.by} asked for it and may not approve it", type="Rejected")
        if approval.plan_hash != plan_hash(PLAN):
            raise ApplicationError("the plan has changed", type="Rejected")
        if approval.option == "nonsense":
            raise ApplicationError("there is no option nonsense", type="InvalidMessage")

    @workflow.update
    def abort_run(self, order: Abort) -> Answer:
        self.abort_order = order
        return Answer(detail="stopping safely")

    @workflow.signal(name="pause")
    def pause_by_signal(self, _hold: Instruction) -> None:
        self.note(state=State.PAUSED)

    @workflow.update
    def pause(self, hold: Instruction) -> Answer:
        self.note(state=State.PAUSED)
        return Answer(detail=f"paused by {hold.by}")

    @workflow.update
    def resume(self, hold: Instruction) -> Answer:
        self.note(state=State.AWAITING_APPROVAL)
        return Answer(detail=f"continuing, says {hold.by}")

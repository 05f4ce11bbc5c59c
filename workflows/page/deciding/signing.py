"""What people sign: verified by the worker before a run takes it, and carried from the gate to the changes that it is for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.runtime.decisions import DecisionActivities
from runbook_model.authority.order import Authority, ChangeOrder
from runbook_model.authority.shown import Opened
from runbook_model.authority.standing import StandingQuestion
from runbook_model.authority.statement import (
    Expected,
    Kind,
    LapseQuestion,
    Presented,
    SignedBy,
    SignedStatement,
    Warrant,
    kind_of_answer,
)
from runbook_model.catalog.policies import Approvals
from runbook_model.catalog.target import Target
from runbook_model.errors import Rejected
from runbook_model.messages import Answer, Approval, ProcedureRequest, SignedStart, StartSignature
from runbook_model.plans import Plan
from runbook_model.reports import Checkpoint
from workflows.decisions.endings import cause_of, fix_of, problem_of
from workflows.page.deciding.gate import Gate
from workflows.page.options import SHOW
from workflows.page.telling.record import Record

KEPT = 5
"""Of a run that asks more often, what was decided long ago is undone by hand."""


class SignedOrder(Protocol):
    """What came, with whatever was signed."""

    @property
    def by(self) -> str:
        """Who decides."""

    @property
    def decision_id(self) -> str | None:
        """Names the decision."""

    @property
    def statement(self) -> str | None:
        """The exact text that was signed."""

    @property
    def signature(self) -> str | None:
        """Of the statement."""


class Signing:
    """What one run knows of signatures: whether they are asked for here."""

    def __init__(self, *, goes_on_as_new: bool = False) -> None:
        """Know nothing yet.

        Args:
            goes_on_as_new: whether the run continues as new ones, so that statements name the first of them.
        """
        self.asked_for: bool | None = None
        """None while it is not known: then the worker is asked, which reads its catalog."""
        self.lapses_after: timedelta | None = None
        """After this long a pause lapses, which nobody signs; None where decisions are not signed."""
        self._goes_on_as_new = goes_on_as_new

    def follow(self, policy: Approvals) -> None:
        """Note what the catalog says."""
        self.asked_for = policy.signed
        self.lapses_after = policy.escalate if policy.signed else None

    async def of_order(  # noqa: PLR0913 - what a statement of each kind names
        self,
        kind: Kind,
        message: SignedOrder,
        order: dict[str, Any],
        *,
        environment: str,
        service: str | None,
        sequence: int | None = None,
        run: tuple[str, str] | None = None,
        procedure: str | None = None,
        requester: str | None = None,
    ) -> SignedBy | None:
        """Return who signed an order; None where nobody has to.

        Args:
            kind: of the statement that it needs.
            message: what came.
            order: the fields that the statement is about.
            environment: of the run.
            service: of the run, or of the order.
            sequence: how many such orders were taken before.
            run: id and run id that the statement names, where they are not this run's.
            procedure: that the run is of, where the statement names it.
            requester: who asked for the run, likewise.

        Raises:
            Rejected: it is not signed, or the signature does not count.
        """
        if self.asked_for is False:
            return None
        info = workflow.info()
        own = info.first_execution_run_id if self._goes_on_as_new else info.run_id
        workflow_id, run_id = run or (info.workflow_id, own)
        expected = Expected(
            kinds=(kind,),
            namespace=info.namespace,
            workflow_id=workflow_id,
            run_id=run_id,
            sequence=sequence,
            environment=environment,
            service=service,
            procedure=procedure,
            requester=requester,
        )
        return await _verify(Presented(expected=expected, order=order, **_said(message)))


async def lapse_after(environment: str) -> timedelta | None:
    """Return how long something counts that nobody signs; None where decisions are not signed.

    Raises:
        Rejected: the worker cannot say it now.
    """
    asked = LapseQuestion(environment=environment)
    try:
        found = await workflow.execute_local_activity_method(
            DecisionActivities.lapse_after, asked, summary="Look how long it counts", **SHOW
        )
    except FailureError as error:
        raise _not_now(error) from None
    return found.after


async def verify_answer(
    approval: Approval, gate: Checkpoint, environment: str, service: str
) -> SignedBy | None:
    """Return who signed the answer to a gate; None where nobody has to.

    Raises:
        Rejected: it is not signed, or the signature does not count.
    """
    asker = gate.asked_by
    if asker is None or not asker.signed:
        return None
    expected = Expected(
        kinds=(kind_of_answer(approval.option or gate.options[0], task=gate.task is not None),),
        namespace=workflow.info().namespace,
        workflow_id=asker.workflow_id,
        run_id=asker.run_id,
        environment=environment,
        service=service,
        procedure=asker.procedure,
        gate=asker.gate,
        subject=gate.subject,
        options=(approval.option or gate.options[0],),
        requester=asker.requester,
    )
    anybody = gate.task is not None
    return await _verify(Presented(expected=expected, anybody=anybody, **_said(approval)))


def _said(message: SignedOrder) -> dict[str, Any]:
    signed = None
    if message.statement is not None:
        signed = SignedStatement(statement=message.statement, signature=message.signature or "")
    return {"by": message.by, "decision_id": message.decision_id, "signed": signed}


async def _verify(presented: Presented) -> SignedBy | None:
    try:
        judged = await workflow.execute_local_activity_method(
            DecisionActivities.verify_decision, presented, summary="Verify the signature", **SHOW
        )
    except FailureError as error:
        # It may be the activity's own error; one that left a signal's handler would end the run.
        if is_cancelled_exception(error):
            raise
        cause = cause_of(error)
        if cause and cause.type == Rejected.__name__:
            raise Rejected(cause.message, fix=fix_of(cause)) from None
        raise _not_now(error) from None
    return judged.signed_by


def _not_now(error: FailureError) -> Rejected:
    """Say why the worker cannot look now; a cancel passes.

    Raises:
        FailureError: it is one.
    """
    if is_cancelled_exception(error):
        raise error
    return Rejected(f"the signature cannot be verified now: {problem_of(error).line}", fix="send it again")


class Carried:
    """The signed decisions of one run."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._automatic = False
        self.start: SignedStart | None = None
        """The start of the run, where whoever asked for it signed that."""
        self.authorities: tuple[Authority, ...] = ()
        """What people signed for the run's changes, oldest first."""

    def begin(self, request: ProcedureRequest) -> None:
        """Note who asked."""
        self._automatic = request.automatic
        self.start = self.start or request.start

    def take_start(self, signature: StartSignature) -> Answer:
        """Take the signature of whoever asked for the run: without it one approval more is needed."""
        if not signature.statement or not signature.signature:
            raise Rejected("the start is not signed", fix="send statement and signature")
        info = workflow.info()
        self.start = SignedStart(
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            procedure=self._record.report.procedure,
            statement=signature.statement,
            signature=signature.signature,
        )
        self._record.decided("sign-start", signature.by, "signed the start")
        return Answer(detail="the start is signed")

    def with_authorities(self, given: Any) -> Any:
        """Have a change bring along what was signed for it; what only reads stays as it is."""
        if not isinstance(given, ChangeOrder) or not self.authorities:
            return given
        return given.model_copy(update={"authorities": self.authorities})

    async def stands(self, plan: Plan) -> bool:
        """Whether people agreed beforehand to a plan that no person asked for."""
        if not self._automatic:
            return False
        report = self._record.report
        asked = StandingQuestion(
            environment=report.environment,
            service=report.service,
            procedure=report.procedure,
            calls=plan.calls,
        )
        answer = await workflow.execute_local_activity_method(
            DecisionActivities.find_standing, asked, summary="Look for a standing statement", **SHOW
        )
        if answer.name:
            self._record.decided("approve", f"standing {answer.name}", plan.headline)
        return answer.name is not None

    def policy(self, target: Target) -> Approvals:
        """Return the policy of a plan's gate: a person's start that is not signed counts as nobody's."""
        policy = target.approvals
        unknown = policy.signed and not (self._automatic or policy.requester_may or self.start)
        return policy.model_copy(update={"needed": policy.needed + 1}) if unknown else policy

    def carry(self, gate: Gate, opened: Opened) -> None:
        """Carry what was signed at a gate."""
        statements = tuple(
            SignedStatement(statement=given.statement, signature=given.signature)
            for given in gate.view.approvals
            if given.statement and given.signature
        )
        if not statements:
            return
        info, report = workflow.info(), self._record.report
        authority = Authority(
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            procedure=report.procedure,
            gate=opened.gate,
            requester=report.requested_by,
            automatic=self._automatic,
            start=self.start,
            warrant=Warrant(document=opened.document, statements=statements),
        )
        self.add((authority,))

    def add(self, authorities: tuple[Authority, ...]) -> None:
        """Carry more; the newest are kept."""
        self.authorities = (*self.authorities, *authorities)[-KEPT:]

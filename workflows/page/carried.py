"""What people signed, carried from the gate to the changes that it is for."""

from __future__ import annotations

from temporalio import workflow

from activities.runtime.standing import StandingActivities
from runbook_model.authority.order import Authority
from runbook_model.authority.shown import Opened
from runbook_model.authority.standing import StandingQuestion
from runbook_model.authority.statement import SignedStatement, Warrant
from runbook_model.catalog.catalog import Target
from runbook_model.catalog.policies import Approvals
from runbook_model.errors import Rejected
from runbook_model.messages import Answer, ProcedureRequest, SignedStart, StartSignature
from runbook_model.plans import Plan
from workflows.page.gate import Gate
from workflows.page.options import SHOW
from workflows.page.record import Record

KEPT = 5
"""Of a run that asks more often, what was decided long ago is undone by hand."""


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
            StandingActivities.find_standing, asked, summary="Look for a standing statement", **SHOW
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

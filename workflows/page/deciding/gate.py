"""A checkpoint: what people are shown, who may answer, what was answered, whether that is enough, and what is known of it afterwards.

An activity writes down what is shown, and its hash is what people answer.
"""

from __future__ import annotations

from collections import deque

from temporalio import workflow

from activities.runtime.decisions import GateActivities
from runbook_model.authority.shown import APPROVE, GateRequest, Opened
from runbook_model.catalog.policies import Approvals
from runbook_model.catalog.target import Target
from runbook_model.errors import Rejected
from runbook_model.messages import Approval
from runbook_model.names.people import is_agent, looks_like, problem_with_name, same_person
from runbook_model.plans import Plan
from runbook_model.reports import Checkpoint, Task
from runbook_model.text.sentences import did_you_mean
from workflows.page.options import SHOW
from workflows.page.telling.record import Record

ANSWERS_KEPT = 32


class Gate:
    """Counts approvals of one exact plan."""

    def __init__(self, view: Checkpoint, policy: Approvals, requester: str) -> None:
        self.view = view
        self._policy = policy
        self._requester = requester

    @property
    def decided(self) -> bool:
        """Whether enough people agreed; where they sign, each with a key of their own."""
        return len(self._agreeing()) >= self.view.approvals_needed

    @property
    def option(self) -> str:
        """What was chosen."""
        return self._option(self.view.approvals[-1]) if self.view.approvals else self.view.options[0]

    def refuses(self, approval: Approval) -> Rejected | None:
        """Return why an approval does not count here; None when it does."""
        if self.decided:
            return Rejected("the checkpoint is decided already")
        if approval.plan_hash is None:
            why = "an approval that names no plan is not used"
            return Rejected(why, fix="look at the plan, and send its plan_hash with the approval")
        if approval.plan_hash != self.view.plan_hash:
            now = self.view.plan_hash
            why = f"the plan is not the one that was approved: it is {now} now, not {approval.plan_hash}"
            return Rejected(why, fix="look at it again")
        options = ", ".join(self.view.options)
        if approval.option is not None and approval.option not in self.view.options:
            meant = did_you_mean(approval.option, self.view.options)
            return Rejected(f'there is no option "{approval.option}"{meant}', fix=f"choose one of {options}")
        if approval.option is None and len(self.view.options) > 1:
            return Rejected("several options are open", fix=f"say which option: {options}")
        return self._refuses_person(approval)

    def _refuses_person(self, approval: Approval) -> Rejected | None:
        if is_agent(approval.by):
            return Rejected(f"{approval.by} is an agent, and never approves", fix="a person must")
        if same_person(approval.by, self._requester) and not self._policy.requester_may:
            why = f"{approval.by} asked for this and may not approve it"
            return Rejected(why, fix="somebody else must")
        people = self._policy.people
        if people and not any(same_person(approval.by, person) for person in people):
            return Rejected(f"{approval.by} may not approve here", fix=f"{', '.join(people)} may")
        for given in self.view.approvals:
            if approval.key and given.key == approval.key and not same_person(given.by, approval.by):
                why = f"the key that signed this signed for {given.by}"
                return Rejected(why, fix="sign with a key of your own")
        return self._confuses(approval.by)

    def _confuses(self, name: str) -> Rejected | None:
        """Return why a reader could take a name for another."""
        if problem := problem_with_name(name):
            return Rejected(f"the name {name} {problem}", fix="approve by another name")
        others = [*(given.by for given in self.view.approvals), *self._policy.people, self._requester]
        taken = next((other for other in others if looks_like(name, other)), None)
        if taken is None:
            return None
        return Rejected(f"the name {name} looks like {taken}, and is not", fix="approve by another name")

    def has(self, approval: Approval) -> bool:
        """Whether the same person gave the same answer before."""
        return (
            any(
                same_person(given.by, approval.by) and self._option(given) == self._option(approval)
                for given in self.view.approvals
            )
            and approval.plan_hash == self.view.plan_hash
        )

    def count(self, approval: Approval) -> str:
        """Count an approval; a person who changes their mind counts once. Returns where that leaves the gate."""
        kept = tuple(given for given in self.view.approvals if not same_person(given.by, approval.by))
        self.view = self.view.model_copy(update={"approvals": (*kept, approval)})
        chosen = self._option(approval)
        said = "approved" if chosen == "approve" else f"chose {chosen}"
        return f"{said}, {len(self._agreeing())} of {self.view.approvals_needed}"

    def _agreeing(self) -> list[Approval]:
        """List the approvals that agree with the newest one."""
        return [given for given in self.view.approvals if self._option(given) == self.option]

    def _option(self, approval: Approval) -> str:
        return approval.option or self.view.options[0]


class Answers:
    """The newest answers that were taken: who did not hear of it and gives the same again is reported, also after the end."""

    def __init__(self) -> None:
        self._given: deque[Approval] = deque(maxlen=ANSWERS_KEPT)

    def remember(self, approval: Approval) -> None:
        """Note an answer that was taken."""
        self._given.append(approval)

    def forget(self, plan_hash: str) -> None:
        """Forget the answers to a plan that is void: who repeats one has to hear that."""
        kept = (item for item in self._given if item.plan_hash != plan_hash)
        self._given = deque(kept, ANSWERS_KEPT)

    def has(self, approval: Approval) -> bool:
        """Whether the same person gave the same answer to the same plan before."""
        said = (approval.plan_hash, approval.option)
        return any(
            (item.plan_hash, item.option) == said and same_person(item.by, approval.by)
            for item in self._given
        )


class Showing:
    """Has written down what people are shown; workflow code computes nothing from its sentences."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._shown = 0

    async def show_plan(
        self, plan: Plan, target: Target, reasons: tuple[str, str | None, str | None]
    ) -> Opened:
        """Show a plan, with the question, what an earlier run left behind, and why it is asked once more."""
        question, left_behind, because = reasons
        text = " ".join(filter(None, (question, plan.needs_yes or left_behind, because)))
        return await self.show(text, target, about=plan)

    async def show(
        self,
        question: str,
        target: Target | None = None,
        *,
        options: tuple[str, ...] = APPROVE,
        why: str | None = None,
        about: Plan | Task | None = None,
    ) -> Opened:
        """Show a question, and return the document that answers name."""
        self._shown += 1
        report = self._record.report
        asked = GateRequest(
            run_id=workflow.info().run_id,
            number=self._shown,
            target=f"{report.environment}/{report.service}",
            resolved=target,
            question=question,
            why=why,
            plan=about if isinstance(about, Plan) else None,
            task=about if isinstance(about, Task) else None,
            options=options,
        )
        return await workflow.execute_local_activity_method(
            GateActivities.show_gate, asked, summary="Record the question", **SHOW
        )

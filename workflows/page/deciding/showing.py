"""What people are shown at a gate: an activity writes it down, and its hash is what they answer."""

from __future__ import annotations

from temporalio import workflow

from activities.runtime.decisions import GateActivities
from runbook_model.authority.shown import APPROVE, GateRequest, Opened
from runbook_model.catalog.target import Target
from runbook_model.plans import Plan
from runbook_model.reports import Task
from workflows.page.options import SHOW
from workflows.page.telling.record import Record


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

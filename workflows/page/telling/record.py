"""The account of a run: what was done, decided, read and refused; published where people look."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from temporalio import workflow

from runbook_model.bounds import cut_text
from runbook_model.measured.evidence import Cited
from runbook_model.measured.readings import Reading
from runbook_model.messages import ProcedureRequest
from runbook_model.names import ids
from runbook_model.plans import Plan
from runbook_model.reports import (
    DECISION_LONGEST,
    Change,
    Checkpoint,
    Decision,
    Ending,
    Rejection,
    Report,
    State,
    Step,
    Task,
    Undone,
    keep_decision,
    keep_rejection,
)
from workflows.page.telling.details import render
from workflows.page.telling.figures import Figures

READINGS_KEPT = 200


class Record:
    """What happened so far. Changes of state are search attributes; the page itself is the UI's current details."""

    def __init__(self, procedure: str) -> None:
        self._report = Report(
            procedure=procedure,
            service="",
            environment="",
            requested_by="",
            state=State.RUNNING,
            summary="Started.",
        )
        self.figures = Figures()
        self._of_child = 0
        self.listeners: list[Callable[[Report], None]] = []
        """They hear of everything that is noted."""
        self.seen: tuple[str, ...] = ()
        """Ids of the newest decisions that were taken."""
        self.paused_by: str | None = None

    def begin(self, request: ProcedureRequest) -> None:
        """Note who asked for what."""
        self._note(
            service=request.service,
            environment=request.environment,
            requested_by=request.requested_by,
            reason=request.reason,
            trace_id=request.trace_id,
        )
        self.figures.begin(self._report)
        if not workflow.info().typed_search_attributes.get(ids.STATE):
            workflow.upsert_search_attributes(
                [
                    ids.SERVICE.value_set(request.service),
                    ids.ENVIRONMENT.value_set(request.environment),
                    ids.PROCEDURE.value_set(self._report.procedure),
                    ids.STATE.value_set(State.RUNNING),
                ]
            )

    @property
    def resumed(self) -> int:
        """How often it was resumed."""
        return self._report.resumed

    @resumed.setter
    def resumed(self, resumed: int) -> None:
        self._note(resumed=resumed)

    @property
    def report(self) -> Report:
        """The page as it stands."""
        return self._report

    def heading(self, text: str) -> None:
        """Continue to the next part of the page."""
        self.figures.heading(text)
        self._note(heading=text, summary=text)

    def admitted(self) -> None:
        """Note that the run may work on its target."""
        self._note(admitted=True)

    def traced(self, link: str | None) -> None:
        """Note where the run's trace is seen."""
        self._note(trace=link)

    def summary(self, text: str) -> None:
        """Say where the run stands."""
        self._note(summary=text)

    def enter(self, state: State) -> State:
        """Change the state that lists are filtered by; returns the one before."""
        before = self._report.state
        if state is not before:
            workflow.upsert_search_attributes([ids.STATE.value_set(state)])
            self._note(state=state)
        return before

    def begin_step(self, words: str) -> int:
        """Add a step to the page; returns its place."""
        step = Step(heading=self._report.heading, step=words, state="running", started=workflow.now())
        self._note(steps=(*self._report.steps, step))
        return len(self._report.steps) - 1

    def end_step(
        self, place: int, state: str, detail: str | None = None, cited: tuple[Cited, ...] = ()
    ) -> None:
        """Note what became of a step, and what it was read from."""
        steps = list(self._report.steps)
        steps[place] = steps[place].model_copy(
            update={"state": state, "ended": workflow.now(), "detail": detail, "cited": cited}
        )
        self._note(steps=tuple(steps))

    def intend(self, action: str, before: str, after: str) -> int:
        """Note a change that is about to be made: from here on it may have been; returns its place."""
        change = Change(action=action, before=before, after=after, certain=False)
        self._set_changes((*self._report.changes, change))
        return len(self._report.changes) - 1

    def changed(self, place: int, **update: Any) -> None:
        """Note what became of a change."""
        changes = list(self._report.changes)
        changes[place] = changes[place].model_copy(update=update)
        self._set_changes(tuple(changes))

    def undone(self, place: int, came: Undone) -> None:
        """Note what came of the undo of a change."""
        self.changed(place, undone=came.detail, undo_failed=came.failed)

    def not_made(self, place: int) -> None:
        """Take a change back that was certainly not made."""
        self._set_changes(self._report.changes[:place] + self._report.changes[place + 1 :])

    def planned(self, plan: Plan, plan_hash: str | None = None) -> None:
        """Note the plan, and its hash once it is written down what people are shown."""
        self._note(plan=plan, plan_hash=plan_hash)

    def checkpoint(self, checkpoint: Checkpoint | None) -> None:
        """Note the gate that is open; also in the memo, where it is found without a worker."""
        opened_or_closed = (checkpoint is None) != (self._report.checkpoint is None)
        self._note(checkpoint=checkpoint)
        if opened_or_closed or checkpoint:
            workflow.upsert_memo({"checkpoint": checkpoint.model_dump(mode="json") if checkpoint else None})

    def read(self, readings: Iterable[Reading]) -> None:
        """Add readings; the newest are kept."""
        new = tuple(readings)
        self.figures.read(new)
        self._keep_readings(new)

    def found(self, text: str) -> None:
        """Note what the diagnosis found."""
        self._note(findings=(*self._report.findings, text), summary=text)

    def task(self, task: Task) -> int:
        """Note what people are to do; returns its place."""
        self._set_tasks((*self._report.tasks, task))
        return len(self._report.tasks) - 1

    def answered(self, place: int, task: Task) -> None:
        """Note what became of a task."""
        tasks = list(self._report.tasks)
        tasks[place] = task
        self._set_tasks(tuple(tasks))

    def decided(self, kind: str, by: str, detail: str) -> None:
        """Note a person's decision; the newest are kept."""
        decision = Decision(kind=kind, by=by, at=workflow.now(), detail=cut_text(detail, DECISION_LONGEST))
        self._note(decisions=keep_decision(self._report.decisions, decision))

    def keep_rejected(self, rejection: Rejection) -> None:
        """Keep what could not be used; the newest are kept."""
        self._note(rejected=keep_rejection(self._report.rejected, rejection))

    def child_begins(self) -> None:
        """Keep what an earlier child changed: it is not the one that will report about its changes."""
        self._of_child = 0

    def child_changed(self, changes: tuple[Change, ...]) -> None:
        """Show what the child under way has changed so far, in place of what it said before."""
        own = self._report.changes[: len(self._report.changes) - self._of_child]
        self._of_child = len(changes)
        self._set_changes((*own, *changes))

    def adopt(self, child: Report) -> None:
        """Take over what a child changed, measured, and left to people."""
        self._keep_readings(child.readings)
        self.child_changed(child.changes)
        if child.tasks:
            self._set_tasks((*self._report.tasks, *child.tasks))
        self._note(
            verdict=child.verdict,
            plan=child.plan,
            plan_hash=child.plan_hash,
            findings=(*self._report.findings, *child.findings),
        )

    def end(self, ending: Ending) -> None:
        """Close the page."""
        self.figures.end(ending)
        workflow.upsert_search_attributes(
            [ids.STATE.value_set(State.DONE), ids.OUTCOME.value_set(ending.outcome)]
        )
        self._note(
            state=State.DONE,
            outcome=ending.outcome,
            summary=ending.summary,
            verdict=ending.verdict or self._report.verdict,
            error=ending.error,
        )

    def _keep_readings(self, readings: tuple[Reading, ...]) -> None:
        self._note(readings=(*self._report.readings, *readings)[-READINGS_KEPT:])

    def _set_changes(self, changes: tuple[Change, ...]) -> None:
        """Keep the changes in the memo too: what was done to production must be readable without a worker."""
        self._note(changes=changes)
        workflow.upsert_memo({"changes": [change.model_dump(mode="json") for change in changes]})

    def _set_tasks(self, tasks: tuple[Task, ...]) -> None:
        """Keep the tasks in the memo too: what people have to do must be readable without a worker."""
        self._note(tasks=tasks)
        workflow.upsert_memo({"tasks": [task.model_dump(mode="json") for task in tasks]})

    def _note(self, **update: Any) -> None:
        self._report = self._report.model_copy(update=update)
        for hears in self.listeners:
            hears(self._report)
        workflow.set_current_details(render(self._report, ids.answered_at(workflow.info().workflow_id)))

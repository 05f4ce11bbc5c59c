"""The brake, asked again before each change that no person asked for: while a person holds it the run stands still."""

from __future__ import annotations

from activities.temporal.brakes import BrakeActivities
from runbook_model.brakes import Question
from runbook_model.reports import State
from runbook_model.text.sentences import sentence
from workflows.page.deciding.asking import Step
from workflows.page.options import LOOK, READ
from workflows.page.telling.record import Record


async def wait_for_brake(record: Record, step: Step) -> None:
    """Return once no person holds the brake of the run's target."""
    report = record.report
    question = Question(environment=report.environment, service=report.service)
    answer = await step("Ask the brake", BrakeActivities.read_brake, question, READ)
    held = getattr(answer, "held", None)
    if held is None:
        return
    record.decided("hold", "the brake", held.why)
    record.summary(f"No automatic change is made: {sentence(held.why)}")
    before = record.enter(State.PAUSED)
    await step("Wait until the brake is off", BrakeActivities.await_brake, question, LOOK)
    record.enter(before)

"""What every procedure takes from people and tells them: the same signals, updates and query on each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

from runbook_model.reports import Answer, Report

if TYPE_CHECKING:
    from workflows.page.page import Page


class ProcedureWorkflow:
    """A workflow with a page; its handlers only pass on.

    Handlers declare no type for what they take: a payload that fits no type would block the run for ever.
    """

    page: Page

    @workflow.signal(description="Say yes to the plan that is shown: {by, plan_hash?, option?, comment?}")
    def approve(self, request: object = None) -> None:
        """Take a person's yes to the plan that is shown."""
        self.page.inbox.from_signal("approve", self.page.inbox.approve, request)

    @workflow.signal(description="Stop safely, whatever is under way: {by, reason, keep?}")
    def abort(self, request: object = None) -> None:
        """Take a person's order to stop safely."""
        self.page.inbox.from_signal("abort", self.page.inbox.stop, request)

    @workflow.signal(name="pause", description="Hold before the next step: {by, reason?}")
    def pause_by_signal(self, request: object = None) -> None:
        """Hold before the next step, as the update of this name does."""
        self.page.inbox.from_signal("pause", self.page.inbox.pause, request)

    @workflow.signal(name="resume", description="Go on after a pause: {by, reason?}")
    def resume_by_signal(self, request: object = None) -> None:
        """Go on, as the update of this name does."""
        self.page.inbox.from_signal("resume", self.page.inbox.resume, request)

    @workflow.signal(description="Sent by a parent that was paused")
    def parent_paused(self, request: object = None) -> None:
        """Hold before the next step, as the parent does."""
        self.page.inbox.from_signal("parent_paused", self.page.inbox.pause, request)

    @workflow.signal(description="Sent by a parent that goes on")
    def parent_resumed(self, request: object = None) -> None:
        """Go on, as the parent does."""
        self.page.inbox.from_signal("parent_resumed", self.page.inbox.resume, request)

    @workflow.signal(description="Sent by a child whose checkpoint opened or closed")
    def child_checkpoint(self, request: object = None) -> None:
        """Show the child's checkpoint here too."""
        self.page.child_relay.from_child(request)

    @workflow.signal(description="Sent by a child that changed something")
    def child_changes(self, request: object = None) -> None:
        """Show what the child changed here too."""
        self.page.child_relay.changes_of_child(request)

    @workflow.signal(description="Sent by an incident that found this run: it hears from now on how it goes")
    def joined(self, request: object = None) -> None:
        """Tell an incident from now on."""
        self.page.incident_link.join(request)

    @workflow.update(description="As the signal approve, with an answer")
    def decide(self, request: object = None) -> Answer:
        """Take a person's yes and answer."""
        return self.page.inbox.from_update(self.page.inbox.approve, request)

    @workflow.update(description="As the signal abort, with an answer")
    def abort_run(self, request: object = None) -> Answer:
        """Take a person's order to stop and answer."""
        return self.page.inbox.from_update(self.page.inbox.stop, request)

    @workflow.update(description="Hold before the next step: {by, reason?}")
    def pause(self, request: object = None) -> Answer:
        """Hold before the next step."""
        return self.page.inbox.from_update(self.page.inbox.pause, request)

    @workflow.update(description="Go on after a pause: {by, reason?}")
    def resume(self, request: object = None) -> Answer:
        """Go on."""
        return self.page.inbox.from_update(self.page.inbox.resume, request)

    @workflow.update(description="Say that you have it: {by, reason?}")
    def acknowledge(self, request: object = None) -> Answer:
        """Note that a person has it."""
        return self.page.inbox.from_update(self.page.inbox.acknowledge, request)

    @workflow.update(description="Tell what you know: {by, impact?, root_cause?, eta?, observation?}")
    def note(self, request: object = None) -> Answer:
        """Keep what a person knows."""
        return self.page.inbox.from_update(self.page.inbox.note, request)

    @decide.validator
    def _check_decide(self, request: object = None) -> None:
        self.page.inbox.check("decide", request)

    @abort_run.validator
    def _check_abort_run(self, request: object = None) -> None:
        self.page.inbox.check("abort_run", request)

    @pause.validator
    def _check_pause(self, request: object = None) -> None:
        self.page.inbox.check("pause", request)

    @resume.validator
    def _check_resume(self, request: object = None) -> None:
        self.page.inbox.check("resume", request)

    @acknowledge.validator
    def _check_acknowledge(self, request: object = None) -> None:
        self.page.inbox.check("acknowledge", request)

    @note.validator
    def _check_note(self, request: object = None) -> None:
        self.page.inbox.check("note", request)

    @workflow.query(description="The page as it stands: steps, plan, checkpoint, readings, outcome")
    def status(self) -> Report:
        """Tell how things stand."""
        return self.page.report

    def reject(self, name: str, why: str, received: object) -> None:
        """Show what could not be used of a signal."""
        self.page.record.reject(name, why, received)

"""Tells each activity which step of its page it is, in a header."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from temporalio import workflow
from temporalio.worker import StartActivityInput, WorkflowOutboundInterceptor

from runbook_model.steps import STEP_HEADER, StepPlace

_PLACE: ContextVar[StepPlace | None] = ContextVar("place of a step", default=None)


@contextmanager
def at_step(place: StepPlace) -> Iterator[None]:
    """Send the place with the activities that are started here; nothing may be awaited in between."""
    token = _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(token)


class SendStep(WorkflowOutboundInterceptor):
    """Puts the step's place into the header of its activity."""

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002 - the SDK's name
        """Start the activity."""
        if place := _PLACE.get():
            input.headers = {**input.headers, STEP_HEADER: workflow.payload_converter().to_payload(place)}
        return super().start_activity(input)

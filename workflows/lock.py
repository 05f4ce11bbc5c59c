"""A lock: the child of the run that holds it, which Temporal ends with that run, however the run ends."""

from __future__ import annotations

from temporalio import workflow

from runbook_model.locks import LockRequest
from runbook_model.text.plain_text import markdown


@workflow.defn
class Lock:
    """Held as long as it runs; its id is what is locked, its parent is who holds it."""

    def __init__(self) -> None:
        self._released = False

    @workflow.signal(description="Sent by the holder, which continues without it")
    def release(self, request: object = None) -> None:
        """Be free again, before the holder ends."""
        del request
        self._released = True

    @workflow.run
    async def run(self, request: LockRequest) -> None:
        """Be held, until the holder releases it or ends."""
        workflow.set_current_details(
            markdown(f"{request.what}, held for {request.environment}/{request.service}")
        )
        await workflow.wait_condition(lambda: self._released)

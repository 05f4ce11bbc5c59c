"""An incident's review is written here, from the histories that Temporal holds."""

from __future__ import annotations

import asyncio

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from activities.review.gathering import gather
from activities.review.model import ReviewRequest, Written
from activities.review.shelves import Shelf, files_of
from activities.review.writing import write
from runbook_model.errors import UnreachableError

NOWHERE = "not written: RUNBOOK_REVIEWS names no place; `runbook review` prints it"


class ReviewActivities:
    """Writes reviews."""

    def __init__(self, client: Client, shelf: Shelf | None) -> None:
        self._client = client
        self._shelf = shelf

    @activity.defn
    async def write_review(self, request: ReviewRequest) -> Written:
        """Write the review of an incident that is about to end; the same again is harmless."""
        if self._shelf is None:
            return Written(detail=NOWHERE)
        try:
            chronicle = await gather(self._client, request.workflow_id, request.run_id)
        except RPCError as error:
            raise UnreachableError(f"could not read the incident's histories: {error.message}") from error
        files = files_of(await asyncio.to_thread(write, chronicle))
        places = await asyncio.to_thread(self._shelf.keep, files)
        return Written(detail=f"written to {places[0]}", places=places)

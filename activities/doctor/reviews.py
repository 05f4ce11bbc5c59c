"""Where the worker puts reviews, and whether it may."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from activities.doctor.looking import POLICY, NotSetError, Question, WrongError
from activities.doctor.simulator import Change, Simulator
from activities.review.shelves import S3
from runbook_model.catalog.accounts import Account

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients
    from activities.doctor.looking import Threads
    from runbook_model.checks import Place


class ReviewQuestions:
    """The question about the shelf that RUNBOOK_REVIEWS names; a bucket is written to by the worker's own identity."""

    def __init__(self, clients: AwsClients, threads: Threads, place: Place, shelf: str | None) -> None:
        self._clients = clients
        self._threads = threads
        self._place = place
        self._shelf = shelf

    def all(self) -> list[Question]:
        """Return it."""
        return [Question("reviews", self.look_at_shelf, POLICY, untold="let the worker reach IAM")]

    async def look_at_shelf(self) -> str:
        """Look at a folder, and ask IAM about a bucket; nothing is written."""
        if not self._shelf:
            raise NotSetError("RUNBOOK_REVIEWS is not set: reviews are written by runbook review alone")
        return await self._threads.run(self._try, self._shelf)

    def _try(self, shelf: str) -> str:
        bucket = S3.fullmatch(shelf)
        if bucket is None:
            return _look_at_folder(Path(shelf))
        own = self._clients.s3().meta
        key = "/".join(part for part in (bucket["prefix"], self._place.environment, "*") if part)
        put = Change("s3:PutObject", f"arn:{own.partition}:s3:::{bucket['bucket']}/{key}")
        simulator = Simulator(self._clients, Account(region=self._place.where.region))
        return simulator.try_all([put], own.region_name)


def _look_at_folder(folder: Path) -> str:
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise WrongError(
            f"the worker cannot write into {there}", f"let it, or correct RUNBOOK_REVIEWS = {folder}"
        )
    return f"{there} can be written to"

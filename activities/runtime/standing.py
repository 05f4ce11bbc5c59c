"""Looks whether people agreed beforehand to what a run wants to change by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from temporalio import activity

from runbook_model.authority.standing import StandingAnswer, StandingQuestion
from runbook_model.catalog.catalog import load_catalog
from runbook_model.errors import InputError, SignersError


class StandingActivities:
    """Reads standing statements; run as a local activity, for it asks nobody outside."""

    def __init__(self, catalog: Path, signers: Path | None, folder: Path | None) -> None:
        self._catalog = catalog
        self._signers = signers
        self._folder = folder

    @activity.defn
    def find_standing(self, asked: StandingQuestion) -> StandingAnswer:
        """Name the standing statement that covers a plan; what cannot be read covers nothing."""
        from activities.authority.signers import read_signers  # noqa: PLC0415 - the command line needs no cryptography
        from activities.authority.standing import Standing  # noqa: PLC0415 - likewise

        try:
            target = load_catalog(self._catalog).target(asked.service, asked.environment)
            signers = read_signers(self._signers)
        except (InputError, SignersError) as error:
            return StandingAnswer(why=str(error))
        namespace, now = activity.info().namespace, datetime.now(UTC)
        return Standing(self._folder).covers(
            target, asked.procedure, asked.calls, namespace=namespace, signers=signers, now=now
        )

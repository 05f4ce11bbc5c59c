"""What a run has a worker judge: what people send to it, what they agreed to beforehand, and what a gate shows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from temporalio import activity

from runbook_model.authority.shown import GateRequest, Opened, show
from runbook_model.authority.standing import StandingAnswer, StandingQuestion
from runbook_model.authority.statement import Judged, Lapse, LapseQuestion, Presented
from runbook_model.catalog.catalog import Catalog, load_catalog
from runbook_model.errors import CatalogError, InputError, Rejected, SignersError


class DecisionActivities:
    """Judges decisions and reads standing statements; run as local activities, for they ask nobody outside."""

    def __init__(self, catalog: Path, signers: Path | None, standing: Path | None = None) -> None:
        self._catalog = catalog
        self._signers = signers
        self._standing = standing

    @activity.defn
    def verify_decision(self, presented: Presented) -> Judged:
        """Verify a decision where the environment asks for signed ones.

        Raises:
            Rejected: it does not count; the reason may be that catalog or signers cannot be read.
        """
        from activities.authority.signers import read_signers  # noqa: PLC0415 - the command line needs no cryptography
        from activities.authority.verify import judge  # noqa: PLC0415 - likewise

        environments, name = self._read().environments, presented.expected.environment
        if name not in environments:
            raise Rejected(f'no environment "{name}" in the catalog')
        approvals = environments[name].approvals
        if not approvals.signed:
            return Judged()
        try:
            return Judged(
                signed_by=judge(presented, approvals, read_signers(self._signers), datetime.now(UTC))
            )
        except (SignersError, InputError) as error:
            raise Rejected(error.message, fix=error.fix) from None

    @activity.defn
    def lapse_after(self, asked: LapseQuestion) -> Lapse:
        """Say how long an agent's brake holds.

        Raises:
            Rejected: the catalog cannot be read, or has no such environment.
        """
        where = self._read().environments.get(asked.environment)
        if where is None:
            raise Rejected(f'no environment "{asked.environment}" in the catalog')
        return Lapse(after=where.approvals.escalate if where.approvals.signed else None)

    @activity.defn
    def find_standing(self, asked: StandingQuestion) -> StandingAnswer:
        """Name the standing statement that covers a plan; what cannot be read covers nothing."""
        from activities.authority.signers import read_signers  # noqa: PLC0415 - the command line needs no cryptography
        from activities.authority.warrants import Standing  # noqa: PLC0415 - likewise

        try:
            target = load_catalog(self._catalog).target(asked.service, asked.environment)
            signers = read_signers(self._signers)
        except (InputError, SignersError) as error:
            return StandingAnswer(why=str(error))
        namespace, now = activity.info().namespace, datetime.now(UTC)
        return Standing(self._standing).covers(
            target, asked.procedure, asked.calls, namespace=namespace, signers=signers, now=now
        )

    def _read(self) -> Catalog:
        try:
            return load_catalog(self._catalog)
        except CatalogError as error:
            raise Rejected(error.message, fix=error.fix) from None


class GateActivities:
    """Makes what gates show; run as a local activity, for it asks nobody outside."""

    @activity.defn
    async def show_gate(self, asked: GateRequest) -> Opened:
        """Record the question, with its hash."""
        return show(asked, datetime.now(UTC))

"""Verifies what people send to a run, before the run takes it: by the worker's own catalog and its file of signers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from temporalio import activity

from runbook_model.authority.expected import Judged, Presented
from runbook_model.catalog.catalog import Catalog, load_catalog
from runbook_model.errors import CatalogError, InputError, Rejected, SignersError


class DecisionActivities:
    """Judges decisions; run as a local activity, for it asks nobody outside."""

    def __init__(self, catalog: Path, signers: Path | None) -> None:
        self._catalog = catalog
        self._signers = signers

    @activity.defn
    def verify_decision(self, presented: Presented) -> Judged:
        """Verify a decision where the environment asks for signed ones.

        Raises:
            Rejected: it does not count; the reason may be that catalog or signers cannot be read.
        """
        from activities.authority.judging import judge  # noqa: PLC0415 - the command line needs no cryptography
        from activities.authority.signers import read_signers  # noqa: PLC0415 - likewise

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

    def _read(self) -> Catalog:
        try:
            return load_catalog(self._catalog)
        except CatalogError as error:
            raise Rejected(error.message, fix=error.fix) from None

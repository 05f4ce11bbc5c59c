"""Looks at the outside for ``runbook doctor``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio import activity

from activities.doctor.chat import ChatQuestions
from activities.doctor.dependencies import DependencyQuestions
from activities.doctor.looking import look, own_threads
from activities.doctor.permissions import PermissionQuestions, ReviewQuestions
from activities.doctor.place import PlaceQuestions
from activities.doctor.service import ServiceQuestions
from activities.doctor.signers import SignerQuestions
from runbook_model.catalog.catalog import Target
from runbook_model.checks import Check, Place, TargetChecks

if TYPE_CHECKING:
    from activities.chat.channels import Channels
    from activities.doctor.procedures import ProcedureQuestions
    from activities.measuring.sources import Sources


class Checkup:
    """Asks every question at once, on threads that no procedure needs."""

    def __init__(
        self,
        sources: Sources,
        channels: Channels,
        reviews: str | None,
        procedures: ProcedureQuestions,
        signers: Path | None = None,
        standing: Path | None = None,
    ) -> None:
        self._sources = sources
        self._channels = channels
        self._procedures = procedures
        self._reviews = reviews
        self._signers = signers
        self._standing = standing

    async def at_place(self, place: Place, served: datetime) -> tuple[Check, ...]:
        """Look at what the services of an environment share; ``served`` is what Temporal's clock said a moment ago."""
        with own_threads() as threads:
            shared = PlaceQuestions(self._sources, threads, place, served)
            chat = ChatQuestions(self._channels, place.channels)
            reviews = ReviewQuestions(self._sources.aws, threads, place, self._reviews)
            procedures = self._procedures.all(threads)
            signers = SignerQuestions(
                threads, place, self._signers, self._standing, activity.info().namespace
            )
            questions = [*shared.all(), *chat.all(), *reviews.all(), *signers.all(), *procedures]
            return await look(questions, place.environment)

    async def at_target(self, target: Target) -> TargetChecks:
        """Look at one service."""
        with own_threads() as threads:
            itself = ServiceQuestions(self._sources, threads, target)
            changes = PermissionQuestions(self._sources.aws, threads, target)
            dependencies = DependencyQuestions(self._sources, threads, target)
            questions = [*itself.all(), *changes.all(), *dependencies.all()]
            checks = await look(questions, target.environment, target.service)
        return TargetChecks(checks=checks, service=itself.service, history=itself.history)

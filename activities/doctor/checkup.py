"""Looks at the outside for runbook doctor: every question at once, that about procedures of packages included."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio import activity

from activities.doctor.chat import ChatQuestions
from activities.doctor.dependencies import DependencyQuestions
from activities.doctor.looking import NotSetError, Question, Threads, WrongError, look, own_threads, questions
from activities.doctor.permissions import PermissionQuestions, ReviewQuestions
from activities.doctor.place import PlaceQuestions
from activities.doctor.service import ServiceQuestions
from activities.doctor.signers import SignerQuestions
from runbook_model.catalog.catalog import Target, load_catalog
from runbook_model.checks import Check, Place, TargetChecks
from runbook_model.procedures import KnownProcedures

if TYPE_CHECKING:
    from activities.chat.channels import Channels
    from activities.measuring.sources import Sources


class ProcedureQuestions:
    """The question about procedures that installed packages bring."""

    def __init__(self, catalog: Path, known: KnownProcedures) -> None:
        self._catalog = catalog
        self._known = known

    def all(self, threads: Threads) -> list[Question]:
        """Return it."""
        return questions({"procedures": lambda: threads.run(self.look)})

    def look(self) -> str:
        """Look at the packages, and at what the catalog names."""
        catalog = load_catalog(self._catalog)
        for name in (*self._known.broken, *catalog.procedures, *(row.procedure for row in catalog.alerts)):
            if name not in self._known:
                raise WrongError(*self._known.why_not(name))
        if not self._known.own:
            raise NotSetError("only the product's own: no installed package brings any")
        return "; ".join(f"{name} by {source}" for name, source in sorted(self._known.own.items()))


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

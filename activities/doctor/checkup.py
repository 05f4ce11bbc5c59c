"""Looks at the outside for ``runbook doctor``: every question at once, that about procedures of packages included."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio import activity

from activities.doctor.chat import try_channels
from activities.doctor.dependencies import DependencyQuestions
from activities.doctor.looking import NotSetError, WrongError, look, own_threads, questions
from activities.doctor.permissions import look_at_shelf, simulate_changes
from activities.doctor.place import PlaceQuestions
from activities.doctor.service import ServiceQuestions
from activities.doctor.signers import SignerQuestions
from runbook_model.catalog.reading import load_catalog
from runbook_model.catalog.target import Target
from runbook_model.checks import Check, Place, TargetChecks
from runbook_model.names.procedures import KnownProcedures

if TYPE_CHECKING:
    from activities.chat.channels import Channels
    from activities.measuring.sources import Sources


def look_at_procedures(catalog: Path, known: KnownProcedures) -> str:
    """Look at the packages that bring procedures, and whether the worker has each that its catalog names.

    Raises:
        NotSetError: no package brings any.
        WrongError: one is missing, or cannot be used.
    """
    found = load_catalog(catalog)
    for name in (*known.broken, *found.procedures, *(row.procedure for row in found.alerts)):
        if name not in known:
            raise WrongError(*known.why_not(name))
    if not known.own:
        raise NotSetError("only the product's own: no installed package brings any")
    return "; ".join(f"{name} by {source}" for name, source in sorted(known.own.items()))


class Checkup:
    """Asks every question at once, on threads that no procedure needs."""

    def __init__(
        self,
        sources: Sources,
        channels: Channels,
        reviews: str | None,
        procedures: Callable[[], str],
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
            signing = SignerQuestions(place, self._signers, self._standing, activity.info().namespace)
            others = questions(
                {
                    "chat": lambda: try_channels(self._channels, place.channels),
                    "reviews": lambda: threads.run(look_at_shelf, self._sources.aws, place, self._reviews),
                    "signers": lambda: threads.run(signing.look),
                    "standing": lambda: threads.run(signing.look_at_standing),
                    "procedures": lambda: threads.run(self._procedures),
                }
            )
            return await look([*shared.all(), *others], place.environment)

    async def at_target(self, target: Target) -> TargetChecks:
        """Look at one service."""
        with own_threads() as threads:
            itself = ServiceQuestions(self._sources, threads, target)
            changes = questions(
                {"permissions": lambda: threads.run(simulate_changes, self._sources.aws, target)}
            )
            dependencies = DependencyQuestions(self._sources, threads, target)
            asked = [*itself.all(), *changes, *dependencies.all()]
            checks = await look(asked, target.environment, target.service)
        return TargetChecks(checks=checks, service=itself.service, history=itself.history)

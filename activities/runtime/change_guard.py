"""Activities trust nothing but names: the worker's own catalog says what a target is, and only its own runs may change it.

That catches mistakes and is no security boundary: who reaches Temporal chooses the type, the id and the queue of a run.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.runtime.fence import refuse_to_send, warranted_by
from runbook_model.catalog.catalog import load_catalog
from runbook_model.catalog.target import Target
from runbook_model.errors import CatalogError, NotWarrantedError, PolicyError, RunbookError
from runbook_model.names.ids import hold_id, is_ledger_of, is_under_lock, target_of

if TYPE_CHECKING:
    from activities.runtime.interceptors import EnvironmentGuard


FillIn = Callable[[Any], Awaitable[Any]]
Authorize = Callable[[object, Target], Awaitable[tuple[str, ...]]]

TAKES_BACK, MARKS = "restore_capacity", "mark_release"
"""The changes that a hold, and a look into the ledger of releases, may make too."""
PLACE = ("platform", "region", "assume_role", "cluster", "ecs_service", "compose_project", "compose_service")
"""What of a target says where it is: a run works in one place from its start to its end."""
AIM = (*PLACE, "terraform", "database")
"""What of a target says where a change lands."""
AGREED = ("thresholds", "verify", "rollback", "scale", "links")
"""What a run keeps of a target as it resolved it first; addresses and secrets are those of the catalog as it is now."""


class GuardChanges(Interceptor):
    """Stands before every activity, those of packages too: what one reads of a target is the catalog's, what changes it is judged.

    One on a target of another environment than that of its queue is refused.
    """

    def __init__(
        self,
        served: EnvironmentGuard,
        catalog: Path,
        changes: Collection[str],
        *,
        fenced: Collection[str] = (),
        fill_in: Mapping[str, FillIn] | None = None,
        authorize: Authorize | None = None,
    ) -> None:
        """Guard changes.

        Args:
            served: the queues of the worker.
            catalog: its catalog, read again for each change.
            changes: names of the activities that change something.
            fenced: those that ask before they send, and so can adopt what an earlier attempt made.
            fill_in: activity -> what writes into its input what the worker itself finds out.
            authorize: verifies the signed decisions that a change brings along, where its environment asks for them.
        """
        self.served = served
        self.catalog = catalog
        self.changes = {*changes, TAKES_BACK, MARKS}
        self.fenced = fenced
        self.fill_in = fill_in or {}
        self.authorize = authorize

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap an activity."""
        return _Guarding(next, self)


class _Guarding(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, guard: GuardChanges) -> None:  # noqa: A002 - the SDK's name
        super().__init__(next)
        self._guard = guard

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        if activity.info().activity_type in self._guard.changes:
            try:
                input.args = [await self._checked(given) for given in input.args]
            except RunbookError as error:
                error.certainly_not_made = activity.info().attempt == 1
                raise
        else:
            input.args = [await self._looks(given) for given in input.args]
        return await super().execute_activity(input)

    async def _looks(self, given: object) -> object:
        """Return what a look is given: nobody sends a worker with its secrets elsewhere than its own catalog does."""
        sent = _target(given)
        if sent is None:
            return given
        self._guard.served.check(sent.environment)
        target = await asyncio.to_thread(self._resolve, sent.environment, sent.service)
        _check_aim(sent, target, PLACE)
        own = target.model_copy(update={name: getattr(sent, name) for name in AGREED})
        return own if isinstance(given, Target) else _with_target(given, own)

    async def _checked(self, given: object) -> object:
        """Return what a change is given, with the target as this worker's catalog has it."""
        sent = _target(given)
        environment, service = (sent.environment, sent.service) if sent else _names()
        self._guard.served.check(environment)
        _check_caller(environment, service)
        target = await asyncio.to_thread(self._resolve, environment, service)
        if sent is None:
            await self._authorize(given, target)
            return given
        _check_aim(sent, target)
        own = target.model_copy(update={"links": sent.links})
        given = own if isinstance(given, Target) else _with_target(given, own)
        fill_in = self._guard.fill_in.get(activity.info().activity_type)
        filled = await fill_in(given) if fill_in else given
        await self._authorize(filled, target)
        return filled

    async def _authorize(self, given: object, target: Target) -> None:
        """Have the decisions verified that the change brings along.

        An attempt after the first one may find that its change is made already, and adopts it: it is only kept from sending.

        Raises:
            NotWarrantedError: nobody's valid yes is for this very call.
        """
        if self._guard.authorize is None or not target.approvals.signed:
            return
        try:
            warranted_by(await self._guard.authorize(given, target))
        except NotWarrantedError as error:
            info = activity.info()
            if info.attempt == 1 or info.activity_type not in self._guard.fenced:
                raise
            refuse_to_send(error)

    def _resolve(self, environment: str, service: str) -> Target:
        try:
            return load_catalog(self._guard.catalog).target(service, environment)
        except CatalogError as error:
            error.retryable = (
                True  # somebody edits it at this moment: a change waits, and an undo is not lost
            )
            raise


def _target(given: object) -> Target | None:
    found = given if isinstance(given, Target) else getattr(given, "target", None)
    return found if isinstance(found, Target) else None


def _with_target(given: Any, target: Target) -> object:
    if isinstance(given, BaseModel):
        return given.model_copy(update={"target": target})
    return dataclasses.replace(given, target=target)


def _names() -> tuple[str, str]:
    """Name the target of a change that is given none: the one whose lock the run holds."""
    found = target_of(activity.info().workflow_id or "")
    if found is None:
        raise _no_caller("anything")
    return found


def _check_caller(environment: str, service: str) -> None:
    """Let a change continue that the target's own run makes, or a child of it.

    Raises:
        PolicyError: another run asks for it, or none.
    """
    info = activity.info()
    run = info.workflow_id or ""
    may = is_under_lock(run, environment, service)
    may = may or (info.activity_type == TAKES_BACK and run == hold_id(environment, service))
    may = may or (info.activity_type == MARKS and is_ledger_of(run, environment, service))
    if not may:
        raise _no_caller(f"{environment}/{service}")


def _no_caller(target: str) -> PolicyError:
    info = activity.info()
    who = f"the run {info.workflow_id}" if info.workflow_id else "an activity without a run"
    return PolicyError(
        f"{who} may not change {target}: {info.activity_type} is for the run that holds the target's lock",
        fix="start a procedure with runbook start",
    )


def _check_aim(sent: Target, own: Target, aim: tuple[str, ...] = AIM) -> None:
    """Let work continue that is for what the catalog names now.

    Raises:
        PolicyError: the catalog names something else.
    """
    changed = [name for name in aim if getattr(sent, name) != getattr(own, name)]
    if changed:
        raise PolicyError(
            f"this is for another {', '.join(changed)} of {own.key} than this worker's catalog names now",
            fix="start the procedure again",
        )

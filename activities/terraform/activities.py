"""Terraform: plan a change of a module, and apply exactly that plan, at most once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from temporalio import activity

from activities.ecs.changes import drifted
from activities.ecs.tasks import describe_service
from activities.runtime.fence import may_send
from activities.runtime.waiting import handed_over
from activities.terraform.program import Module
from activities.terraform.run import NOT_STARTED, Run, TerraformApplied, started_before
from runbook_model import calls
from runbook_model.authority.order import ChangeOrder
from runbook_model.catalog.target import Target
from runbook_model.errors import (
    ApplyFailedError,
    CutOffApplyError,
    InputError,
    OutsideError,
    PolicyError,
    RunbookError,
    StalePlanError,
    StateLockedError,
    TerraformError,
)
from runbook_model.plans import PlannedCall
from runbook_model.releases.release import Fence
from runbook_model.releases.terraform_plans import TerraformPlan, TerraformWish

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients
    from activities.terraform.state import PlanStore

PLAN_WAITS = timedelta(seconds=20)
"""How long one attempt to plan waits for a lock, before its error is shown and the next attempt is made."""
TRIES = 5
"""Attempts to plan where Terraform itself fails."""


class TerraformApply(ChangeOrder):
    """The plan to apply."""

    variables: dict[str, str]
    hash: str
    run_id: str
    fence: Fence | None = None
    """The service as the plan saw it; None in orders that were given before it was looked at."""

    @property
    def call(self) -> PlannedCall:
        """The apply."""
        return calls.terraform(self.target.terraform, self.variables)

    @property
    def planned_essence(self) -> str:
        """The hash of Terraform's plan."""
        return self.hash


class TerraformActivities:
    """Plans and applies. State and plan files stay on this machine, in the plan store."""

    def __init__(
        self, clients: AwsClients, store: PlanStore, lock_patience: timedelta, program: str | None = None
    ) -> None:
        self._store = store
        self._patience = lock_patience
        self._clients = clients
        self._program = program

    @activity.defn
    async def plan_terraform(self, wish: TerraformWish) -> TerraformPlan:
        """Plan what the module would change with the variables; keeps the plan's file for the apply."""
        info = activity.info()
        try:
            planning = Run(self._module(wish.target), self._store, wish, info.workflow_run_id or "")
            return await planning.plan(min(PLAN_WAITS, self._patience))
        except StateLockedError as error:
            error.retryable = error.retryable and _waited() < self._patience
            raise
        except TerraformError as error:
            error.retryable = info.attempt < TRIES
            raise

    # Long, and on the queue of waits: it holds no thread.
    @activity.defn
    async def apply_terraform(self, change: TerraformApply) -> TerraformApplied:
        """Apply the approved plan; what an earlier attempt did is found out first and never done again.

        Raises:
            DriftedError: somebody else deployed, which Terraform's state does not know; nothing was applied.
            StalePlanError: the plan is no longer what Terraform would do; nothing was applied.
            CutOffApplyError: an earlier attempt was cut off and left something to do.
            StateLockedError: somebody else held the state for too long.
            ApplyFailedError: Terraform failed half-way.
        """
        _check_variables(change)
        wish = TerraformWish(target=change.target, variables=change.variables)
        before = started_before()
        run = Run(self._module(change.target), self._store, wish, change.run_id, started_before=before)
        beating = asyncio.create_task(_beat(run))
        try:
            if before:
                return await self._reconcile(run)
            await self._nobody_deployed(change)
            return await self._apply(run, change.hash)
        except RunbookError as error:
            error.certainly_not_made = not before and not isinstance(error, ApplyFailedError)
            if isinstance(error, StateLockedError | TerraformError):
                error.retryable = False
            elif isinstance(error, OutsideError):  # AWS did not answer, so Terraform was not started
                error.retryable = error.retryable and _waited() < self._patience
                if error.retryable and not before:
                    activity.heartbeat(NOT_STARTED, activity.info().attempt)
            raise
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details and details.worker_shutdown and not details.cancel_requested:
                raise handed_over() from None
            raise
        finally:
            beating.cancel()

    async def _nobody_deployed(self, change: TerraformApply) -> None:
        """Look once more that the service is as the plan saw it: a pause or a brake may have held the apply for long."""
        if change.fence is None:
            return
        now = await asyncio.to_thread(describe_service, self._clients, change.target)
        if now.fence != change.fence:
            raise drifted(change.fence, now)

    async def _reconcile(self, run: Run) -> TerraformApplied:
        run.summary = "an earlier attempt was cut off: looking what it left"
        left = await run.plan(self._patience)
        if left.empty:
            return TerraformApplied(detail="an earlier attempt had applied it", adopted=True)
        raise CutOffApplyError(f"an apply was cut off; Terraform has left to do: {left.summary}")

    async def _apply(self, run: Run, approved: str) -> TerraformApplied:
        may_send()
        file = self._store.path(run.run_id, approved)
        if not file.exists():
            run.summary = "the plan's file is not on this worker: making the plan again"
            again = await run.plan(self._patience)
            if again.hash != approved:
                raise StalePlanError(f"what was approved is not what Terraform would do now: {again.summary}")
        applied = await run.apply(file, self._patience)
        file.unlink(missing_ok=True)
        return applied

    def _module(self, target: Target) -> Module:
        if target.terraform is None:
            raise InputError(
                f"the catalog names no Terraform module for {target.key}", fix="add terraform = { … }"
            )
        environment = partial(self._clients.environment, target.account)
        return Module(target.terraform, environment, self._program)


def _check_variables(change: TerraformApply) -> None:
    """Let values pass of the variables that the catalog names, and numbers where it asks for numbers.

    Raises:
        PolicyError: another variable is set, or a size is no number.
    """
    terraform, database = change.target.terraform, change.target.database
    pool = database.pool.terraform_variable if database and database.pool else None
    sizes = {terraform.cpu_variable, terraform.memory_variable, pool} if terraform else set()
    names = sizes | {terraform.image_variable if terraform else None}
    wrong = [
        name for name, value in change.variables.items()
        if name not in names or (name in sizes and not value.isdigit())
    ]  # fmt: skip
    if wrong:
        raise PolicyError(
            f"{', '.join(wrong)} is not set so by any plan for {change.target.key}: the catalog names its variables",
            fix="start a procedure with runbook start",
            certainly_not_made=True,
        )


def _waited() -> timedelta:
    return datetime.now(UTC) - activity.info().scheduled_time


async def _beat(run: Run) -> None:
    every = (activity.info().heartbeat_timeout or timedelta(seconds=30)).total_seconds() / 3
    while True:
        activity.heartbeat(run.summary)
        await asyncio.sleep(every)

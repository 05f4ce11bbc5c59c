"""One plan or apply under way: past other people's locks, and handed over when this worker shuts down."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporalio import activity

from activities.runtime.waiting import handed_over
from activities.terraform.reading import read_plan
from runbook_model.errors import ApplyFailedError, StalePlanError, StateLockedError
from runbook_model.fact import Fact
from runbook_model.releases.terraform_plans import TerraformPlan, TerraformWish

if TYPE_CHECKING:
    from activities.terraform.program import Module, Said
    from activities.terraform.state import PlanStore

ASKED_AGAIN_AFTER = 2.0
"""Seconds between two tries to get the lock."""
NOT_STARTED = "nothing was started"
"""The last word of an attempt that certainly applied nothing, for the next one."""


class TerraformApplied(Fact):
    """What came of an apply."""

    detail: str
    adopted: bool = False
    """An earlier attempt had applied it."""

    @property
    def summary(self) -> str:
        """What a person reads of it."""
        return self.detail


class Run:
    """One wish in its module, with what is being done about it."""

    def __init__(
        self,
        module: Module,
        store: PlanStore,
        wish: TerraformWish,
        run_id: str,
        *,
        started_before: bool = False,
    ) -> None:
        self._module, self._store, self._wish = module, store, wish
        assert wish.target.terraform
        self._owner = wish.target.terraform
        self.run_id = run_id
        self.summary = "starting"
        """Where it stands, as text."""
        self._started_before = started_before

    async def plan(self, patience: timedelta) -> TerraformPlan:
        """Plan, and keep the file."""
        with self._store.workplace() as workplace:
            file = workplace / "plan"
            variables = [f"-var-file={name}" for name in self._owner.var_files]
            variables += [f"-var={name}={value}" for name, value in self._wish.variables.items()]
            arguments = ("plan", "-json", "-input=false", "-lock-timeout=1s", f"-out={file}", *variables)
            said = await self._past_lock(lambda: self._initialised(arguments, workplace), patience)
            if said.code:
                raise said.error("plan")
            said, shown = await self._module.run("show", "-json", str(file), workplace=workplace)
            if said.code:
                raise said.error("show its plan")
            document: dict[str, Any] = await asyncio.to_thread(_json, shown)
            plan = await asyncio.to_thread(read_plan, document, self._wish, self._owner)
            self._store.keep(file, self.run_id, plan.hash)
            return plan.model_copy(update={"state": await self._module.state()})

    async def apply(self, file: Path, patience: timedelta) -> TerraformApplied:
        """Apply a plan's file."""
        with self._store.workplace() as workplace:
            arguments = ("apply", "-json", "-input=false", "-lock-timeout=1s", str(file))
            said = await self._past_lock(lambda: self._run_once(arguments, workplace), patience)
        if not said.code:
            return TerraformApplied(detail=_summary(said))
        error = said.error("apply")
        if isinstance(error, StalePlanError):
            raise error
        raise ApplyFailedError(
            f"Terraform stopped in the middle, some of the plan may be applied: {said.summary}"
        )

    async def _initialised(self, arguments: tuple[str, ...], workplace: Path) -> Said:
        said = await self._run_once(arguments, workplace)
        if said.wants_init:
            said = await self._run_once(
                ("init", "-input=false", "-no-color", "-lockfile=readonly"), workplace
            )
            if said.code:
                raise said.error("initialise the module")
            said = await self._run_once(arguments, workplace)
        return said

    async def _run_once(self, arguments: tuple[str, ...], workplace: Path) -> Said:
        return (await self._module.run(*arguments, workplace=workplace, hear=self._on_line))[0]

    async def _past_lock(self, run: Callable[[], Awaitable[Said]], patience: timedelta) -> Said:
        """Run until the lock is had; while it is not, nothing was started, and another worker may continue at once.

        Raises:
            StateLockedError: the time is up, or the lock was left behind by a run that is gone.
        """
        until = time.monotonic() + patience.total_seconds()
        suspected = ""
        while (lock := (said := await run()).lock) is not None:
            self.summary = lock.summary
            gone = lock.is_left_behind
            if (gone and lock.id == suspected) or time.monotonic() >= until:
                why = "; no Terraform runs on this machine any more" if gone else ""
                fix = lock.fix(self._owner.command)
                raise StateLockedError(f"{lock.summary}{why}", fix=fix, retryable=not gone)
            suspected = lock.id if gone else ""
            if await _shutdown_within(ASKED_AGAIN_AFTER):
                if not self._started_before:
                    activity.heartbeat(NOT_STARTED, activity.info().attempt)
                raise handed_over()
        return said

    def _on_line(self, line: str) -> None:
        self.summary = line


def started_before() -> bool:
    """Whether an attempt before this one may have started to apply: unless the last one said otherwise at its end.

    The word of any earlier attempt than the last counts for nothing: one between may have died before it said its own.
    """
    info = activity.info()
    return info.attempt > 1 and list(info.heartbeat_details) != [NOT_STARTED, info.attempt - 1]


async def _shutdown_within(seconds: float) -> bool:
    try:
        await asyncio.wait_for(activity.wait_for_worker_shutdown(), seconds)
    except TimeoutError:
        return False
    return True


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def _summary(said: Said) -> str:
    done = (line for line in reversed(said.lines) if "complete!" in line)
    return next(done, said.lines[-1] if said.lines else "applied")

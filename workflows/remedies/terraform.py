"""Terraform: plan, apply exactly that plan, agree to what an apply that was cut off left, apply the way back.

What a plan is for, and which deployment comes of it, is each remedy's own: see ``release_by_terraform`` and ``task_size``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, cast

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.ecs.activities import EcsActivities
from activities.ecs.orders import Deployed
from activities.terraform.activities import TerraformActivities, TerraformApply
from runbook_model.plans import PlannedCall
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Fence
from runbook_model.releases.terraform_plans import TerraformPlan, TerraformWish
from runbook_model.reports import Outcome, Undone, not_undone
from workflows.decisions.endings import cause_of
from workflows.decisions.terraform.rollback import by_hand, changes_more_than
from workflows.decisions.terraform.sizing import runs_value
from workflows.page.options import APPLY, PLAN, ActivityOptions
from workflows.page.run import Run
from workflows.page.run_loop import Undo
from workflows.platforms.deployment import await_undone

if TYPE_CHECKING:
    from activities.terraform.run import TerraformApplied

CUT_OFF = "An apply was cut off half-way; this is what is left of it."


class ByTerraform(Protocol):
    """A plan that Terraform carries out."""

    @property
    def terraform(self) -> TerraformPlan:
        """What it would do."""
        ...

    @property
    def fence(self) -> Fence:
        """The state of the service that it was made on."""
        ...

    @property
    def calls(self) -> tuple[PlannedCall, ...]:
        """What people are shown."""
        ...

    @property
    def was(self) -> str:
        """What is there before, as text."""
        ...

    @property
    def shall_be(self) -> str:
        """What is wanted, as text."""
        ...

    def model_copy(self, *, update: dict[str, Any]) -> Self:
        """Return it with other fields."""
        ...


SomeChange = TypeVar("SomeChange", bound=ByTerraform)


async def plan_with_terraform(run: Run, variables: dict[str, str]) -> TerraformPlan:
    """Ask Terraform what it would change with these values; from the second plan on under the lock of its state."""
    locks = run.page.locks
    run.page.unless_ending(await locks.hold_state())
    wish = TerraformWish(target=run.target, variables=variables)
    plan = await run.page.read("Plan with Terraform", TerraformActivities.plan_terraform, wish, options=PLAN)
    locks.knows_state(plan.state, plan.directory)
    return plan


async def end_if_deployed_meanwhile(run: Run, plan: ByTerraform) -> None:
    """Look once more, just before the apply, that the service is as the plan saw it; end the page where it is not."""
    service = await run.page.read("Check that nothing changed", EcsActivities.read_service, run.target)
    if service.fence != plan.fence:
        running = service.task_definition.rpartition("/")[2]
        run.page.end(Outcome.SUPERSEDED, f"{running} was deployed meanwhile; this run does not touch it.")


async def apply_all(run: Run, plan: SomeChange, undo: Undo) -> bool:
    """Apply the plan, all of it; False where it was stale: nothing was applied, and it must be made again."""
    run.page.unless_ending(await run.page.locks.hold_state())
    try:
        return await _apply_all(run, plan, undo)
    finally:
        # A worker that ends throws its runs away: nothing is to be done for them.
        if workflow.in_workflow():
            await run.page.locks.release_state()


async def _apply_all(run: Run, plan: SomeChange, undo: Undo) -> bool:
    left = plan
    while refused := await _apply(run, left, undo):
        if refused == "StalePlanError" and left is plan:
            return False
        rest = await _agree_to_the_rest(run, plan)
        if rest.terraform.empty:
            break
        left = rest
    return True


async def _apply(run: Run, plan: ByTerraform, undo: Undo) -> str | None:
    """Apply a plan; returns the error's name where people must agree again."""
    try:
        await run.page.change(
            f"Apply exactly this plan: {plan.terraform.summary}",
            _APPLY,
            _order(run, plan.terraform, plan.fence),
            action="terraform apply",
            before=plan.was,
            after=plan.shall_be,
            undo=undo,
            options=_options(run),
        )
    except ActivityError as error:
        cause = cause_of(error)
        if cause and cause.type in {"StalePlanError", "CutOffApplyError"}:
            return cause.type
        raise
    return None


async def _agree_to_the_rest(run: Run, plan: SomeChange) -> SomeChange:
    """Plan what an apply that was cut off left to do; nobody's earlier yes counts for it."""
    page, target = run.page, run.target

    async def rest() -> Any:
        service = await page.read("Read what runs now", EcsActivities.read_service, target)
        terraform = await plan_with_terraform(run, plan.terraform.variables)
        again = {"terraform": terraform, "essence": terraform.hash, "fence": service.fence}
        left: Any = plan.model_copy(update={**again, "needs_yes": CUT_OFF, "calls": plan.calls})
        page.record.planned(left)
        return left

    first: Any = await rest()
    if first.terraform.empty:
        return cast("SomeChange", first)
    return cast("SomeChange", await page.checkpoint(first, target, "Apply the rest?", rest))


def deployed_by_terraform(plan: ByTerraform, history: ReleaseHistory) -> Deployed:
    """Return the deployment that came of an apply: what the service runs, if that is new."""
    primary, current = history.service.primary, history.service.service_deployment
    return Deployed(
        deployment=primary.id if primary else "",
        task_definition=history.service.task_definition,
        service_deployment=current if current != plan.fence.service_deployment else None,
        at=workflow.now(),
    )


async def apply_back(run: Run, done: TerraformPlan, back: dict[str, str]) -> Undone:
    """Plan the way back and apply it, if it touches nothing but what the way there touched; says what came of it."""
    if taken := await run.page.locks.hold_state():
        return not_undone(taken.error.line if taken.error else taken.summary)
    try:
        return await _apply_back(run, done, back)
    finally:
        if workflow.in_workflow():
            await run.page.locks.release_state()


async def _apply_back(run: Run, done: TerraformPlan, back: dict[str, str]) -> Undone:
    page, target = run.page, run.target
    way_back = await plan_with_terraform(run, back)
    if way_back.empty:
        return Undone(detail="nothing to undo: Terraform has nothing to change back")
    if more := changes_more_than(way_back, done):
        return not_undone(f"Terraform would also change {', '.join(more[:5])}; by hand: {by_hand(way_back)}")
    service = await page.read("Read what runs now", EcsActivities.read_service, target)
    if theirs := await _deployed_meanwhile(run, done, back):
        return not_undone(f"{theirs} was deployed meanwhile")
    await page.restore(
        "Apply the way back", _APPLY, _order(run, way_back, service.fence), options=_options(run)
    )
    now = await page.read("Find the resulting deployment", EcsActivities.read_service, target)
    if now.primary is None or now.fence == service.fence:
        return Undone()
    deployed = Deployed(
        deployment=now.primary.id, task_definition=now.task_definition, at=workflow.now(),
        service_deployment=now.service_deployment,
    )  # fmt: skip
    return await await_undone(run, deployed)


async def _deployed_meanwhile(run: Run, done: TerraformPlan, back: dict[str, str]) -> str | None:
    """Name the release that runs, where it is neither what was put there nor what the way back brings."""
    target = run.target
    if target.terraform is None:
        return None
    history = await run.page.read("Check whose release runs", EcsActivities.read_history, target)
    variable = target.terraform.image_variable
    ours = (done.variables.get(variable), back.get(variable))
    return None if any(runs_value(history.current, value) for value in ours) else history.current.name


def _order(run: Run, terraform: TerraformPlan, fence: Fence) -> TerraformApply:
    return TerraformApply(
        target=run.target,
        variables=terraform.variables,
        hash=terraform.hash,
        run_id=workflow.info().run_id,
        fence=fence,
    )


def _options(run: Run) -> ActivityOptions:
    return ActivityOptions(**{**APPLY, "task_queue": run.page.watch_queue})


# A page's changes are written as plain functions; that this one is awaited by its worker makes no difference to it.
_APPLY = cast("Callable[[Any, TerraformApply], TerraformApplied]", TerraformActivities.apply_terraform)

"""How many more tasks, or fresh ones of what runs, and by which call. Pure."""

from __future__ import annotations

from runbook_model import calls
from runbook_model.catalog.target import Target
from runbook_model.measured.symptoms import ResourcesRead
from runbook_model.plans import DAY, Follow, Plan
from runbook_model.releases.capacity import Capacity
from runbook_model.releases.history import ReleaseHistory
from runbook_model.reports import Ending, Outcome, Problem, Report, Task
from runbook_model.text.durations import format_duration
from workflows.decisions.diagnosis import Diagnosis
from workflows.decisions.diagnosis.cause import Cause
from workflows.decisions.diagnosis.errors import out_of_resources
from workflows.decisions.rollback.plan import RollbackPlan, Way, may_bring_another_image
from workflows.decisions.rollback.releases import cannot_roll, cannot_roll_back, refuse, refused
from workflows.decisions.rollback.shifting import left_behind, updating

GROWS = "scale-up"
"""The way on where more tasks do not help, or cannot be had."""


class ScalePlan(Plan):
    """How a service is scaled out, for a while."""

    was: Capacity
    to: int


def plan_scale_out(
    target: Target, capacity: Capacity, wanted: int, because: tuple[str, ...]
) -> ScalePlan | Ending:
    """Decide on more tasks, up to the catalog's maximum; a service that has them already needs none, a stopped one gets none."""
    if not capacity.managed and capacity.desired == 0:
        stopped = "its desired count is 0: somebody stopped it, and the end of the hold would stop it again"
        return refused("policy", stopped, "start it first")
    to = min(wanted, target.scale.max)
    enough = capacity.minimum if capacity.minimum is not None else capacity.desired
    if enough >= to:
        summary = (
            f"{target.key} has {capacity.desired} tasks already: scaling out to {to} would change nothing."
        )
        return Ending(outcome=Outcome.INCONCLUSIVE, summary=f"{summary} A person must check.")
    hold = format_duration(target.scale.hold)
    was = f"{capacity.minimum}-{capacity.maximum}" if capacity.managed else str(capacity.desired)
    return ScalePlan(
        headline=f"Scale {target.service} in {target.environment} out from {was} to {to} tasks for {hold}",
        calls=(calls.scale(target, capacity.raised_to(to)),),
        follows=(_take_back(target, capacity, to, hold),),
        because=(*because, *_both_revisions(capacity)),
        not_restored=("The cause of the load stays; this buys time.",),
        afterwards=(f"After {hold} it is taken back, where it still is as we set it.",),
        # The counts themselves are left out: autoscaling moves them, and that is not another plan.
        essence=capacity.bounds,
        was=capacity,
        to=to,
    )


def _both_revisions(capacity: Capacity) -> tuple[str, ...]:
    """Say that a deployment is under way that shifts traffic; it goes on, and its end is not waited for."""
    if capacity.deploying is None:
        return ()
    more = "both revisions get more tasks, and autoscaling removes none before its end"
    return (f"A deployment is under way, and goes on: {capacity.deploying}; {more}.",)


def grows_first(diagnosis: Diagnosis, resources: ResourcesRead) -> bool:
    """Whether tasks are to be bigger rather than more: it is their own memory that single ones die of."""
    return diagnosis.cause is Cause.MEMORY and out_of_memory(resources) is not None


def saturated(target: Target, resources: ResourcesRead) -> str | None:
    """Say what single tasks have used up: then bigger ones help where there are as many as there may be."""
    killed = out_of_memory(resources)
    return killed or out_of_resources(target, resources)


def out_of_memory(resources: ResourcesRead) -> str | None:
    """Say that tasks die of their own memory limit: more tasks of that size would die as well."""
    killed = resources.restarts.out_of_memory
    return f"{killed} tasks were killed at their memory limit" if killed > 1 else None


def no_hold(was: Capacity) -> Task:
    """Leave it to people to take back what no hold does."""
    what = f"Take the temporary capacity back by hand: {was.summary} before"
    return Task(what=what, kind="immediate", why="no hold could be started that does it later")


def capacity_left(report: Report) -> Task | None:
    """Leave it to people to take back what a hold could not; None where it did, or a person chose to keep it."""
    went = report.outcome in {Outcome.RECOVERED, Outcome.ABORTED}
    if went and not any(change.undo_failed for change in report.changes):
        return None
    what = "Check the temporary capacity, and take it back by hand"
    return Task(what=what, kind="immediate", why=report.summary)


def _take_back(target: Target, capacity: Capacity, to: int, hold: str) -> Follow:
    back = capacity.taken_back(capacity.raised_to(to), target.scale.min)
    what = f"Remove the extra tasks after {hold}, or where somebody aborts"
    within = target.scale.hold + DAY
    return Follow(kind="take-back", what=what, calls=(calls.scale(target, back),), within=within)


class RestartPlan(RollbackPlan):
    """How a service is restarted: its own release is put there once more."""

    way: Way = "force"


def plan_restart(target: Target, history: ReleaseHistory, because: tuple[str, ...]) -> RestartPlan | Ending:
    """Plan to force a new deployment of what runs; a deployment under way is never fought."""
    if problem := cannot_deploy(target, history):
        return refuse(problem)
    whole = ("A restart is a whole deployment of this service.",) if history.service.shifting else ()
    plan = RestartPlan(
        headline=f"Restart {target.service} in {target.environment} on {history.current.name}",
        calls=(calls.force(target),),
        before=history.current,
        after=history.current,
        because=(*because, *whole),
        not_restored=(
            "The cause is not fixed; fresh tasks may fail again.",
            *may_bring_another_image(history),
        ),
        fence=history.service.fence,
    )
    return updating(history, plan)


def cannot_deploy(target: Target, history: ReleaseHistory) -> Problem | None:
    """Say why nothing can be deployed now: it is not ours to deploy, or a deployment is under way or left revisions behind."""
    return cannot_roll_back(history.service) or _being_deployed(target, history) or left_behind(history)


def cannot_deploy_rolling(target: Target, history: ReleaseHistory) -> Problem | None:
    """Say why nothing can be deployed now where only rolling deployments may be."""
    return cannot_roll(history.service) or _being_deployed(target, history)


def _being_deployed(target: Target, history: ReleaseHistory) -> Problem | None:
    latest = history.latest
    if latest is None or latest.status in {"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"}:
        return None
    if latest.shift is None:
        why = f"{latest.release.name} is being deployed"
        return Problem(kind="policy", message=why, fix="wait for its end, or roll back")
    why = f"{latest.release.name} is being deployed: {latest.shift.summary(latest.status)}"
    takes_back = f", or take it back by a stop: runbook start rollback {target.key}"
    can_stop = latest.under_way and not latest.cleaning_up
    return Problem(kind="policy", message=why, fix=f"wait for its end{takes_back if can_stop else ''}")

"""Rollback of a service whose deployments shift traffic between two revisions: blue/green, linear, canary. Pure.

What is under way is stopped, as its old tasks are still warm: traffic is back in seconds. What has finished is put back by one
update, which shifts traffic as the service is set to. Nothing is ever deployed over a deployment that is under way.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from runbook_model import calls
from runbook_model.catalog.target import Target
from runbook_model.measured.revisions import RevisionsRead
from runbook_model.plans import DAY, Follow, Plan
from runbook_model.releases.history import ReleaseHistory, ServiceDeployment
from runbook_model.releases.release import ROLLING_BACK, Release
from runbook_model.releases.rollout import Rollout
from runbook_model.releases.shifting import Shifting, WaitingHook
from runbook_model.reports import Ending, Outcome, Problem, Verdict
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import sentence
from workflows.decisions.revisions import BadOne, Compared, compare
from workflows.decisions.rollback.plan import RollbackPlan

P = TypeVar("P", bound=RollbackPlan)

FOLLOWED = timedelta(hours=1)
"""How long a bake time is followed after a release was verified; a longer one ends without us."""
STOPPED_WELL = frozenset({"ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"})


def not_offered(target: Target, history: ReleaseHistory) -> Problem | None:
    """Say what of these strategies is not supported, where it stands in the way of any plan."""
    latest, shifting = history.latest, history.service.shifting
    strategy = shifting.strategy if shifting else history.service.strategy
    if target.rollback.strategy != "task-definition":
        why = f'the catalog\'s rollback strategy "{target.rollback.strategy}" is not supported where deployments are {strategy}'
        return Problem(kind="policy", message=why, fix='set rollback.strategy = "task-definition"')
    if latest and latest.under_way and (latest.shift is None) != (shifting is None):
        own = latest.shift.settings.strategy if latest.shift else "ROLLING"
        why = f"its strategy is {strategy} by now, but the deployment under way is {own}"
        return Problem(kind="policy", message=why, fix="wait for its end")
    if latest and latest.cleaning_up:
        why = f"{latest.release.name} has all traffic, and ECS ends the tasks of the release before it"
        return Problem(kind="policy", message=why, fix="wait for the end of the deployment, and start again")
    if latest and (latest.under_way or latest.status in ROLLING_BACK):
        return None
    return left_behind(history)


def left_behind(history: ReleaseHistory) -> Problem | None:
    """Say that a deployment that has ended left more than one revision; None of a rolling service."""
    latest = history.latest
    if history.service.shifting is None:
        return None
    if (left := len(history.service.service_revisions)) > 1:
        ended = f"its last deployment is {latest.status} and left" if latest else "there are"
        why = f"{ended} {left} revisions: which of them has the traffic is not known"
        return Problem(
            kind="policy", message=why, fix="look at the weights of its rules, and deploy one by hand"
        )
    return None


def left_alone(
    history: ReleaseHistory, latest: ServiceDeployment, landing: Release | None, to: str | None
) -> Problem:
    """Say why a deployment that is under way is neither stopped nor deployed over."""
    coming = latest.release
    if landing and to:
        why = f"{coming.name} is being deployed; stopping that puts {landing.name} back, not {to}"
        return Problem(kind="policy", message=why, fix="stop it without --to, or wait for its end")
    before = [history.releases[arn] for arn in latest.sources if arn in history.releases]
    if len(latest.sources) != 1 or len(before) != 1:
        because = "it is not known which release ran before"
    elif before[0].is_bad:
        because = f"{before[0].name}, which ran before, is marked bad"
    elif before[0].same_as(coming):
        because = "the same release ran before"
    else:
        because = "this run has put it there"
    why = f"{coming.name} is being deployed, and stopping that does not help: {because}"
    return Problem(kind="policy", message=why, fix="decide by hand, or wait for its end")


def stopping(history: ReleaseHistory, plan: RollbackPlan) -> RollbackPlan:
    """Return a plan to stop what is under way, with where it is; that may move on without voiding a yes."""
    latest = history.latest
    if latest is None or latest.shift is None:
        return plan
    settings = latest.shift.settings
    where = f"{settings.way}; at this moment: {latest.shift.summary(latest.status)}."
    back = "The old tasks still run: traffic is back as soon as ECS has shifted it, and no task has to start."
    return plan.model_copy(
        update={
            "because": (*plan.because, where, back, *_held_up(settings.hooks_on_the_way_back)),
            "needs_yes": plan.needs_yes or _asks(latest, plan),
            "shifting": settings,
        }
    )


def _asks(latest: ServiceDeployment, plan: RollbackPlan) -> str:
    if latest.shift is None or latest.shift.has_traffic(latest.status):
        return which_is_bad(plan.before, plan.after)
    coming, landing = plan.before.name, plan.after.name
    return f"{coming} has no production traffic yet: what users see comes from {landing}, and a stop does not change that"


def which_is_bad(coming: Release, landing: Release) -> str:
    """Ask a person which of two releases that run at the same time is the bad one."""
    return (
        f"{coming.name} and {landing.name} run at the same time, and which of them is the bad one is not known: "
        f"a stop sends all traffic to {landing.name}"
    )


def unless_known(suspect: str | None, history: ReleaseHistory, plan: RollbackPlan) -> RollbackPlan:
    """Return the plan without the question which release is bad, where a diagnosis found that the one with new traffic is."""
    latest = history.latest
    if plan.way != "stop" or latest is None or latest.shift is None or suspect != plan.before.revision:
        return plan
    return plan.model_copy(update={"needs_yes": None}) if latest.shift.has_traffic(latest.status) else plan


def by_figures(target: Target, plan: RollbackPlan, found: RevisionsRead | None) -> RollbackPlan:
    """Return the plan of a stop with what the figures of both releases say of it.

    Where they name the release that is coming, they answer the question which one is bad. Where they name the old one, a person
    must agree whatever was found before, and a yes from before does not count for it.
    """
    if found is None:
        return plan
    compared = compare(target, found)
    update: dict[str, object] = {"revisions": found, "because": (*plan.because, *_figures(compared, found))}
    if compared.bad is BadOne.COMING:
        update["needs_yes"] = None
    elif compared.bad is BadOne.OLD:
        update |= {
            "needs_yes": compared.summary,
            "essence": f"{plan.after.name} was measured to be the bad one",
        }
    return plan.model_copy(update=update)


def _figures(compared: Compared, found: RevisionsRead) -> tuple[str, ...]:
    lines = found.lines
    if compared.bad is BadOne.OLD:
        return lines  # the question says the rest
    return (*lines, f"By target group: {compared.said}.")


def asking_after_a_stop(before: Plan | None, plan: RollbackPlan) -> RollbackPlan:
    """Need a yes where the run planned to stop a deployment, and plans an update by now: the one never becomes the other."""
    stopped = isinstance(before, RollbackPlan) and before.way == "stop" and before.shifting is not None
    if not stopped or plan.way == "stop":
        return plan
    why = "The deployment could be stopped when the run was planned, and it is too late for that now: an update takes longer."
    return plan.model_copy(update={"needs_yes": " ".join(filter(None, (why, plan.needs_yes)))})


def still_serves(
    history: ReleaseHistory, service_deployment: str | None, plan: RollbackPlan
) -> Release | Ending:
    """Return the release that has the traffic; an ending where what brought it there is no longer the newest or was taken back."""
    latest = history.latest
    if latest is None or latest.arn != service_deployment:
        newer = latest.release.name if latest else "another release"
        summary = f"{plan.after.name} had all traffic, but {newer} was deployed over it meanwhile. This run does not touch it."
        return Ending(outcome=Outcome.SUPERSEDED, summary=summary)
    if plan.way == "stop":
        serves, arn = latest.status in STOPPED_WELL, next(iter(latest.sources), "")
    else:
        serves, arn = latest.status in {"IN_PROGRESS", "SUCCESSFUL"}, latest.revision
    landed = latest.rollback.revision if plan.way == "stop" and latest.rollback else None
    release = history.releases.get(landed or arn, plan.after)
    if serves:
        return release
    summary = f"{plan.after.name} had all traffic, but its deployment is {latest.status} by now. A person must check now."
    return Ending(outcome=Outcome.NOT_RECOVERED, summary=summary, verdict=Verdict.NOT_RECOVERED)


def paused_at(
    target: Target, plan: RollbackPlan, rollout: Rollout, hook: WaitingHook, failed: Problem | None = None
) -> str:
    """Say to people that our own deployment waits at a pause hook, until when, and how to answer it."""
    stage = f" of {rollout.stage}" if rollout.stage else ""
    because = f" The run could not continue it: {sentence(failed.line)}" if failed else ""
    until = (
        f" At {hook.expires_at:%Y-%m-%d %H:%M} UTC ECS answers {hook.at_timeout}." if hook.expires_at else ""
    )
    command = (
        f"aws ecs continue-service-deployment --region {target.region} "
        f"--service-deployment-arn {rollout.service_deployment} --hook-id {hook.id} --action CONTINUE"
    )
    return (
        f"The deployment of {plan.after.name} waits at the pause hook {hook.id}{stage}, and goes on once a person answers it."
        f"{because}{until} "
        f"To continue: {command} (or --action ROLLBACK, which takes the deployment back)."
    )


def _held_up(hooks: timedelta) -> tuple[str, ...]:
    return (
        ("Lambda hooks of the traffic shift are asked again on the way back, and may hold it up.",)
        if hooks
        else ()
    )


def followed(shifting: Shifting) -> str:
    """Say how long a deployment of our own is followed, and what does not count as recovered."""
    bake, most = timedelta(minutes=shifting.bake_minutes), ""
    if bake > FOLLOWED:
        most = f", for {format_duration(FOLLOWED)} of its bake time of {format_duration(bake)} at most"
    return (
        f"It is verified once it has all traffic, and then followed until it has ended{most}: "
        "what ECS takes back until then, because of an alarm for example, is not recovered."
    )


def updating(history: ReleaseHistory, decided: P) -> P:
    """Return a plan to update the service, with how traffic gets to the release and how long that may take."""
    shifting = history.service.shifting
    if shifting is None:
        return decided
    registered = decided.way == "register"
    undo = Follow(
        kind="undo",
        what=f"Stop the deployment of {decided.after.name} where somebody aborts before the old tasks have ended",
        calls=(calls.stop_own(decided.after, registered=registered),),
        within=DAY,
    )
    return decided.model_copy(
        update={
            "because": (*decided.because, *shifting.sentences(), followed(shifting)),
            "follows": (*decided.follows, undo),
            "essence": " ".join(shifting.sentences()),
            "shifting": shifting,
        }
    )

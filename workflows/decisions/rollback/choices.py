"""What a person may choose of an update that shifts traffic: faster than the service is set to, and its pauses answered. Pure."""

from __future__ import annotations

from runbook_model import calls
from runbook_model.catalog.target import Target
from runbook_model.messages import FAST, SHIFTS, RollbackRequest
from runbook_model.plans import DAY, Follow
from runbook_model.releases.configuring import QuickSettings
from runbook_model.releases.history import ReleaseHistory
from runbook_model.reports import Problem
from workflows.decisions.rollback.plan import RollbackPlan
from workflows.decisions.rollback.shifting import followed


def cannot_choose(request: RollbackRequest, history: ReleaseHistory) -> Problem | None:
    """Say why what was chosen does not go with the service; None where it does, or where nothing was chosen."""
    if request.shift not in SHIFTS:
        why = f'"{request.shift}" is no way to shift traffic'
        return Problem(kind="input", message=why, fix=f"say {' or '.join(SHIFTS)}")
    if not (chosen := _chosen(request)):
        return None
    if request.automatic:
        why = f"{chosen} is a person's choice, and no person started this run"
        return Problem(kind="policy", message=why, fix="start a rollback by hand")
    if history.service.shifting is None:
        why = f"{chosen} is for blue/green, linear and canary deployments, and this service's are {history.service.strategy}"
        return Problem(kind="input", message=why, fix="start without it")
    latest = history.latest
    if latest and latest.under_way:
        why = f"{chosen} is for a deployment that has finished, and {latest.release.name} is being deployed: a stop is the fastest way"
        return Problem(kind="input", message=why, fix="start without it")
    return None


def as_chosen(
    target: Target, request: RollbackRequest, plan: RollbackPlan, settings: QuickSettings | None
) -> RollbackPlan:
    """Return the plan with what a person chose, which always needs a yes.

    Args:
        target: the service.
        request: what was chosen.
        plan: an update, as the service is set.
        settings: the waits that the service is set to, where they are to be taken out.
    """
    before = plan.shifting
    if before is None or plan.way not in {"deploy", "register"} or not (chosen := _chosen(request)):
        return plan
    shifting = settings.quickened(before) if settings else before
    answers = request.continue_own_hooks
    said = {*before.sentences(), followed(before)}
    sentences = (*shifting.sentences(continued=answers), followed(shifting))
    because = (*(line for line in plan.because if line not in said), *sentences)
    plan = plan.model_copy(
        update={
            "because": because,
            "shifting": shifting,
            "essence": " ".join(shifting.sentences(continued=answers)),
            "needs_yes": " ".join(filter(None, (f"{chosen} is a person's choice.", plan.needs_yes))),
            "answers_pauses": answers,
            "follows": (*plan.follows, *(_continuing(plan) if answers else ())),
        }
    )
    return _quick(target, plan, settings) if settings else plan


def _quick(target: Target, plan: RollbackPlan, settings: QuickSettings) -> RollbackPlan:
    """Take the waits out with the update, and put them back after it."""
    if not settings.waits:
        return plan.model_copy(update={"because": (*plan.because, "There are no waits to take out.")})
    registered = plan.way == "register"
    update = calls.deploy(target, plan.after, registered=registered, settings=settings)
    back = Follow(
        kind="settings",
        what=f"Put the deployment configuration back: {settings.words(quick=False)}; also after an abort",
        calls=(calls.put_settings_back(target, settings),),
        within=DAY,
    )
    drift = (
        f"The update sets {settings.words(quick=True)} in the service's deployment configuration; once its deployment has ended, "
        f"or the run ends, it is put back to {settings.words(quick=False)}, unless somebody else changed it. "
        "Until then Terraform and CloudFormation see drift."
    )
    quick_end = "Without a bake time the old tasks end at once: from then on the way back is another update, not a stop."
    return plan.model_copy(
        update={
            "calls": (*plan.calls[:-1], update),
            "because": (*plan.because, drift, quick_end),
            "follows": (*plan.follows, back),
            "essence": f"{plan.essence} Configuration {settings.was}.",
            "settings": settings,
        }
    )


def _continuing(plan: RollbackPlan) -> tuple[Follow, ...]:
    if plan.shifting is None or not plan.shifting.pauses:
        return ()
    call = calls.continue_own(plan.after, registered=plan.way == "register")
    what = f"Continue the deployment of {plan.after.name} at each of its pause hooks"
    return (Follow(kind="continue", what=what, calls=(call,), within=DAY),)


def _chosen(request: RollbackRequest) -> str:
    fast = f"shift {FAST}" if request.shift == FAST else ""
    answers = "continue-own-hooks" if request.continue_own_hooks else ""
    return " with ".join(filter(None, (fast, answers)))


def not_put_back(settings: QuickSettings, why: Problem) -> str:
    """Say in what state a deployment configuration was left."""
    return (
        f"The deployment configuration was not put back ({why.line.rstrip('.')}). "
        f"It should have {settings.words(quick=False)}: a person must check it."
    )

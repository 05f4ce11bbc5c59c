"""Which release a run puts back, and how: read, judged by figures and choices, and planned."""

from __future__ import annotations

from dataclasses import dataclass, replace

from temporalio import workflow

from activities.ecs.activities import EcsActivities, ReleaseQuery
from activities.ecs.configuring import EcsConfiguration
from activities.git.activities import GitActivities
from activities.measuring.diagnosis import DiagnosisActivities
from runbook_model.measured.revisions import RevisionsQuery, RevisionsRead, pair_of
from runbook_model.messages import FAST, RollbackRequest
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import ROLLING_BACK, Release
from runbook_model.releases.rollout import Phase
from runbook_model.reports import Ending, Outcome
from workflows.decisions.rollback.choices import as_chosen, cannot_choose
from workflows.decisions.rollback.plan import RollbackPlan, asking_after
from workflows.decisions.rollback.releases import needs_more, plan_rollback, refuse
from workflows.decisions.rollback.shifting import asking_after_a_stop, by_figures, unless_known
from workflows.decisions.rollback.tags import only_tags_are_left, plan_from_tags
from workflows.page.run import Run
from workflows.platforms.deployment import (
    await_own_rollback,
    hand_over,
)
from workflows.platforms.shifting import (
    read_once_ended,
)
from workflows.remedies.release import Placed
from workflows.remedies.release_by_terraform import through_terraform

FIGURES = "figures-per-revision"
"""Histories without this mark are of versions that did not compare the two releases."""


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run to put a release back; a person may want to go back further after it."""

    wanted: str | None
    """The release that a person named."""
    suspect: str | None
    """What a diagnosis found to be bad."""
    tried: tuple[str, ...] = ()
    """ARNs of task definitions that are not tried again."""
    taken_back: tuple[Release, ...] = ()
    """Releases of earlier attempts: marked bad once another is verified."""
    stands: Ending | None = None
    """How the run ends where nothing further is put back."""

    @property
    def to(self) -> str | None:
        """The release that a person named, as long as it was not tried."""
        return None if self.tried else self.wanted

    def further(self, placed: Placed, stands: Ending) -> Attempt:
        """Return the next attempt: back further than what this one put there."""
        releases = (placed.plan.before, placed.plan.after, placed.release)
        return replace(
            self,
            tried=(*self.tried, *(release.task_definition for release in releases)),
            taken_back=(*self.taken_back, *placed.taken_back),
            stands=stands,
        )

    def concluded(self, ending: Ending) -> Ending:
        """Return how the run ends: what an earlier attempt came to stands where this one changed nothing."""
        if self.stands is None or ending.outcome not in {Outcome.REFUSED, Outcome.NOT_APPROVED}:
            return ending
        return self.stands.model_copy(update={"summary": f"{ending.summary} {self.stands.summary}"})


async def plan_release(run: Run, attempt: Attempt) -> RollbackPlan:
    """Plan what to put back; ends the page where there is nothing, or ECS does it by itself."""
    page, target = run.page, run.target
    history = await _read_history(run, attempt)
    _check_choices(run, history)
    others = await _read_others(run, history, attempt)
    decided = plan_rollback(target, history, others, attempt.to, attempt.tried)
    by_tag = await _plan_by_git_tags(run, history, attempt) if isinstance(decided, Ending) else None
    chosen = by_tag or page.unless_ending(decided)
    known = unless_known(attempt.suspect, history, chosen)
    compared = by_figures(target, known, await _read_figures(run, history, known))
    checked = compared if attempt.tried else asking_after(attempt.suspect, history, compared)
    checked = await _as_chosen(run, asking_after_a_stop(page.report.plan, checked))
    plan = await through_terraform(run, history, checked)
    page.record.planned(plan)
    return plan


def _check_choices(run: Run, history: ReleaseHistory) -> None:
    """End the page where a person chose what does not go with the service."""
    if isinstance(run.request, RollbackRequest) and (problem := cannot_choose(run.request, history)):
        run.page.unless_ending(refuse(problem))


async def _as_chosen(run: Run, plan: RollbackPlan) -> RollbackPlan:
    """Return the plan with what a person chose of it."""
    request, settings = run.request, None
    if not isinstance(request, RollbackRequest):
        return plan
    if request.shift == FAST:
        words = "Read how long its deployments wait"
        settings = await run.page.read(words, EcsConfiguration.read_quick_settings, run.target)
    return as_chosen(run.target, request, plan, settings)


async def _read_history(run: Run, attempt: Attempt) -> ReleaseHistory:
    """Read what runs and what ran before; what ECS rolls back by itself is waited for, never fought."""
    page, target = run.page, run.target
    history = await page.read("Read what runs and what ran before", EcsActivities.read_history, target)
    latest = history.latest
    shifts = latest is not None and latest.shift is not None and history.service.shifting is not None
    if latest and shifts and (latest.cleaning_up or latest.status in ROLLING_BACK):
        return await read_once_ended(run, latest)
    if attempt.to or latest is None or latest.status not in ROLLING_BACK:
        return history
    if run.request.plan_only:
        said = f"ECS is rolling {latest.release.name} back by itself: a rollback would wait and look again."
        page.end(Outcome.PLANNED, said)
    rollout = await await_own_rollback(run, "Let ECS finish its own rollback", latest.arn)
    if rollout.phase in {Phase.STUCK, Phase.SUPERSEDED}:
        page.unless_ending(await hand_over(run, rollout))
    return await page.read("Read what runs after it", EcsActivities.read_history, target)


async def _read_figures(run: Run, history: ReleaseHistory, plan: RollbackPlan) -> RevisionsRead | None:
    """Read what each of two releases did that run at the same time, where the plan is to stop the one that is coming."""
    pair = pair_of(history)
    if plan.way != "stop" or pair is None or not workflow.patched(FIGURES):
        return None
    asked = RevisionsQuery(target=run.target, pair=pair)
    return await run.page.try_read("Compare both releases", DiagnosisActivities.read_revisions, asked)


async def _read_others(run: Run, history: ReleaseHistory, attempt: Attempt) -> tuple[Release, ...]:
    """Read other revisions, and what a person named, where the history does not settle what to put back."""
    page, target, to = run.page, run.target, attempt.to
    if not needs_more(target, history, to, attempt.tried):
        return ()
    words = "Look at the family's other revisions"
    found = await page.read(words, EcsActivities.list_revisions, target)
    if not to:
        return found.releases
    query = ReleaseQuery(target=target, name=to)
    named = await page.read(f"Look for {to}", EcsActivities.find_release, query)
    return (*named.releases, *found.releases)


async def _plan_by_git_tags(run: Run, history: ReleaseHistory, attempt: Attempt) -> RollbackPlan | None:
    """Plan by the repository's tags, where nothing else shows an earlier release."""
    target = run.target
    if not target.repository or not only_tags_are_left(target, history, attempt.to):
        return None
    found = await run.page.try_read("Look at the repository's tags", GitActivities.list_tags, target)
    return plan_from_tags(target, history, found.tags, attempt.tried) if found else None

"""Words for what a page does with releases on ECS: wait for steady state, measure, verify, undo, write down."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ecs.activities import EcsActivities
    from activities.ecs.changes import Deployed, DeployRelease, EcsChanges, MarkRelease
    from activities.ecs.waits import Waits
    from activities.measuring.activities import VerificationActivities
    from runbook_model.durations import format_duration
    from runbook_model.readings import STANDARD_LOOKS, Kind, Observation, Sample, latest_end
    from runbook_model.release import ROLLING_BACK, Judgement, Mark
    from runbook_model.reports import Ending, Outcome, State, Verdict
    from runbook_model.rollout import Awaited, Phase, Rollout
    from workflows.decisions.recovery import Judged, judge_recovery
    from workflows.remedies.undoing import fate_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from runbook_model.catalog.catalog import Target
    from runbook_model.release import Fence, Release
    from workflows.page.page import Page


async def await_steady(page: Page, target: Target, words: str, deployed: Deployed) -> Rollout:
    """Wait until our deployment is all that runs, or is known not to get there."""
    awaited = Awaited(
        target=target,
        deployment=deployed.deployment,
        task_definition=deployed.task_definition,
        service_deployment=deployed.service_deployment,
        deadline=workflow.now() + target.rollback.steady,
    )
    return await page.watch(words, Waits.await_steady_state, awaited)


async def await_own_rollback(
    page: Page, target: Target, words: str, service_deployment: str | None
) -> Rollout:
    """Wait until ECS has rolled a service deployment back."""
    awaited = Awaited(
        target=target,
        kind="rollback",
        service_deployment=service_deployment,
        deadline=workflow.now() + target.rollback.steady,
    )
    return await page.watch(words, Waits.await_steady_state, awaited)


async def measure(
    page: Page, target: Target, release: Release, looks: tuple[Kind, ...] = STANDARD_LOOKS
) -> Sample:
    """Measure how things are before anything is changed; nothing is posted."""
    now = workflow.now()
    look = Observation(target=target, release=release, since=now, deadline=now, looks=looks, may_probe=False)
    sample = await page.read(
        "Measure health and error rate as they are", VerificationActivities.measure, look
    )
    page.record.read(sample.readings)
    return sample


async def verify(
    page: Page,
    target: Target,
    release: Release,
    rollout: Rollout,
    baseline: Sample,
    *,
    same_release_before: bool = False,
    looks: tuple[Kind, ...] = STANDARD_LOOKS,
) -> Judged:
    """Measure from steady state on until it is known whether the service recovered."""
    return await verify_since(
        page, target, release, rollout.at, baseline, same_release_before=same_release_before, looks=looks
    )


async def verify_since(
    page: Page,
    target: Target,
    release: Release,
    since: datetime,
    baseline: Sample,
    *,
    same_release_before: bool = False,
    looks: tuple[Kind, ...] = STANDARD_LOOKS,
) -> Judged:
    """Measure from a moment on until it is known whether the service recovered."""
    before = page.record.enter(State.VERIFYING)
    look = Observation(
        target=target,
        release=release,
        since=since,
        deadline=latest_end(target, workflow.now()),
        same_release_before=same_release_before,
        looks=looks,
    )
    words = f"Measure until it has been good for {format_duration(target.verify.bake)}"
    observed = await page.watch(words, VerificationActivities.observe, look, remembers=True)
    for sample in observed.samples[-target.verify.consecutive :]:
        page.record.read(sample.readings)
    page.record.enter(before)
    return judge_recovery(observed, baseline, target)


async def hand_over(page: Page, target: Target, rollout: Rollout) -> Ending:
    """End without recovery, with everything that a person needs to go on."""
    why = await page.read("Read why tasks stopped", EcsActivities.explain_rollout, target)
    causes = (
        "; ".join(said.rstrip(".") for said in (*why.stopped[:3], *why.events[:2])) or "ECS names no cause"
    )
    outcome = Outcome.SUPERSEDED if rollout.phase is Phase.SUPERSEDED else Outcome.NOT_RECOVERED
    return page.ended(
        outcome, f"Not recovered: {rollout.detail.rstrip('.')}. {causes}. A person must look now."
    )


async def verified_or_handed_over(
    page: Page,
    target: Target,
    look: Callable[[], Awaitable[Judged]],
    headline: str,
    ways: Mapping[str, Callable[[], Awaitable[Ending]]] = MappingProxyType({}),
) -> Ending:
    """Verify; what is not verified is looked at again, put right in another way or handed over, as a person chooses."""
    while True:
        judged = await look()
        if judged.verdict is Verdict.RECOVERED:
            return page.ended(Outcome.RECOVERED, f"{headline}: {judged.why}", verdict=judged.verdict)
        options = ("verify-again", *ways, "hand-over")
        chosen = await page.choose("It is not verified: how to go on?", judged.why, target, options)
        if chosen and chosen in ways:
            return await ways[chosen]()
        if chosen != "verify-again":
            summary = f"{headline}: {judged.why}. A person must look now."
            return page.ended(Outcome(judged.verdict), summary, verdict=judged.verdict)


async def unless_replaced(page: Page, target: Target, release: Release, ending: Ending) -> Ending:
    """Look once more that what recovered is what runs, for readings do not tell releases apart everywhere.

    Returns:
        the ending; another one where somebody deployed over the release while it was verified.
    """
    if ending.outcome is not Outcome.RECOVERED:
        return ending
    service = await page.read("Look that it still runs", EcsActivities.read_service, target)
    if service.task_definition == release.task_definition:
        return ending
    now = service.task_definition.rpartition("/")[2]
    summary = f"{release.revision} was steady, but {now} was deployed over it meanwhile. It is left alone."
    return page.ended(Outcome.SUPERSEDED, summary)


@dataclass(frozen=True)
class Before:
    """What ran before somebody else than the page puts it right, and how it was measured."""

    release: Release
    sample: Sample


async def as_it_is(page: Page, target: Target, looks: tuple[Kind, ...] = STANDARD_LOOKS) -> Before:
    """Read what runs, and measure it."""
    history = await page.read("Read what runs", EcsActivities.read_history, target)
    return Before(history.current, await measure(page, target, history.current, looks))


async def verified_since(
    page: Page, target: Target, before: Before, headline: str, looks: tuple[Kind, ...] = STANDARD_LOOKS
) -> Ending:
    """Verify what others did, on whatever runs by now."""
    now = await page.read("Read what runs now", EcsActivities.read_history, target)
    release, same = now.current, now.current.task_definition == before.release.task_definition
    since = Rollout(phase=Phase.STEADY, detail="", service=now.service, at=workflow.now())
    return await verified_or_handed_over(
        page,
        target,
        lambda: verify(page, target, release, since, before.sample, same_release_before=same, looks=looks),
        headline,
    )


async def undo_stop(page: Page, target: Target, stopped: str, before: Release, landing: Release) -> str:
    """Deploy again what was stopped, once ECS has put back what ran before it."""
    history = await page.read("Read what became of the deployment", EcsActivities.read_history, target)
    found = next((one for one in history.deployments if one.arn == stopped), None)
    if found and found.under_way:
        return "nothing to undo: the change was not made"
    if found and found.status in ROLLING_BACK:
        await await_own_rollback(page, target, "Let ECS finish what was asked of it", stopped)
    return await undo_release(page, target, None, before, landing)


async def undo_release(
    page: Page, target: Target, fence: Fence | None, before: Release, ours: Release
) -> str:
    """Put back what ran before, from a fresh reading; somebody else's deployment is left alone."""
    service = await page.read("Read what runs now", EcsActivities.read_service, target)
    if service.fence == fence:
        return "nothing to undo: the change was not made"
    if service.task_definition == before.task_definition:
        return f"nothing to undo: {before.revision} runs already"
    if service.task_definition != ours.task_definition:
        return f"could not undo: {service.task_definition.rpartition('/')[2]} was deployed meanwhile"
    back = DeployRelease(target=target, release=before, fence=service.fence)
    deployed = await page.restore(f"Put {before.name} back", EcsChanges.deploy_release, back)
    waiting = await_steady(page, target, "Wait until it runs again", deployed)
    return await fate_of(page, target, waiting)


async def mark(page: Page, target: Target, release: Release, judgement: Judgement) -> None:
    """Write into the ledger what was found out about a release."""
    entry = Mark(
        verdict=judgement,
        digest=release.fingerprint,
        source=workflow.info().workflow_id,
        at=workflow.now(),
    )
    change = MarkRelease(target=target, release=release, mark=entry)
    await page.note(f"Mark {release.revision} {judgement}", EcsChanges.mark_release, change)

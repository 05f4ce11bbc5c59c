"""A release with 30 % errors is put back, although the worker is killed half-way."""

from __future__ import annotations

from datetime import timedelta

from starter.client.connect import ui_address
from starter.client.run_view import RunView
from starter.demo.outside import AwsCall
from starter.demo.scenes import (
    BAD_SHARE,
    approve,
    ask,
    changed_exactly,
    deploy,
    healthy_release,
    recovered,
    waits_for_steady,
)
from starter.demo.stage import Stage
from starter.printing import clock, span


async def play(stage: Stage) -> None:
    """Play the story."""
    story_log = stage.story_log
    await healthy_release(stage)
    with story_log.part("A bad release is deployed"):
        await deploy(stage, "1.1.0", "which fails 30 % of its requests", FAULT_ERROR_RATE="0.3")
        bad = await stage.error_rate("errors show", lambda rate: rate.share > 2.5 * BAD_SHARE, 30)
        story_log.need("but requests fail", bad.share > BAD_SHARE, bad)
    with story_log.part("alice starts a rollback"):
        plan, gate = await ask(stage, "rollback", "30 % errors since 1.1.0")
        wanted = plan.after.name if plan.after else "no release"
        story_log.expect("the plan goes back to 1.0.0", "1.0.0" in wanted, wanted)
    with story_log.part("bob approves"):
        await approve(stage, gate)
    with story_log.part("The worker is killed while ECS rolls"):
        await _crash(stage)
    with story_log.part("A new worker continues"):
        ended = await _go_on(stage)
    with story_log.part("What was done"):
        await _sum_up(stage, ended)


async def _crash(stage: Stage) -> None:
    story_log = stage.story_log
    await stage.until_seen("the rollout is waited for", waits_for_steady, 60)
    stage.world.kill_worker()
    story_log.say("SIGKILL: the worker is gone in the middle of the rollout", "yellow")
    view = await stage.see()
    story_log.expect("the rollout was not over", waits_for_steady(view), view.report.summary)
    story_log.expect(
        "the page can still be read, without any worker",
        not view.live and view.report.steps,
        f"{len(view.report.steps)} steps",
    )


async def _go_on(stage: Stage) -> RunView:
    story_log = stage.story_log
    stage.world.start_worker()
    story_log.say("a new worker is ready")
    ended = await recovered(stage)
    report = ended.report
    steady = next((step for step in report.steps if step.heading == "Wait for steady state"), None)
    story_log.expect(
        "the new worker saw steady state", steady and steady.state == "done", steady.step if steady else ""
    )
    return ended


async def _sum_up(stage: Stage, ended: RunView) -> None:
    story_log, report, run = stage.story_log, ended.report, ended.run
    story_log.say(
        f"{report.procedure} of {report.service} in {report.environment}, asked by {report.requested_by}: {report.outcome}"
    )
    for decision in report.decisions:
        story_log.say(f"{clock(decision.at)}  {decision.kind} by {decision.by}: {decision.detail}")
    for heading, took in _lengths(ended).items():
        story_log.say(f"{span(took):>8}  {heading}")
    made = await stage.calls()
    changes = [call for call in made if call.changes]
    for call in changes:
        story_log.say(f"AWS change: {call.action} {call.parameters.get('taskDefinition', '')}".rstrip())
    story_log.say(f"ledger of releases: {_marks(made)} tags")
    await changed_exactly(stage, "UpdateService")
    whole = run.ended - run.started if run.ended else timedelta(0)
    story_log.say(f"from the request to the end: {span(whole)}")
    story_log.say(
        f"the run's history (until this sandbox is stopped): {ui_address(stage.client, run.id, run.run_id)}"
    )


def _lengths(ended: RunView) -> dict[str, timedelta]:
    """Say how long each part of the page took, waits for people included."""
    steps = ended.report.steps
    first = {step.heading: step.started for step in reversed(steps)}
    ends = [*list(first.values())[::-1][1:], ended.run.ended or steps[-1].started]
    return {heading: end - first[heading] for heading, end in zip(reversed(first), ends, strict=True)}


def _marks(made: list[AwsCall]) -> int:
    return sum(len(call.parameters.get("tags", ())) for call in made if call.action == "TagResource")

"""What happens in every story: a healthy release, a person who starts a procedure, another who approves, the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runbook_model.plans import Plan
from runbook_model.reports import Checkpoint, Outcome, Report, State
from starter.client.run_view import RunView
from starter.demo.outside import measure_usual
from starter.demo.stage import Stage
from starter.exits import CliError
from starter.printing import clock
from starter.view.page import plan as show_plan
from workflows.incidents.report import IncidentReport

BAD_SHARE = 0.10
"""The runbook's threshold."""
FAILING = "which fails 30 % of its requests"
"""What the bad release does."""
EVERYDAY_SECONDS = 25.0
"""Until it is known what is usual: without that a bad release cannot be distinguished from load."""
USUAL = 0.8
"""So near to today's requests is what is usual, before something happens."""


UNHEALTHY_WITHIN = 30


def back_to_first(plan: Plan) -> tuple[bool, str]:
    """See whether a plan goes back to the first release."""
    wanted = plan.after.name if plan.after else "no release"
    return "1.0.0" in wanted, wanted


def headline_has(text: str) -> Callable[[Plan], tuple[bool, str]]:
    """Have a plan's headline searched for a text."""
    return lambda plan: (text in plan.headline, plan.headline)


async def healthy_release(stage: Stage) -> None:
    """See the first release answer well."""
    with stage.story_log.part("A healthy release"):
        healthy = await stage.error_rate("requests are measured", lambda _: True, 40)
        stage.story_log.expect("1.0.0 answers well", healthy.share < BAD_SHARE, healthy)


async def everyday(stage: Stage) -> None:
    """Let it go well for a while."""
    stage.story_log.say("it goes well for a while: what is usual is known then")
    await asyncio.sleep(EVERYDAY_SECONDS)
    await stage.measured("it is known what is usual", measure_usual, lambda share: share > USUAL, 90)


async def deploy(stage: Stage, version: str, words: str, memory: int = 512, **settings: str) -> None:
    """Release a version that ECS finds no fault with."""
    stage.story_log.say(f"the pipeline releases {version}, {words}")
    stage.story_log.need(
        "ECS calls the deployment SUCCESSFUL: its tasks are healthy",
        await stage.deploy(version, memory, **settings),
    )


async def deploy_failing(stage: Stage) -> None:
    """Release a version that fails its requests, and see them fail."""
    await deploy(stage, "1.1.0", FAILING, FAULT_ERROR_RATE="0.3")
    await requests_fail(stage, 30)


async def requests_fail(stage: Stage, seconds: float) -> None:
    """See requests fail, within some seconds."""
    bad = await stage.error_rate("errors show", lambda rate: rate.share > 2.5 * BAD_SHARE, seconds)
    stage.story_log.need("but requests fail", bad.share > BAD_SHARE, bad)


async def goes_down(stage: Stage, words: str) -> None:
    """See the service answer nothing any more, before long."""

    async def down() -> bool | None:
        return None if await stage.healthy() else True

    stage.story_log.need(words, await stage.until("it is down", down, UNHEALTHY_WITHIN), "health 503")


async def ask_and_approve(
    stage: Stage,
    procedure: str,
    reason: str,
    *,
    expected: str,
    shows: Callable[[Plan], tuple[object, object]],
    title: str | None = None,
) -> None:
    """Have alice start a procedure, see it ask before it changes anything, and have bob approve what it asks.

    Args:
        stage: where.
        procedure: what she starts.
        reason: why.
        expected: phrases that its plan must show.
        shows: whether it does, and what it shows.
        title: the part of the story; by default that alice starts the procedure.
    """
    story_log = stage.story_log
    with story_log.part(title or f"alice starts {procedure}"):
        run = await stage.start(procedure, "alice", reason)
        story_log.say(f"runbook start {procedure} prod/ai-processor --as alice  ->  {run.id}")
        report = (await asks(stage)).report
        plan, gate = gate_of(stage, report)
        await nothing_changed(stage, report)
        story_log.expect(expected, *shows(plan))
    with story_log.part("bob approves"):
        await _approve(stage, gate)


async def asks(stage: Stage) -> RunView:
    """See the run ask people."""
    return await stage.until_seen("it asks", lambda seen: seen.report.state is State.AWAITING_APPROVAL, 60)


def gate_of(stage: Stage, report: Report | IncidentReport) -> tuple[Plan, Checkpoint]:
    """Show what was found, and what people are asked."""
    story_log, gate = stage.story_log, report.checkpoint
    say_findings(stage, report)
    story_log.need("it asks before it changes anything", gate and gate.plan, gate.question if gate else "")
    assert gate is not None
    assert gate.plan is not None
    story_log.show(show_plan(gate.plan, gate.plan_hash))
    return gate.plan, gate


def say_findings(stage: Stage, report: Report | IncidentReport) -> None:
    """Say what was found."""
    for found in report.findings:
        stage.story_log.say(f"it found: {found}")


async def nothing_changed(stage: Stage, report: Report | IncidentReport) -> None:
    """See that neither the run nor anybody else has changed something."""
    changed = [call.action for call in await stage.calls() if call.changes]
    stage.story_log.expect("nothing has been changed yet", not report.changes and not changed, changed or "")


async def _approve(stage: Stage, gate: Checkpoint) -> None:
    """Have alice refused, as she asked for it herself, and bob approve."""
    story_log = stage.story_log
    own = "alice may not approve what she asked for herself"
    try:
        await stage.approve("alice", gate.plan_hash)
        story_log.expect(own, ok=False, found="she was let")
    except CliError as refusal:
        story_log.expect(own, ok=True, found=refusal)
    decided = await stage.approve("bob", gate.plan_hash)
    story_log.expect("bob approves exactly this plan", decided.confirmed, decided.detail)


async def recovered(stage: Stage, seconds: float = 120) -> RunView:
    """See the run end well, and the service answer well again."""
    story_log = stage.story_log
    ended = await stage.until_seen("it ends", lambda seen: not seen.run.is_open, seconds)
    report = ended.report
    story_log.expect("the run recovered the service", report.outcome is Outcome.RECOVERED, report.summary)
    good = await stage.error_rate("errors are gone", lambda rate: rate.share < BAD_SHARE / 2, 20)
    story_log.expect("the service answers well again", good.share < BAD_SHARE, good)
    return ended


async def changed_exactly(stage: Stage, *actions: str) -> None:
    """See that AWS was changed by these calls and no others."""
    changes = [call.action for call in await stage.calls() if call.changes]
    wanted = f"exactly by {', '.join(actions)}" if actions else "not at all"
    stage.story_log.expect(f"AWS was changed {wanted}", changes == list(actions), ", ".join(changes))


def kill_worker(stage: Stage) -> None:
    """Kill the worker."""
    stage.world.kill_worker()
    stage.story_log.say("SIGKILL: the worker is gone in the middle of the rollout", "yellow")


async def new_worker_recovers(stage: Stage) -> RunView:
    """Start a new worker, and see the run end well."""
    stage.world.start_worker()
    stage.story_log.say("a new worker is ready")
    return await recovered(stage)


def waits_for_steady(view: RunView) -> bool:
    """Whether a rollback waits for its rollout just now."""
    newest = view.report.steps[-1] if view.report.steps else None
    return newest is not None and newest.heading == "Wait for steady state" and newest.state == "running"


def evidence(stage: Stage, ended: RunView, step: str, most: int = 4) -> None:
    """Say what a step was distinguished from: what was asked, when, and the answer."""
    read = next((item for item in ended.report.steps if item.step == step), None)
    cited = read.cited if read else ()
    stage.story_log.expect("the report cites what was asked, when, and the answer", cited, step)
    for item in cited[:most]:
        stage.story_log.say(f"{clock(item.at)}  {item.what}: {item.said}  <-  {item.query}", "dim")


def reported_changes(stage: Stage, ended: RunView, what: str, *actions: str) -> None:
    """See that the run reports these changes and no others."""
    made = [change.action for change in ended.report.changes]
    stage.story_log.expect(what, made == list(actions), ", ".join(made))


def tasks(stage: Stage, ended: RunView, what: str) -> None:
    """Say what is left to people."""
    left = [task.what for task in ended.report.tasks]
    stage.story_log.expect(what, left, "; ".join(left))

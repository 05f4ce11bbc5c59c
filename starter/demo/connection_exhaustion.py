"""A release forgets its database connections until none is left; exactly the forgotten ones are ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starter.exits import CliError
from starter.page import plan
from workflows.messages import Outcome, State

if TYPE_CHECKING:
    from starter.demo.stage import Stage
    from starter.sight import Sight
    from workflows.messages import Checkpoint

BAD_SHARE = 0.10
"""The runbook's threshold."""


async def play(stage: Stage) -> None:
    """Play the story."""
    telling = stage.telling
    with telling.part("A healthy release"):
        healthy = await stage.error_rate("requests are measured", lambda _: True, 40)
        telling.expect("1.0.0 answers well", healthy.share < BAD_SHARE, healthy)
    with telling.part("A release that leaks is deployed"):
        telling.say("the pipeline releases 1.1.0, whose tasks begin 20 transactions each and never end them")
        telling.need(
            "ECS calls the deployment SUCCESSFUL: its tasks are healthy",
            await stage.deploy("1.1.0", FAULT_DB_CONNECTIONS="20"),
        )
        bad = await stage.error_rate("errors show", lambda rate: rate.share > 0.8, 40)
        telling.need("but the database has no connection left, and requests fail", bad.share > 0.5, bad)
    with telling.part("alice starts database-issues"):
        gate = await _ask(stage)
    with telling.part("bob approves"):
        await _decide(stage, gate)
    with telling.part("The sessions are ended, and it is verified"):
        ended = await _follow(stage)
    with telling.part("What was learnt"):
        await _sum_up(stage, ended)


async def _ask(stage: Stage) -> Checkpoint:
    telling = stage.telling
    run = await stage.start_procedure("database-issues", "alice", "too many connections since 1.1.0")
    telling.say(
        f"runbook start database-issues --service ai-processor --environment prod --as alice  ->  {run.id}"
    )
    sight = await stage.until_seen("it asks", lambda seen: seen.report.state is State.AWAITING_APPROVAL, 60)
    gate = sight.report.checkpoint
    telling.need("it asks before it ends anything", gate and gate.plan, gate.question if gate else "")
    assert gate is not None
    assert gate.plan is not None
    telling.show(plan(gate.plan, gate.plan_hash))
    leaking = "ai-processor-prod:2"
    telling.expect("it found who holds the connections", leaking in gate.plan.headline, gate.plan.headline)
    telling.expect("nothing has been changed yet", not sight.report.changes)
    return gate


async def _decide(stage: Stage, gate: Checkpoint) -> None:
    telling = stage.telling
    try:
        await stage.approve("alice", gate.plan_hash)
        telling.expect("alice may not approve what she asked for herself", ok=False, found="she was let")
    except CliError as refusal:
        telling.expect("alice may not approve what she asked for herself", ok=True, found=refusal)
    decided = await stage.approve("bob", gate.plan_hash)
    telling.expect("bob approves exactly this list of sessions", decided.confirmed, decided.detail)


async def _follow(stage: Stage) -> Sight:
    telling = stage.telling
    ended = await stage.until_seen("it ends", lambda seen: not seen.run.is_open, 120)
    report = ended.report
    telling.expect(
        "the run gave the service its database back", report.outcome is Outcome.RECOVERED, report.summary
    )
    step = next((step for step in report.steps if step.heading == "Free connections"), None)
    telling.expect(
        "the forgotten sessions were ended", step and step.state == "done", step.detail if step else ""
    )
    good = await stage.error_rate("errors are gone", lambda rate: rate.share < BAD_SHARE / 2, 20)
    telling.expect("the service answers well again", good.share < BAD_SHARE, good)
    return ended


async def _sum_up(stage: Stage, ended: Sight) -> None:
    telling, report = stage.telling, ended.report
    for found in report.findings:
        telling.say(found)
    telling.expect(
        "the leak is reported, with what is left to do",
        report.tasks,
        "; ".join(task.what for task in report.tasks),
    )
    actions = [change.action for change in report.changes]
    telling.expect(
        "one change was made, in the database", actions == ["pg_terminate_backend"], ", ".join(actions)
    )
    changes = [call.action for call in await stage.calls() if call.changes]
    telling.expect("AWS was not changed at all", not changes, ", ".join(changes))

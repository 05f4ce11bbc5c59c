"""A release forgets its database connections until none is left; exactly the forgotten ones are ended."""

from __future__ import annotations

from starter.demo.scenes import (
    approve,
    ask,
    changed_exactly,
    deploy,
    healthy_release,
    recovered,
    tasks,
)
from starter.demo.stage import Stage


async def play(stage: Stage) -> None:
    """Play the story."""
    story_log = stage.story_log
    await healthy_release(stage)
    with story_log.part("A release that leaks is deployed"):
        words = "whose tasks start 20 transactions each and never end them"
        await deploy(stage, "1.1.0", words, FAULT_DB_CONNECTIONS="20")
        bad = await stage.error_rate("errors show", lambda rate: rate.share > 0.8, 40)
        story_log.need("but the database has no connection left, and requests fail", bad.share > 0.5, bad)
    with story_log.part("alice starts database-issues"):
        plan, gate = await ask(stage, "database-issues", "too many connections since 1.1.0")
        leaking = "ai-processor-prod:2"
        story_log.expect("it found who holds the connections", leaking in plan.headline, plan.headline)
    with story_log.part("bob approves"):
        await approve(stage, gate)
    with story_log.part("The sessions are ended, and it is verified"):
        ended = await recovered(stage)
    with story_log.part("What was learnt"):
        for found in ended.report.findings:
            story_log.say(found)
        tasks(stage, ended, "the leak is reported, with what is left to do")
        actions = [change.action for change in ended.report.changes]
        story_log.expect(
            "one change was made, in the database", actions == ["pg_terminate_backend"], ", ".join(actions)
        )
        await changed_exactly(stage)

"""Stories of outages: a leak, a rush, containers that hang, a locked table, a database without connections."""

from __future__ import annotations

import asyncio

from runbook_model.plans import Plan
from starter.demo.outside import measure_memory, measure_p95
from starter.demo.scenes import (
    BAD_SHARE,
    ask_and_approve,
    changed_exactly,
    deploy,
    everyday,
    evidence,
    goes_down,
    headline_has,
    healthy_release,
    recovered,
    reported_changes,
    say_findings,
    tasks,
)
from starter.demo.stage import SANDBOX, Stage

GROWN = 0.24
"""The share of its memory from which on a task has grown for long enough to speak of a slope."""

USUAL = 25.0

MANY = 100.0

SLOW_SECONDS = 1.0
"""The runbook's threshold."""

WHO = "migration"

FORGOTTEN_SECONDS = 8.0
"""Longer than the catalog's ``leaked_after``: before that, somebody may still be at it."""


async def leak(stage: Stage) -> None:
    """Play the story: a release leaks memory; the slope gives it away long before it is full, and more tasks buy time."""
    story_log = stage.story_log
    await healthy_release(stage)
    with story_log.part("A release that leaks is deployed"):
        words = "whose tasks take a megabyte of their 256 every second"
        await deploy(stage, "1.1.0", words, memory=256, FAULT_LEAK_MB_PER_SECOND="1")
        used = await stage.measured("memory grows", measure_memory, lambda share: share > GROWN, 60)
        story_log.need("and memory grows", used > GROWN, f"{used:.0%} of the limit")
    await ask_and_approve(
        stage,
        "resource-issues",
        "memory grows",
        expected="it found a leak, and when memory is full",
        shows=_names_leak,
    )
    with story_log.part("More tasks share the load, and it is verified"):
        ended = await recovered(stage)
        story_log.expect("a hold keeps them for an hour", await stage.has_hold())
    with story_log.part("What is left"):
        evidence(stage, ended, "Read CPU, memory and restarts", most=6)
        tasks(stage, ended, "the leak itself is left to people, in writing")
        await changed_exactly(stage, "UpdateService")


def _names_leak(plan: Plan) -> tuple[bool, str]:
    why = "; ".join(plan.because)
    return "leak" in why and "full in" in why, why


async def load(stage: Stage) -> None:
    """Play the story: four times the usual requests are too many for two tasks; more are run while it lasts, and taken back after it."""
    story_log = stage.story_log
    await healthy_release(stage)
    with story_log.part("An everyday release"):
        words = "whose tasks answer five requests at once, in 0.15 s"
        await deploy(stage, "1.1.0", words, FAULT_REQUESTS_AT_ONCE="5", FAULT_LATENCY_SECONDS="0.15")
        await everyday(stage)  # the first windows of the release are past then, too
    with story_log.part("Everybody comes at once"):
        await stage.load(MANY)
        bad = await stage.error_rate("requests are refused", lambda rate: rate.share > 2.8 * BAD_SHARE, 30)
        story_log.need(f"of {MANY:.0f} requests a second, many are refused", bad.share > BAD_SHARE, bad)
    await ask_and_approve(
        stage,
        "high-error-rate",
        "a third of the requests is refused",
        expected="the cause is load, not the release: the plan adds tasks",
        shows=headline_has("out from 2 to 5 tasks"),
    )
    with story_log.part("More tasks run, and it is verified"):
        ended = await recovered(stage)
        story_log.expect("a hold keeps them for an hour", await stage.has_hold())
        evidence(stage, ended, "Read its load")
    with story_log.part("The rush is over, and alice ends the hold"):
        await stage.load(USUAL)
        hold = await stage.end_hold("alice", "the rush is over")
        undone = "; ".join(f"{change.after}: {change.undone}" for change in hold.report.changes)
        story_log.expect("the tasks are taken back", "undone" in undone or "wanted again" in undone, undone)
        await changed_exactly(stage, "UpdateService", "UpdateService")


async def local_hang(stage: Stage) -> None:
    """Play the story: the containers of a compose project hang; service-down sees that they are unhealthy, and restarts them."""
    story_log = stage.story_log
    with story_log.part("A healthy compose project"):
        healthy = await stage.error_rate("requests are measured", lambda _: True, 40)
        story_log.expect("its two containers answer well", healthy.share < BAD_SHARE, healthy)
    with story_log.part("Both containers hang"):
        broken = await stage.succeeds("they hang", [*SANDBOX, "break-local", "--hang"])
        story_log.need("their processes are there and do nothing", broken)
        await goes_down(stage, "soon nothing answers")
    with story_log.part("alice starts service-down"):
        run = await stage.start("service-down", "alice", "nothing answers")
        story_log.say(f"runbook start service-down local/ai-processor --as alice  ->  {run.id}")
    with story_log.part("Nobody has to approve in local: they are restarted, and it is verified"):
        ended = await recovered(stage)
    with story_log.part("What was done"):
        say_findings(stage, ended.report)
        unhealthy = any(found.startswith("unhealthy-targets") for found in ended.report.findings)
        story_log.expect("it found them unhealthy", unhealthy)
        changes = [change.after for change in ended.report.changes]
        story_log.expect(
            "they were restarted, once", changes == ["ai-processor restarted"], ", ".join(changes)
        )


async def slow_database(stage: Stage) -> None:
    """Play the story: somebody leaves a table locked, and every answer is slow; high-latency finds the database, and has the lock ended."""
    story_log = stage.story_log
    await healthy_release(stage)
    await everyday(stage)
    with stage.session(WHO, "LOCK TABLE settings IN ACCESS EXCLUSIVE MODE"):
        with story_log.part("A migration by hand is left half-way"):
            story_log.say(f"{WHO}: BEGIN; LOCK TABLE settings; and then a phone rings")
            await asyncio.sleep(FORGOTTEN_SECONDS)
            slow = await _p95(stage, "answers get slow", slow=True)
            story_log.need("every answer waits for the settings", slow > SLOW_SECONDS, f"p95 {slow:.2f} s")
        await ask_and_approve(
            stage,
            "high-latency",
            "p95 above 1 s",
            expected="it found who holds the lock",
            shows=headline_has(WHO),
        )
        with story_log.part("database-issues runs as its child, and latency is verified"):
            ended = await recovered(stage)
            quick = await _p95(stage, "answers are quick again", slow=False)
            story_log.expect("answers are quick again", quick < SLOW_SECONDS, f"p95 {quick:.2f} s")
    with story_log.part("What was done"):
        evidence(stage, ended, "Read what is slow")
        reported_changes(stage, ended, "one session was ended", "pg_terminate_backend")
        await changed_exactly(stage)


async def _p95(stage: Stage, what: str, *, slow: bool) -> float:
    return await stage.measured(what, measure_p95, lambda p95: (p95 > SLOW_SECONDS) is slow, 40)


async def connection_exhaustion(stage: Stage) -> None:
    """Play the story: a release forgets its database connections until none is left; exactly the forgotten ones are ended."""
    story_log = stage.story_log
    await healthy_release(stage)
    with story_log.part("A release that leaks is deployed"):
        words = "whose tasks start 20 transactions each and never end them"
        await deploy(stage, "1.1.0", words, FAULT_DB_CONNECTIONS="20")
        bad = await stage.error_rate("errors show", lambda rate: rate.share > 0.8, 40)
        story_log.need("but the database has no connection left, and requests fail", bad.share > 0.5, bad)
    await ask_and_approve(
        stage,
        "database-issues",
        "too many connections since 1.1.0",
        expected="it found who holds the connections",
        shows=headline_has("ai-processor-prod:2"),
    )
    with story_log.part("The sessions are ended, and it is verified"):
        ended = await recovered(stage)
    with story_log.part("What was learnt"):
        for found in ended.report.findings:
            story_log.say(found)
        tasks(stage, ended, "the leak is reported, with what is left to do")
        reported_changes(stage, ended, "one change was made, in the database", "pg_terminate_backend")
        await changed_exactly(stage)

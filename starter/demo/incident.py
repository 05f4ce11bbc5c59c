"""A bad release, and nobody looks: the alert opens an incident, which finds the cause, asks, repairs, tells and reviews."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from runbook_model.reports import Checkpoint
from starter.client.run_view import RunView, look
from starter.client.runs import describe, find
from starter.demo.outside import SlackMessage, alerts_firing, slack_messages
from starter.demo.scenes import (
    FAILING,
    asks,
    back_to_first,
    changed_exactly,
    deploy,
    everyday,
    gate_of,
    healthy_release,
    kill_worker,
    new_worker_recovers,
    nothing_changed,
    waits_for_steady,
)
from starter.demo.stage import ENVIRONMENT, INCIDENT, REMEDIATION, SERVICE, Stage
from starter.printing import clock
from workflows.incidents.report import IncidentReport

ALERT = "HighErrorRate"


async def play(stage: Stage) -> None:
    """Play the story."""
    story_log = stage.story_log
    await healthy_release(stage)
    await everyday(stage)
    with story_log.part("The webhook dies, and a bad release is deployed"):
        await _break(stage)
    with story_log.part("A new webhook gets the alert, which opens an incident"):
        gate = await _opened(stage)
    with story_log.part("alice has it, bob approves"):
        await _answer(stage, gate)
    with story_log.part("The worker is killed while ECS rolls"):
        await _crash(stage)
    with story_log.part("A new worker continues; the alert is resolved"):
        ended = await _go_on(stage)
    with story_log.part("The messages to people, in one thread"):
        await _check_messages(stage)
    with story_log.part("The review"):
        _reviewed(stage)
    with story_log.part("What was done"):
        await _sum_up(stage, ended)


async def _break(stage: Stage) -> None:
    story_log = stage.story_log
    stage.world.kill_webhook()
    story_log.say("SIGKILL: nobody takes Alertmanager's alerts", "yellow")
    await deploy(stage, "1.1.0", FAILING, FAULT_ERROR_RATE="0.3")
    stage.asked_at = datetime.now(UTC)  # whatever changes from now on, the product changes

    async def fires() -> bool | None:
        firing = await asyncio.to_thread(alerts_firing, stage.world.addresses["alertmanager"])
        return (ALERT, SERVICE, ENVIRONMENT) in firing or None

    story_log.need(f"Prometheus fires {ALERT}, and Alertmanager has it", await stage.until(ALERT, fires, 60))
    story_log.expect("nobody took it: there is no incident", await describe(stage.client, INCIDENT) is None)


async def _opened(stage: Stage) -> Checkpoint:
    story_log = stage.story_log
    stage.world.start_webhook()
    story_log.say("a new webhook is ready; Alertmanager sends again what nobody took")
    run = await stage.appears(INCIDENT, 60)
    story_log.say(f"opened: {run.id}")
    report = _incident(await asks(stage))
    procedures = [procedure.procedure for procedure in report.procedures]
    story_log.expect(f"{ALERT} chose its procedure", procedures == ["high-error-rate"], ", ".join(procedures))
    plan, gate = gate_of(stage, report)
    story_log.expect("errors started with the release: it goes back to 1.0.0", *back_to_first(plan))
    await nothing_changed(stage, report)
    return gate


async def _answer(stage: Stage, gate: Checkpoint) -> None:
    taken = await stage.acknowledge("alice")
    stage.story_log.expect("alice says that she has it", taken.confirmed, taken.detail)
    decided = await stage.approve("bob", gate.plan_hash)
    stage.story_log.expect("bob approves exactly this plan", decided.confirmed, decided.detail)


async def _crash(stage: Stage) -> None:
    story_log = stage.story_log

    async def rolls() -> RunView | None:
        rollback = await describe(stage.client, f"{REMEDIATION}/rollback")
        view = await look(stage.client, rollback) if rollback else None
        return view if view and waits_for_steady(view) else None

    rollback = await stage.until("the rollout is waited for", rolls, 60)
    kill_worker(stage)
    story_log.expect("it was a rollback, started by high-error-rate", rollback.run.parent == REMEDIATION)
    view = await stage.see()
    story_log.expect("the incident can still be read, without any worker", not view.live, view.report.summary)


async def _go_on(stage: Stage) -> RunView:
    ended = await new_worker_recovers(stage)
    report = _incident(ended)
    alerts = ", ".join(f"{alert.name} {alert.status}" for alert in report.alerts)
    stage.story_log.expect("every alert is resolved", report.alerts and not report.firing, alerts)
    stage.story_log.expect("nobody else was called", not report.called, ", ".join(report.called))
    return ended


async def _check_messages(stage: Stage) -> None:
    story_log = stage.story_log
    messages = [
        item
        for item in await asyncio.to_thread(slack_messages, stage.world.addresses["slack"])
        if item.mark.startswith(f"{INCIDENT}@")
    ]
    for message in messages:
        story_log.say(f"{message.number:>3}  {message.headline}", "dim")
    kinds = [_kind(message) for message in messages]
    rest = set(kinds[1:-1]) <= {"UPDATE"}
    story_log.expect(
        "started, updates and resolved were sent", (kinds[:1], kinds[-1:]) == (["INCIDENT"], ["RESOLVED"])
    )
    story_log.expect("between them only updates", rest and len(kinds) > 2, f"{len(kinds) - 2} updates")
    threads = {message.thread for message in messages}
    story_log.expect("all of it in one thread", len(threads) == 1, f"{len(messages)} messages")
    numbers = [message.number for message in messages]
    in_order = list(dict.fromkeys(numbers)) == list(range(1, len(set(numbers)) + 1))
    story_log.expect("no message is missing, and they arrived in order", in_order, numbers)
    unmarked = [message.number for message in messages if not message.is_repeat]
    story_log.expect(
        "every message that came twice was marked as a possible repeat",
        len(unmarked) == len(set(unmarked)),
        unmarked,
    )


def _kind(message: SlackMessage) -> str:
    return next((word for word in ("INCIDENT", "UPDATE", "RESOLVED") if f"*{word}: " in message.text), "?")


def _reviewed(stage: Stage) -> None:
    story_log = stage.story_log
    shelf = Path(stage.world.environment["RUNBOOK_REVIEWS"]) / ENVIRONMENT / SERVICE
    pages = sorted(shelf.glob("*.md"))
    story_log.need(
        "the review is written, as a page and as JSON",
        len(pages) == 1 and pages[0].with_suffix(".json").exists(),
    )
    page = pages[0].read_text()
    for line in page.splitlines()[:12]:
        if line.strip():
            story_log.say(line, "dim")
    unsaid = [word for word in (ALERT, "alice", "bob", "ai-processor-prod:1 (1.0.0)") if word not in page]
    story_log.expect(
        "it names the alert, who had it, who approved, and what was changed", not unsaid, unsaid or ""
    )


async def _sum_up(stage: Stage, ended: RunView) -> None:
    story_log, report = stage.story_log, _incident(ended)
    for decision in report.decisions:
        story_log.say(f"{clock(decision.at)}  {decision.kind} by {decision.by}: {decision.detail}")
    for word, where in (("incident", INCIDENT), ("remediation", REMEDIATION)):
        runs, _ = await find(stage.client, f'WorkflowId = "{where}"', 10)
        story_log.expect(f"one {word}", len(runs) == 1, ", ".join(str(run.outcome) for run in runs))
    await changed_exactly(stage, "UpdateService")


def _incident(view: RunView) -> IncidentReport:
    assert isinstance(view.report, IncidentReport)
    return view.report

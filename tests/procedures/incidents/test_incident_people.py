"""How people hear of an incident: in order, along the contacts, and never at the remediation's cost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runbook_model.catalog.policies import AlertRule
from tests.procedures.stage.incidents import QUICK
from workflows.incident import Incident

BOB = {"by": "bob"}
MOMENT = timedelta(seconds=0.3)


@pytest.fixture
def world(world):
    """The matrix gives nobody much time."""
    world.matrix = tuple(
        AlertRule(name=name, severity=severity, respond_within=within, procedure=procedure)
        for name, severity, within, procedure in (
            ("ServiceDown", "critical", timedelta(0), "service-down"),
            ("HighErrorRate", "warning", MOMENT, "high-error-rate"),
        )
    )
    return world


async def test_nobody_in_time_calls_the_contacts_one_after_the_other(stage, world):
    world.problem = "no service shop"
    handle = await stage.fires("HighErrorRate")
    await stage.until(lambda now: len(now.called) == 6 and not now.undelivered)
    first, *rest = world.said("escalation")
    assert first.at - (await handle.describe()).start_time >= MOMENT
    assert all(later.at - earlier.at >= MOMENT for earlier, later in zip([first, *rest], rest, strict=False))
    assert [item.contact for item in (first, *rest)] == ["On-call SRE", "DevOps lead"] * 3
    assert {item.contact for item in world.said("escalation", "pager")} == {"On-call SRE"}


async def test_immediate_calls_at_once_and_an_acknowledgement_ends_it(stage, world):
    world.rhythm = QUICK.model_copy(update={"call_every": timedelta(hours=1)})
    await stage.fires("ServiceDown")
    await stage.running("service-down")
    await stage.until(lambda now: now.called == ("On-call SRE",) and now.next_call is None)
    await stage.ends("inconclusive")
    await stage.until(lambda now: now.procedures[0].outcome and now.next_call)
    answer = await stage.incident().execute_update(Incident.acknowledge, BOB)
    assert "nobody else is called" in answer.detail
    seen = await stage.until(lambda now: now.acknowledged_by == "bob")
    assert (len(seen.called), seen.next_call) == (1, None)


async def test_a_procedure_that_works_is_an_answer_and_one_that_waits_is_none(stage, world):
    await stage.fires("HighErrorRate")
    seen = await stage.running("high-error-rate")
    assert (seen.called, seen.next_call) == ((), None)
    await stage.cue("ask")
    await stage.until(lambda now: now.called and not now.undelivered)
    assert "How to continue?" in world.said("escalation")[0].ask


async def test_a_checkpoint_that_nobody_answers_calls_although_somebody_has_it(stage, world):
    world.checkpoint_escalate = MOMENT
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await stage.incident().execute_update(Incident.acknowledge, BOB)
    await stage.cue("ask")
    seen = await stage.until(lambda now: now.checkpoint)
    await stage.until(lambda now: now.called and not now.undelivered)
    assert world.said("escalation")[0].at - seen.checkpoint.opened >= MOMENT


async def test_an_update_comes_when_it_was_promised(stage, world):
    world.rhythm = QUICK.model_copy(update={"update_every": timedelta(seconds=0.5)})
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await stage.until(lambda _: len(world.said("update")) > 1)
    started, (first, second) = world.said("started")[0], world.said("update")[:2]
    assert first.at >= started.next_update == started.at + timedelta(seconds=0.5)
    assert second.at >= first.next_update
    assert second.current_action == "high-error-rate: Play"


async def test_news_is_reported_at_once(stage, world):
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await stage.incident().execute_update(Incident.note, BOB | {"impact": "checkout fails", "eta": "noon"})
    await stage.until(lambda now: now.announced == 2 and not now.undelivered)
    (news,) = world.said("update")
    assert (news.impact, news.eta, news.status) == ("checkout fails", "noon", "investigating")


async def test_a_chat_that_is_down_delays_nothing_and_hears_everything_in_order_later(stage, world):
    world.chat_is_down = True
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await stage.cue("find", text="bad-release: since 2")
    await stage.until(lambda now: now.announced == 2)
    await stage.cue("change")
    seen = await stage.until(lambda now: now.changes and now.announced == 3)
    assert (world.sent, seen.undelivered) == ([], {"chat": "3 not sent yet"})
    world.chat_is_down = False
    await stage.until(lambda now: not now.undelivered)
    assert [(item.number, item.kind, item.status) for _, item in world.sent] == [
        (1, "started", "investigating"),
        (2, "update", "identified"),
        (3, "update", "mitigating"),
    ]


async def test_what_a_channel_refuses_is_reported_to_the_others_and_shown(stage, world):
    world.refuses = "pager"
    await stage.fires("ServiceDown")
    await stage.until(lambda now: "no such channel" in now.undelivered.get("pager", ""))
    await stage.until(lambda now: len(world.sent) == now.announced)


async def test_what_the_only_channel_refuses_is_said_by_a_contacts_channel_at_once_and_says_why(stage, world):
    world.refuses = "chat"
    await stage.fires("HighErrorRate")
    seen = await stage.until(
        lambda now: [decision for decision in now.decisions if decision.kind == "redirect"]
    )
    assert "#1 goes to pager: " in next(
        decision.detail for decision in seen.decisions if decision.kind == "redirect"
    )
    await stage.until(lambda _: world.said("started", "pager"))
    assert "no such channel" in world.said("started", "pager")[0].instead_of


async def test_a_call_that_a_contacts_channel_refuses_goes_to_the_next_contact_at_once(stage, world):
    world.rhythm = QUICK.model_copy(update={"call_every": timedelta(hours=1)})
    world.refuses = "pager"
    await stage.fires("ServiceDown")
    await stage.until(lambda now: now.called == ("On-call SRE", "DevOps lead") and now.next_call is None)
    await stage.until(lambda _: len(world.said("escalation")) > 1)
    later = [item for item in world.said("escalation") if item.contact == "DevOps lead"]
    assert any("not everybody is notified: " in observation for observation in later[0].observations)


async def test_messages_continue_in_the_channels_thread(stage, world):
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await stage.cue("find", text="bad-release: since 2")
    await stage.until(lambda _: len(world.said("started") + world.said("update")) >= 2)
    first, *later = [thread for channel, thread in world.threads if channel == "chat"]
    assert (first, {*later}) == (None, {"thread of chat"})

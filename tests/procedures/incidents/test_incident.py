"""An incident from its first alert to its end: what joins it, what it starts, what ends it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from temporalio.service import RPCError

from runbook_model.catalog.policies import AlertRule
from runbook_model.errors import CatalogError
from runbook_model.incident.messages import PROCEDURE_ENDED, ProcedureProgress
from runbook_model.names import ids
from runbook_model.reports import Outcome, Report
from tests.patience import PATIENCE
from tests.procedures.stage.incidents import Stage, at_work
from tests.procedures.stage.messages import continues_as_a_new_run, refused
from workflows.incident import LONG, Incident

STOP = {"by": "bob", "reason": "I do it myself"}
CLOSE = {"by": "bob", "root_cause": "a full disk"}


@pytest.mark.history("recovered")
async def test_an_alert_opens_an_incident_that_runs_its_procedure_and_ends_when_both_are_well(stage, world):
    await stage.fires("HighErrorRate")
    seen = await stage.running("high-error-rate")
    assert (seen.severity, seen.status, seen.firing) == ("warning", "investigating", 1)
    assert seen.procedures[0].why == "alert HighErrorRate"
    await stage.cue("find", text="bad-release: errors since 2")
    await stage.until(lambda now: now.status == "identified")
    await stage.cue("change")
    await stage.until(lambda now: now.status == "mitigating")
    await stage.resolves("HighErrorRate")
    await stage.ends("recovered", summary="Put back.")
    report = await stage.over()
    assert (report.outcome, report.summary) == (Outcome.RECOVERED, "Put back.")
    assert world.said("started")[0].title == f"High Error Rate: shop in {stage.environment}"
    resolved = world.said("resolved")[0]
    assert resolved.resolution == ("UpdateService: 2 → 1", "Put back.")
    assert resolved.root_cause == "bad-release: errors since 2 (to be confirmed)"
    assert [item.number for _, item in world.sent] == list(range(1, len(world.sent) + 1))


async def test_an_alert_whose_procedure_no_worker_has_is_a_persons_with_the_reason(stage, world):
    row = AlertRule(name="CacheFull", severity="info", respond_within="1h", procedure="purge-cache")
    world.matrix = (*world.matrix, row)
    await stage.fires("CacheFull")
    seen = await stage.until(lambda now: now.procedures and now.procedures[0].outcome)
    assert (seen.procedures[0].procedure, seen.procedures[0].outcome) == ("purge-cache", Outcome.REFUSED)
    assert "this worker has no procedure purge-cache; install the package" in seen.procedures[0].summary
    assert (seen.outcome, seen.changes) == (None, ())
    await stage.resolves("CacheFull")


async def test_alerts_of_one_target_join_and_other_targets_have_their_own(stage):
    first = await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    second = await stage.fires("HighErrorRate", "HighLatencyP95")
    other = await stage.fires("HighErrorRate", service="cart")
    seen = await stage.until(lambda now: now.firing == 2)
    assert first.id == second.id != other.id
    assert [procedure.procedure for procedure in seen.procedures] == ["high-error-rate"]
    await stage.running("high-error-rate", "cart")


async def test_a_thousand_alerts_make_one_remediation_and_a_history_that_stays_short(stage, world):
    pods = [stage.alert("HighErrorRate", fingerprint=f"pod {number}") for number in range(1000)]
    few = asyncio.Semaphore(10)  # one process plays the receiver, the worker and the person

    async def posted(pod):
        async with few:
            await stage.report(pod)

    await asyncio.gather(*map(posted, pods))
    seen = await stage.until(lambda now: now.firing == 1000 and now.procedures and not now.undelivered)
    assert [procedure.procedure for procedure in seen.procedures] == ["high-error-rate"]
    assert [item.kind for _, item in world.sent] == ["started"]
    runs = [run async for run in stage.client.list_workflows(f"WorkflowId = '{stage.incident().id}'")]
    assert len(runs) < 5
    assert max(run.history_length for run in runs) < 2 * LONG


async def test_a_more_severe_alert_does_not_stop_a_procedure_in_the_middle(stage):
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await stage.fires("ServiceDown")
    await stage.until(lambda now: now.severity == "critical")
    await stage.ends("recovered")
    seen = await stage.running("service-down")
    assert [procedure.outcome for procedure in seen.procedures] == ["recovered", None]


@pytest.mark.history("gave-way")
async def test_at_a_checkpoint_the_procedure_gives_way_to_what_is_more_severe(stage):
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await stage.cue("ask")
    seen = await stage.until(lambda now: now.checkpoint)
    assert (seen.state, seen.checkpoint.question) == ("awaiting-approval", "How to continue?")
    await stage.fires("ServiceDown")
    seen = await stage.running("service-down")
    assert [procedure.outcome for procedure in seen.procedures] == ["aborted", None]
    await stage.resolves("HighErrorRate", "ServiceDown")
    await stage.ends("recovered")
    assert (await stage.over()).outcome is Outcome.RECOVERED


@pytest.mark.history("joined")
async def test_a_procedure_that_runs_already_is_joined_heard_and_never_stopped(stage):
    run = await stage.starts("high-latency")
    await stage.fires("ServiceDown")
    seen = await stage.running("high-latency")
    assert seen.procedures[0].why == "alice"
    await stage.cue("ask")
    seen = await stage.until(lambda now: now.checkpoint)
    answer = {"by": "bob", "plan_hash": seen.checkpoint.plan_hash, "option": "a"}
    sent = await stage.incident().execute_update(Incident.decide, answer)
    assert sent.detail == f"passed on to {run.id}"
    await stage.until(lambda now: "chosen a" in now.findings and now.checkpoint is None)
    await stage.resolves("ServiceDown")
    await stage.ends("recovered")
    report = await stage.over()
    assert [procedure.procedure for procedure in report.procedures] == ["high-latency"]


async def test_one_that_a_person_starts_meanwhile_is_heard_of_at_once(stage, world):
    world.problem = "no service shop"
    handle = await stage.fires("HighErrorRate")
    await stage.until(lambda now: "no service shop" in now.summary)
    await stage.starts("rollback", incident=handle.id)
    seen = await stage.running("rollback")
    assert seen.procedures[0].why == "alice"


async def test_a_procedure_that_is_killed_is_left_to_a_person(stage, world):
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await stage.cue("change")
    await stage.until(lambda now: now.changes)
    await stage.procedure().terminate("somebody's hand")
    seen = await stage.until(lambda now: now.procedures[0].outcome)
    assert seen.procedures[0].outcome == "failed"
    assert "It was cut off" in seen.summary
    await stage.resolves("HighErrorRate")
    assert (await stage.incident().query(Incident.status)).outcome is None


async def test_a_killed_one_that_was_joined_is_missed_within_a_minute(stage):
    await stage.starts("high-latency")
    await stage.fires("ServiceDown")
    await stage.running("high-latency")
    await stage.procedure().terminate("somebody's hand")
    seen = await stage.until(lambda now: now.procedures[0].outcome == "failed")
    assert "A person must check now" in seen.summary


@pytest.mark.history("closed")
async def test_what_is_handed_over_stays_open_until_a_person_closes_it(stage, world):
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    why = await refused(stage.incident(), Incident.close, CLOSE)
    assert "high-error-rate is still under way" in why
    await stage.ends("inconclusive", summary="Not clear. A person must check now.")
    await stage.until(lambda now: "A person must check now" in now.summary)
    await stage.resolves("HighErrorRate")
    assert (await stage.incident().query(Incident.status)).outcome is None
    await stage.incident().execute_update(Incident.close, CLOSE)
    report = await stage.over()
    assert (report.outcome, report.summary) == (Outcome.RECOVERED, "Closed by bob: a full disk")
    assert world.said("resolved")[0].root_cause == "a full disk"


@pytest.mark.parametrize(("outcome", "left"), [("inconclusive", 1), ("recovered", 0)])
async def test_what_a_hold_came_to_is_on_the_incident_said_to_people_and_a_task_where_it_failed(
    stage, world, outcome, left
):
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    seen = await stage.incident().query(Incident.status)
    summary = "It could not be taken back. A person must check now."
    came = seen.model_dump() | {"procedure": "hold", "outcome": outcome, "summary": summary, "tasks": ()}
    report = Report.model_validate({name: came[name] for name in Report.model_fields})
    ended = ProcedureProgress(id=f"hold/{stage.environment}/shop", run_id="r", report=report)
    await stage.incident().signal(PROCEDURE_ENDED, ended)
    seen = await stage.until(lambda now: any(said.kind == "hold" for said in now.decisions))
    assert [task.why for task in seen.tasks] == [summary] * left
    assert [item.procedure for item in seen.procedures] == ["high-error-rate"]
    await stage.ends("recovered")
    await stage.resolves("HighErrorRate")
    await stage.over()
    assert any(f"temporary capacity: {summary}" in item.observations for _, item in world.sent)


async def test_a_persons_abort_ends_the_procedure_and_nothing_more_is_started(stage):
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await stage.incident().signal(Incident.abort, STOP)
    seen = await stage.until(lambda now: now.procedures[0].outcome == "aborted")
    await stage.fires("ServiceDown")
    seen = await stage.until(lambda now: now.firing == 2)
    assert len(seen.procedures) == 1
    assert "bob stopped it" in seen.summary


async def test_alerts_that_are_resolved_at_once_end_it_and_nobody_claims_a_recovery(stage, world):
    world.problem = None
    await stage.opens(impact="checkout fails")
    await stage.fires("NobodyKnowsThis")
    await stage.until(lambda now: "No procedure answers" in now.summary)
    await stage.resolves("NobodyKnowsThis")
    report = await stage.over()
    assert (report.outcome, world.said("started")[0].impact) == (Outcome.NOT_NEEDED, "checkout fails")


@pytest.mark.history("empty")
async def test_an_end_without_a_start_is_no_incident(stage, world):
    await stage.resolves("HighErrorRate")
    assert (await stage.over()).outcome is Outcome.NOT_NEEDED
    assert world.sent == []


async def test_what_a_person_opens_runs_what_they_want_and_ends_with_it(stage):
    await stage.opens(procedure="rollback", impact="checkout fails")
    await stage.running("rollback")
    request = (await stage.procedure().describe()).memo
    assert (await request())["request"]["automatic"] is False
    await stage.ends("recovered")
    assert (await stage.over()).outcome is Outcome.RECOVERED


async def test_alerts_of_no_target_wait_for_a_person_and_gather(stage, world):
    world.problem = "no service shop in the catalog"
    await stage.fires("HighErrorRate", problem="no service shop")
    await stage.fires("SomethingElse", problem="label service is missing")
    seen = await stage.until(lambda now: now.firing == 2 and "in the catalog" in now.summary)
    assert seen.procedures == ()
    await stage.resolves("HighErrorRate", "SomethingElse")
    await stage.incident().signal("close", CLOSE)
    assert (await stage.over()).outcome is Outcome.RECOVERED


async def test_who_closes_it_while_an_alert_fires_learns_that_a_new_one_will_follow(stage, world):
    world.problem = "no service shop in the catalog"
    handle = await stage.fires("HighErrorRate", "DiskFull")
    await stage.resolves("HighErrorRate")
    answer = await handle.execute_update(Incident.close, CLOSE)
    assert answer.detail.startswith("closed while DiskFull still fires: silence it in Alertmanager")
    assert (await stage.over()).outcome is Outcome.INCONCLUSIVE


async def test_a_catalog_that_cannot_be_read_keeps_nobody_from_being_notified_and_called(stage, world):
    world.fails.append(CatalogError("catalog.toml: not TOML"))
    await stage.fires("ServiceDown")
    seen = await stage.until(lambda now: "not TOML" in now.summary and not now.undelivered)
    assert (seen.procedures, len(world.said("started", "log")), seen.next_call is not None) == ((), 1, True)


async def test_fires_again_while_it_is_about_to_end_and_continues(stage, world):
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await stage.until(lambda now: len(world.sent) == now.announced)
    world.chat_is_down = True
    await stage.resolves("HighErrorRate")
    await stage.ends("recovered")
    await stage.until(lambda now: now.outcome == "recovered")
    await stage.fires("ServiceDown")
    seen = await stage.running("service-down")
    assert seen.outcome is None


@pytest.mark.rare
async def test_it_continues_as_a_new_run_with_everything_that_it_knew(stage, world):
    handle = await stage.fires("HighErrorRate", fingerprint="the first")
    await stage.running("high-error-rate")
    first = (await handle.describe()).run_id
    await handle.execute_update(Incident.note, {"by": "bob", "impact": "checkout fails", "eta": "noon"})
    await handle.execute_update(Incident.acknowledge, {"by": "bob", "decision_id": "d1"})
    await continues_as_a_new_run(handle, "note", {"by": "carol"}, after=LONG)
    before = world.said("update")
    await stage.fires("HighErrorRate", fingerprint="the first")
    await stage.cue("change")
    seen = await stage.until(lambda now: now.changes)
    assert (seen.impact, seen.eta, seen.acknowledged_by, seen.firing) == ("checkout fails", "noon", "bob", 1)
    assert [(procedure.procedure, procedure.ended) for procedure in seen.procedures] == [
        ("high-error-rate", None)
    ]
    again = await handle.execute_update(Incident.acknowledge, {"by": "bob", "decision_id": "d1"})
    assert again.already
    await stage.resolves("HighErrorRate", fingerprint="the first")
    await stage.ends("recovered")
    report = await stage.over()
    assert (report.outcome, len(report.procedures)) == (Outcome.RECOVERED, 1)
    assert len(world.said("started")) == 1
    numbers = [item.number for item in world.said("update")]
    assert numbers[len(before) :] == sorted(set(numbers[len(before) :]))
    assert {item.run for _, item in world.sent} == {first}


async def test_an_abort_that_comes_as_it_continues_as_a_new_run_still_reaches_the_procedure(server, world):
    stage = Stage(server.client, world)
    async with at_work(stage):
        handle = await stage.fires("HighErrorRate")
        await stage.running("high-error-rate")
    first = (await handle.describe()).run_id
    # While nobody is at work: the abort is heard in the moment in which the history is found to be long.
    few = asyncio.Semaphore(10)  # one process plays the receiver, the worker and the person

    async def says_nothing():
        async with few:
            await handle.signal("note", {"by": "carol"})

    await asyncio.gather(*(says_nothing() for _ in range(LONG)))
    await handle.signal("abort", STOP)
    async with at_work(stage):
        report = await asyncio.wait_for(stage.procedure().result(), PATIENCE)
        assert (report.outcome, report.summary[:14]) == (Outcome.ABORTED, "Aborted by bob")
        async with asyncio.timeout(PATIENCE):
            while (await handle.describe()).run_id == first:
                with suppress(RPCError):  # the run that it was sent to continues as another in this moment
                    await handle.execute_update(
                        Incident.note, {"by": "carol", "observation": "and on it goes"}
                    )
        await stage.leave_nothing_behind()


@pytest.mark.parametrize(
    ("signal", "payload", "why"),
    [
        ("alerts", None, "came without a payload; give alerts"),
        ("alerts", {"alerts": "all of them"}, "alerts"),
        ("alerts", {"alerts": [], "received": "2026-01-01T03:00:00"}, "timezone"),
        ("alerts", b"\xff\x00", "Input should be a valid dictionary"),
        ("close", {"by": "bob"}, "root_cause"),
        ("note", {"by": "bob"}, "the note is empty"),
        ("acknowledge", 7, ""),
        ("approve", {"by": "bob"}, "no procedure is under way"),
        ("procedure_ended", {"report": 1}, "id: Field required"),
        ("procedure_progress", None, "came without a payload; give id, run_id, report"),
        ("abort", [], ""),
    ],
)
async def test_no_payload_stops_it_and_what_is_of_no_use_is_shown(stage, world, signal, payload, why):
    world.problem = "nothing is started"
    handle = await stage.fires("HighErrorRate")
    await handle.signal(signal, payload)
    await handle.signal(signal, args=[payload, "one too many"])
    await handle.signal(signal)
    seen = await stage.until(lambda now: len(now.rejected) == 4)
    assert {item.message for item in seen.rejected} == {signal}
    assert why in seen.rejected[0].why
    assert [item.received for item in seen.rejected if "more than one payload" in item.why] == [
        "['one too many']"
    ]


async def test_it_is_found_by_its_search_attributes_and_its_memo(stage):
    handle = await stage.fires("ServiceDown")
    await stage.running("service-down")
    await stage.cue("ask")
    await stage.until(lambda now: now.checkpoint)
    found = await handle.describe()
    attributes = found.typed_search_attributes
    assert (attributes[ids.PROCEDURE], attributes[ids.SEVERITY]) == ("incident", "critical")
    assert attributes[ids.STATE] == "awaiting-approval"
    memo = await found.memo()
    assert memo["checkpoint"]["question"] == "How to continue?"
    assert "runbook approve" in memo["summary"]


async def test_cancelled_in_temporal_it_says_so_and_leaves_the_procedure_alone(stage, world):
    handle = await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await handle.cancel()
    report = await stage.over()
    assert (report.outcome, world.said("resolved")[0].resolution) == (Outcome.ABORTED, (report.summary,))
    assert (await stage.procedure().describe()).status.name == "RUNNING"


async def test_cancelled_while_it_starts_something_it_ends_too(stage):
    handle = await stage.fires("HighErrorRate")
    await handle.cancel()
    assert (await stage.over()).outcome is Outcome.ABORTED


async def test_a_pause_starts_nothing_until_a_person_continues(stage):
    handle = await stage.opens()
    await handle.execute_update(Incident.pause, {"by": "bob"})
    await stage.fires("HighErrorRate")
    assert (await stage.until(lambda now: now.firing == 1)).procedures == ()
    await handle.execute_update(Incident.resume, {"by": "bob"})
    await stage.running("high-error-rate")

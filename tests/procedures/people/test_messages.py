"""Whatever people send, a run continues, can be aborted, and shows what it could not use."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue

from runbook_model.catalog.policies import Approvals
from runbook_model.reports import Outcome
from tests.procedures.stage.messages import answer, refused
from workflows.rollback import Rollback


def raw(encoding: str, data: bytes) -> RawValue:
    """A payload as another client, or a hand in the UI, may make it."""
    return RawValue(Payload(metadata={"encoding": encoding.encode()}, data=data))


NOT_MESSAGES = {
    "nothing": [],
    "null": [None],
    "a string": ["bob"],
    "a number": [7],
    "a list": [["bob"]],
    "an empty object": [{}],
    "an empty name": [{"by": "", "reason": "x"}],
    "a name of spaces": [{"by": "   ", "reason": "x"}],
    "a name that is none": [{"by": {"name": "bob"}, "reason": "x"}],
    "a very long name": [{"by": "b" * 201, "reason": "x"}],
    "two, the first wrong": ["bob", {"by": "bob", "reason": "x"}],
    "no JSON": [raw("json/plain", b"{by: bob}")],
    "half a JSON": [raw("json/plain", b'{"by": "bo')],
    "no UTF-8": [raw("json/plain", b'"\xff\xfe"')],
    "half a character": [raw("json/plain", b'{"by": "\\ud800", "reason": "x"}')],
    "deep brackets": [raw("json/plain", b"[" * 50_000)],
    "bytes": [raw("binary/plain", bytes(range(256)))],
    "an unknown encoding": [raw("martian/v1", b"\x00\x01")],
    "a message of unknown type": [raw("json/protobuf", b"{}")],
    "a great many characters": ["x" * 500_000],
}


@pytest.fixture
def outside(outside):
    """Where one approval by anybody but the requester is needed."""
    outside.approvals = Approvals()
    return outside


@pytest.mark.parametrize("payload", NOT_MESSAGES.values(), ids=NOT_MESSAGES)
@pytest.mark.parametrize("name", ["approve", "abort"])
async def test_a_signal_that_is_no_message_is_shown_and_stops_nothing(runbook, outside, name, payload):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await run.signal(name, args=payload)
    report = await runbook.until(run, lambda now: now.rejected)
    rejection = report.rejected[0]
    assert (rejection.message, len(report.rejected)) == (name, max(len(payload), 1))
    assert rejection.why
    assert len(rejection.received) <= 200
    assert report.checkpoint == gate
    await run.signal(Rollback.abort, {"by": "bob", "reason": "enough"})
    assert (await runbook.end(run)).outcome is Outcome.ABORTED


@pytest.mark.parametrize("payload", NOT_MESSAGES.values(), ids=NOT_MESSAGES)
async def test_an_update_that_is_no_message_is_refused_with_the_reason(runbook, outside, payload):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    for update in ("decide", "abort_run", "pause", "resume", "acknowledge", "note"):
        assert await refused(run, update, *payload, kind="InvalidMessage")
    await answer(run, "bob", gate)
    report = await runbook.end(run)
    assert (report.outcome, report.rejected) == (Outcome.RECOVERED, ())


async def test_what_comes_next_to_a_good_message_is_shown_as_not_used(runbook, outside):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    good = {"by": "bob", "plan_hash": gate.plan_hash, "mood": "good"}
    await run.signal("approve", args=[good, "and more", 3])
    report = await runbook.end(run)
    assert report.outcome is Outcome.RECOVERED
    assert [(item.message, item.why, item.received) for item in report.rejected] == [
        ("approve", "came with more than one payload: only the first is looked at", "['and more', 3]")
    ]


async def test_a_query_with_arguments_is_answered(runbook, outside):
    run = await runbook.start()
    await runbook.at_checkpoint(run)
    assert (await run.query("status", args=[1, 2]))["procedure"] == "rollback"


async def test_a_signal_that_nobody_knows_stops_nothing(runbook, outside):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await run.signal("aprove", {"by": "bob"})
    await answer(run, "bob", gate)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


@pytest.mark.parametrize("payload", [[], [None], [{"question": "?"}], ["x"]])
async def test_nobody_but_a_child_closes_or_opens_the_gate_that_is_shown(runbook, outside, payload):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await run.signal("child_checkpoint", args=payload)
    await run.signal("child_checkpoint", gate.model_copy(update={"question": "Give away the keys?"}))
    report = await runbook.until(run, lambda now: now.rejected)
    assert report.checkpoint == gate
    assert report.state == "awaiting-approval"


async def test_of_very_many_useless_signals_the_newest_are_kept(runbook, outside):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    for number in range(60):
        await run.signal(Rollback.approve, {"by": f"mallory-{number}", "plan_hash": "0"})
    report = await runbook.until(run, lambda now: now.rejected and "-59" in now.rejected[-1].received)
    assert len(report.rejected) == 50
    await answer(run, "bob", gate)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


async def test_notes_and_acknowledgements_are_kept_and_decide_nothing(runbook, outside):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert (await run.execute_update(Rollback.acknowledge, {"by": "carol"})).detail == "acknowledged by carol"
    await run.execute_update(Rollback.note, {"by": "carol", "impact": "no orders", "eta": "soon"})
    assert "the note is empty" in await refused(run, "note", {"by": "carol"}, kind="InvalidMessage")
    report = await run.query(Rollback.status)
    assert [(d.kind, d.by, d.detail) for d in report.decisions] == [
        ("acknowledge", "carol", ""),
        ("note", "carol", "impact: no orders; eta: soon"),
    ]
    assert report.checkpoint == gate


async def test_however_much_people_note_a_run_can_still_end(runbook, outside):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    for number in range(150):
        text = f"{number} " + "x" * 1990
        await run.execute_update(
            Rollback.note, {"by": "carol", "impact": text, "root_cause": text, "observation": text}
        )
    await answer(run, "bob", gate)
    report = await runbook.end(run)
    assert report.outcome is Outcome.RECOVERED
    assert report.decisions[-1].kind == "approve"
    assert len(report.model_dump_json()) < 1_000_000, "Temporal takes 2 MiB"


@pytest.mark.parametrize("request_", [[], [None], ["shop"], [{"service": "shop"}]])
async def test_a_run_that_is_started_by_hand_without_a_proper_request_ends_at_once(
    runbook, outside, request_
):
    run = await runbook.client.start_workflow(
        "Rollback", args=request_, id=f"remediation/{runbook.environment}/shop",
        task_queue=f"runbooks-{runbook.environment}",
    )  # fmt: skip
    runbook.runs.append(run)
    with pytest.raises(WorkflowFailureError) as failed:
        await runbook.end(run)
    assert failed.value.cause.type in {"InputError", "ValidationError"}
    assert outside.calls == []

"""Where decisions are signed: what a run takes, from whom, and what it says of everything else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from runbook_model.authority.shown import read_shown
from runbook_model.authority.statement import Statement, subject_of_order
from runbook_model.catalog.policies import Approvals
from runbook_model.measured.readings import Quality
from runbook_model.reports import Outcome
from tests.unit.authority.signing import SoftKey, signers
from workflows.decisions.endings import fix_of
from workflows.rollback import Rollback

ALICE, BOB, CAROL = (
    SoftKey("ssh-ed25519"),
    SoftKey("ecdsa-sha2-nistp256"),
    SoftKey("sk-ssh-ed25519@openssh.com"),
)
KEYS = {"alice": ALICE, "bob": BOB, "carol": CAROL}


@pytest.fixture
def outside(outside):
    outside.approvals = Approvals(needed=1, people=("alice", "bob", "carol"), signed=True, requester_may=True)
    outside.signers = signers(*(key.signer(person) for person, key in KEYS.items()))
    return outside


def signed(person: str, key: SoftKey | None = None, **fields: object) -> dict[str, str]:
    """Return what a person's message carries."""
    now = datetime.now(UTC).replace(microsecond=0)
    said = {
        "namespace": "default",
        "signer": person,
        "issued_at": now,
        "decision_id": f"{person}-{fields['kind']}",
    }
    said["expires_at"] = now + timedelta(minutes=5)
    text = Statement(**(said | fields)).text()
    signature = (key or KEYS[person]).sign(text)
    return {"by": person, "decision_id": said["decision_id"], "statement": text, "signature": signature}


def yes(person: str, at, key: SoftKey | None = None, **other: object) -> dict[str, str]:
    """Return a person's signed yes to a gate."""
    asker = at.asked_by
    environment, _, service = read_shown(at.document, at.subject).target.partition("/")
    fields = {
        "kind": "approve",
        "workflow_id": asker.workflow_id,
        "run_id": asker.run_id,
        "environment": environment,
        "service": service,
        "procedure": asker.procedure,
        "gate": asker.gate,
        "subject": at.subject,
        "requester": asker.requester,
    }
    return {**signed(person, key, **(fields | other)), "plan_hash": at.plan_hash}


def order(kind: str, person: str, run, environment: str, said: dict[str, object], **fields: object):
    """Return a person's signed order."""
    about = {
        "kind": kind,
        "workflow_id": run.id,
        "run_id": run.first_execution_run_id,
        "environment": environment,
        "service": "shop",
        "subject": subject_of_order(kind, said),
    }
    return {**said, **signed(person, **(about | fields))}


async def refused(run, update, message) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as raised:
        await run.execute_update(update, message)
    return "; ".join(filter(None, (raised.value.cause.message, fix_of(raised.value.cause))))


async def test_a_signed_yes_counts_and_an_unsigned_one_does_not(runbook, outside):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert gate.asked_by.signed
    why = await refused(run, Rollback.decide, {"by": "bob", "plan_hash": gate.plan_hash})
    assert why.startswith("decisions are signed here, and this one is not; sign it")
    answer = await run.execute_update(Rollback.decide, yes("bob", gate))
    assert answer.detail == "approved, 1 of 1"
    report = await runbook.end(run)
    assert report.outcome is Outcome.RECOVERED


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"run_id": "another"}, "run_id is"),
        ({"gate": 7}, "gate is 7"),
        ({"subject": "0" * 64}, "about something else than what is shown"),
        ({"requester": "mallory"}, "requester is"),
        ({"namespace": "other"}, "namespace is"),
        ({"signer": "carol"}, "is not carol's"),
    ],
)
async def test_a_yes_to_something_else_does_not_count_and_the_gate_stays_open(runbook, outside, other, why):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert why in await refused(run, Rollback.decide, yes("bob", gate, **other))
    assert (await run.query(Rollback.status)).checkpoint.approvals == ()


async def test_a_refused_signal_is_shown_with_its_reason(runbook, outside):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await run.signal(Rollback.approve, yes("bob", gate, key=SoftKey("ssh-ed25519")))
    report = await runbook.until(run, lambda now: now.rejected)
    assert "is not in signers" in report.rejected[0].why
    await run.signal(Rollback.approve, yes("bob", gate))
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


async def test_somebody_else_cannot_send_what_a_person_signed_as_their_own(runbook, outside):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    why = await refused(run, Rollback.decide, yes("bob", gate) | {"by": "carol"})
    assert why == "carol sent what bob signed; send it as bob"


async def test_two_people_with_one_key_are_one(runbook, outside):
    outside.approvals = outside.approvals.model_copy(update={"needed": 2})
    outside.signers = signers(BOB.signer("bob,carol"), ALICE.signer("alice"))
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert (await run.execute_update(Rollback.decide, yes("bob", gate))).detail == "approved, 1 of 2"
    why = await refused(run, Rollback.decide, yes("carol", gate, key=BOB))
    assert why == "the key that signed this signed for bob; sign with a key of your own"
    assert (await run.execute_update(Rollback.decide, yes("alice", gate))).detail == "approved, 2 of 2"


async def test_an_unsigned_abort_stops_at_once_and_keeps_what_was_changed(runbook, outside):
    run = await verifying(runbook, outside)
    stop = {"by": "mallory", "reason": "back to the bad one", "keep": False, "confirmed": True}
    answer = await run.execute_update(Rollback.abort_run, stop)
    assert answer.detail == "stopping safely; what was changed stays"
    report = await runbook.end(run)
    assert report.outcome is Outcome.ABORTED
    assert [(change.action, change.kept) for change in report.changes] == [("UpdateService", True)]


async def test_a_signed_abort_undoes(runbook, outside):
    run = await verifying(runbook, outside)
    said = {"reason": "wrong service", "confirmed": True}
    stop = order("undo", "carol", run, runbook.environment, said)
    await run.execute_update(Rollback.abort_run, stop | {"keep": False})
    report = await runbook.end(run)
    assert [(change.action, change.kept) for change in report.changes] == [("UpdateService", False)]
    assert report.changes[0].undone


async def test_going_on_after_a_pause_is_signed_and_counted(runbook, outside):
    outside.holds("read_history")
    run = await runbook.start()
    await runbook.calls(outside, "read_history")
    await run.execute_update(Rollback.pause, {"by": "mallory"})
    assert "decisions are signed here" in await refused(run, Rollback.resume, {"by": "mallory"})
    go_on = order("resume", "bob", run, runbook.environment, {"reason": None}, sequence=0)
    assert (await run.execute_update(Rollback.resume, go_on)).detail == "continuing"
    await run.execute_update(Rollback.pause, {"by": "mallory"})
    again = go_on | {"decision_id": "another"}
    assert "sequence is 0, and this is 1" in await refused(run, Rollback.resume, again)


async def verifying(runbook, outside):
    """A run whose change was made, and that waits for what to do next."""
    outside.quality = Quality.BAD
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await run.execute_update(Rollback.decide, yes("bob", gate))
    await runbook.at_checkpoint(run, other_than=gate.plan_hash)
    return run

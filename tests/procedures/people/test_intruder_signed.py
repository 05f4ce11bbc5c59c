"""What somebody tries who reaches Temporal where decisions are signed, and what comes of it.

Nothing is changed, the reason is to be seen, and the way out works.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.authority.signers import read_signers
from activities.ecs.orders import DeployRelease
from runbook_model.brakes import BrakeRequest
from runbook_model.catalog.catalog import load_catalog
from runbook_model.errors import UnreachableError
from runbook_model.names import ids
from runbook_model.reports import Outcome
from tests.patience import PATIENCE
from tests.procedures.people.test_intruder import Anything, Intruder
from tests.procedures.stage.outside import release
from tests.procedures.stage.signed_stage import SIGNED, Service, Stage
from workflows.brake import Brake
from workflows.ledger import LedgerRequest, ReleaseLedger

MADE = ["deploy shop:1"]


@pytest.fixture
def service():
    return Service()


@pytest.fixture
async def stage(temporal, tmp_path, service):
    """The environment, without workers yet."""
    stage = Stage(temporal.client, tmp_path, service)
    yield stage
    for held in service.release_now.values():
        held.set()


@pytest.fixture
async def signed(stage):
    """The environment with its workers."""
    known = read_signers(stage.desk.file)
    async with stage.workers():
        yield stage
        for run in stage.runs:
            with suppress(RPCError):
                await run.signal("abort", {"by": "the test", "reason": "it is over"})
                await stage.end(run)
    assert await stage.wrong(known) == []


async def refused(answer) -> str:
    """Why a decision was refused."""
    with pytest.raises(WorkflowUpdateFailedError) as raised:
        await answer
    return str(raised.value.__cause__)


async def asked_again(stage, run, gate):
    """The next question, with why it is asked again."""
    again = await stage.gate(run, other_than=gate.subject)
    return again, again.question


class TestWithAYes:
    async def test_a_signed_yes_changes_what_was_shown(self, signed, service):
        run = await signed.start()
        await signed.approve(run)
        report = await signed.end(run)
        assert (report.outcome, service.changes[:1]) == (Outcome.RECOVERED, MADE), report.summary
        assert service.marks == [("shop:1", "good"), ("shop:2", "bad")]

    async def test_two_people_and_two_keys_are_two(self, signed, service):
        signed.says(f"{SIGNED.replace('needed = 1', 'needed = 2')}, requester_may = true")
        run = await signed.start()
        await signed.approve(run)
        await signed.approve(run, "carol")
        assert (await signed.end(run)).outcome is Outcome.RECOVERED
        assert service.changes == MADE


class TestFrontendReached:
    """Signals, updates and runs of the intruder's own."""

    async def test_an_unsigned_approval_is_rejected_and_the_gate_stays_open(self, signed, service):
        run = await signed.start()
        gate = await signed.gate(run)
        yes = {"by": "bob", "plan_hash": gate.plan_hash}
        assert "this one is not" in await refused(run.execute_update("decide", yes))
        await run.signal("approve", yes)
        async with asyncio.timeout(PATIENCE):
            while not (report := await signed.report(run)).rejected:
                await asyncio.sleep(0.01)
        assert "decisions are signed here" in report.rejected[-1].why
        assert (report.checkpoint.subject, service.changes) == (gate.subject, [])
        await signed.approve(run)
        assert (await signed.end(run)).outcome is Outcome.RECOVERED

    async def test_a_yes_of_a_stranger_or_of_whoever_asked_is_rejected(self, signed, service):
        signed.says(f"{SIGNED}, requester_may = false")
        run = await signed.start(requested_by="bob")
        gate = await signed.gate(run)
        for by in ("alice", "bob"):
            assert "may not" in await refused(run.execute_update("decide", signed.desk.answer(gate, by)))
        assert service.changes == []

    async def test_a_run_of_the_intruders_own_on_the_workers_queue_changes_nothing(self, signed, service):
        target = load_catalog(signed.catalog).target("shop", signed.environment)
        given = DeployRelease(target=target, release=release(1), fence=service.service.fence)
        async with own_worker(signed) as intruder:
            _, came = await intruder.makes("deploy_release", given, as_run=signed.lock, queue=signed.queue)
        assert came.startswith("NotWarrantedError: decisions are signed here, and nobody signed this change")
        assert (service.changes, service.calls) == ([], [])

    async def test_what_was_signed_for_another_run_is_stolen_in_vain(self, signed, service):
        run = await signed.start()
        gate = await signed.approve(run)
        await signed.end(run)
        service.changes.clear()
        again = await signed.start()
        await signed.gate(again)
        stolen = signed.desk.answer(gate)
        assert "plan" in await refused(again.execute_update("decide", stolen))
        now = await signed.gate(again)
        why = await refused(again.execute_update("decide", stolen | {"plan_hash": now.plan_hash}))
        assert "the statement's run_id is" in why
        assert service.changes == []


class TestBetweenYesAndChange:
    """The worker is killed, a key is revoked, the catalog is edited: the gate opens again."""

    async def decided(self, stage, service):
        """A run after the yes, and before its change."""
        run = await stage.start()
        gate = await stage.gate(run)
        held = service.holds("read_history")
        before = service.calls.count("read_history")
        await run.execute_update("decide", stage.desk.answer(gate))
        async with asyncio.timeout(PATIENCE):
            while service.calls.count("read_history") == before:
                await asyncio.sleep(0.01)
        return run, gate, held

    async def test_a_key_that_was_revoked_counts_no_more(self, signed, service):
        run, gate, held = await self.decided(signed, service)
        signed.desk.know("carol", "dave")
        held.set()
        again, why = await asked_again(signed, run, gate)
        assert ("is not in" in why, service.changes) == (True, [])
        await run.execute_update("decide", signed.desk.answer(again, "carol"))
        assert (await signed.end(run)).outcome is Outcome.RECOVERED
        assert service.changes == MADE

    async def test_a_catalog_that_was_edited_asks_again(self, signed, service):
        run, gate, held = await self.decided(signed, service)
        signed.says(f"{SIGNED}, requester_may = true", most=9)
        held.set()
        again, why = await asked_again(signed, run, gate)
        assert ("changed after the yes" in why, service.changes) == (True, [])
        await run.execute_update("decide", signed.desk.answer(again))
        assert (await signed.end(run)).outcome is Outcome.RECOVERED

    async def test_a_yes_from_before_decisions_were_signed_counts_no_more(self, signed, service):
        signed.says("needed = 1")
        run = await signed.start()
        gate = await signed.gate(run)
        held = service.holds("read_history")
        await run.execute_update("decide", {"by": "bob", "plan_hash": gate.plan_hash})
        signed.says()
        held.set()
        again, why = await asked_again(signed, run, gate)
        assert ("nobody signed this change" in why, service.changes) == (True, [])
        await run.execute_update("decide", signed.desk.answer(again))
        assert (await signed.end(run)).outcome is Outcome.RECOVERED

    async def test_the_worker_was_killed_and_the_key_revoked_meanwhile(self, stage, service):
        async with stage.workers(cached=0):
            run, gate, _ = await self.decided(stage, service)
        stage.desk.know("carol", "dave")
        service.release_now.clear()
        async with stage.workers(cached=0):
            again, _ = await asked_again(stage, run, gate)
            assert service.changes == []
            await run.execute_update("decide", stage.desk.answer(again, "carol"))
            assert (await stage.end(run)).outcome is Outcome.RECOVERED
        assert service.changes == MADE

    async def test_an_attempt_that_finds_its_change_made_adopts_it(self, signed, service):
        service.loses_reply.add("deploy_release")
        run, _, held = await self.decided(signed, service)
        made = asyncio.ensure_future(revoked_once(lambda: service.changes, signed))
        held.set()
        await made
        assert (await signed.end(run)).outcome is Outcome.RECOVERED
        assert service.changes == MADE

    async def test_an_attempt_that_finds_it_not_made_does_not_send_it(self, signed, service):
        service.fails["deploy_release"] = [UnreachableError("no answer")]
        run, gate, held = await self.decided(signed, service)
        tried = asyncio.ensure_future(revoked_once(lambda: "deploy_release" in service.calls, signed))
        held.set()
        await tried
        again, _ = await asked_again(signed, run, gate)
        assert service.changes == []
        await run.execute_update("decide", signed.desk.answer(again, "carol"))
        assert (await signed.end(run)).outcome is Outcome.RECOVERED


class TestWayBack:
    async def test_an_unsigned_abort_stops_and_keeps_and_a_signed_one_undoes(self, signed, service):
        held = service.holds("await_steady_state")
        run = await signed.start()
        await signed.approve(run)
        async with asyncio.timeout(PATIENCE):
            while "await_steady_state" not in service.calls:
                await asyncio.sleep(0.01)
        order = {"reason": "wrong release", "confirmed": False}
        abort = signed.desk.order("undo", (run.id, run.result_run_id), "bob", order)
        await run.execute_update("abort_run", abort | {"keep": False})
        held.set()
        report = await signed.end(run)
        assert report.outcome is Outcome.ABORTED
        assert service.changes == [*MADE, "deploy shop:2"], report.summary


class TestMark:
    async def test_a_mark_is_made_once_as_many_people_have_signed_it_as_a_yes_needs(self, signed, service):
        signed.says(f"{SIGNED.replace('needed = 1', 'needed = 2')}, requester_may = true")
        asked = LedgerRequest(
            service="shop", environment=signed.environment, release="shop:1", judgement="bad", by="bob", signs=True
        )  # fmt: skip
        name = ids.ledger_id(signed.environment, "shop", uuid.uuid4().hex[:8])
        run = await signed.client.start_workflow(ReleaseLedger.run, asked, id=name, task_queue=signed.queue)
        order = {"revision": "shop:1", "judgement": "bad"}
        for person in ("bob", "bob", "carol"):
            assert service.marks == []
            await run.signal(
                "sign", signed.desk.order("release-mark", (name, run.result_run_id), person, order)
            )
        await asyncio.wait_for(run.result(), PATIENCE)
        assert service.marks == [("shop:1", "bad")]


class TestSilencing:
    """What stops is free; what nobody signed does not stop for long."""

    async def test_a_pause_that_nobody_signed_lapses_and_is_announced(self, signed, service, temporal):
        held = service.holds("read_history")
        run = await signed.start()
        await run.execute_update("pause", {"by": "mallory"})
        held.set()
        await temporal.sleep(timedelta(minutes=11))
        await signed.gate(run)
        report = await signed.report(run)
        assert [(item.kind, item.by) for item in report.decisions][:2] == [
            ("pause", "mallory"),
            ("resume", "the runbook"),
        ]
        assert any("the pause by mallory lapses" in notice.text for notice in service.notices)

    async def test_an_agents_brake_lapses_and_is_announced_and_a_persons_stays(
        self, signed, service, temporal
    ):
        brake = await signed.client.start_workflow(
            Brake.run, BrakeRequest(environment=signed.environment), id=ids.brake_id(signed.environment),
            task_queue=signed.queue,
        )  # fmt: skip
        by_person = {"by": "carol", "on": True, "service": "shop", "reason": "a migration"}
        await brake.execute_update("switch", by_person)
        await brake.execute_update("switch", {"by": "agent:x for bob", "on": True, "reason": "it looks odd"})
        await self.announced(service, "when an agent's brake lapses; by agent:x for bob: it looks odd")
        await temporal.sleep(timedelta(minutes=11))
        await self.announced(service, "by agent:x for bob has lapsed")
        report = await brake.query(Brake.status)
        assert [item.by for item in report.book.on] == ["carol"]
        await brake.terminate()

    async def announced(self, service, text):
        """Wait until people were notified of something."""
        async with asyncio.timeout(PATIENCE):
            while not any(text in notice.text for notice in service.notices):
                await asyncio.sleep(0.01)

    async def test_a_signed_order_continues_at_once_and_an_unsigned_one_does_not(self, signed, service):
        held = service.holds("read_history")
        run = await signed.start()
        await run.execute_update("pause", {"by": "carol"})
        held.set()
        assert "this one is not" in await refused(run.execute_update("resume", {"by": "mallory"}))
        resume = signed.desk.order(
            "resume", (run.id, run.result_run_id), "carol", {"reason": None}, sequence=0
        )
        await run.execute_update("resume", resume)
        await signed.approve(run)
        assert (await signed.end(run)).outcome is Outcome.RECOVERED


class TestStart:
    """Who asked has to be known where whoever asks may not approve."""

    async def test_an_unsigned_start_counts_as_nobodys_and_needs_one_approval_more(self, signed, service):
        signed.says(f"{SIGNED}, requester_may = false")
        run = await signed.start()
        assert (await signed.gate(run)).approvals_needed == 2
        await signed.approve(run)
        assert service.changes == []
        await signed.approve(run, "carol")
        assert (await signed.end(run)).outcome is Outcome.RECOVERED

    async def test_a_signed_start_needs_what_the_policy_says(self, signed, service):
        signed.says(f"{SIGNED}, requester_may = false")
        held = service.holds("read_history")
        run = await signed.start()
        stolen = signed.desk.start((run.id, str(uuid.uuid4())), "rollback", "alice")
        assert "the statement's run_id is" in await refused(run.execute_update("sign_start", stolen))
        await run.execute_update(
            "sign_start", signed.desk.start((run.id, run.result_run_id), "rollback", "alice")
        )
        held.set()
        assert (await signed.gate(run)).approvals_needed == 1
        await signed.approve(run)
        assert (await signed.end(run)).outcome is Outcome.RECOVERED


async def revoked_once(happened, stage):
    """Revoke bob's key once something has happened."""
    async with asyncio.timeout(PATIENCE):
        while not happened():
            await asyncio.sleep(0.001)
    stage.desk.know("carol", "dave")


class own_worker:  # noqa: N801 - reads as what it is
    """The intruder's own worker, on a queue of theirs."""

    def __init__(self, stage):
        self.intruder = Intruder(stage.client, stage.environment)
        self.worker = Worker(
            stage.client, task_queue=self.intruder.queue, workflows=[Anything],
            workflow_runner=UnsandboxedWorkflowRunner(), identity=uuid.uuid4().hex,
        )  # fmt: skip

    async def __aenter__(self):
        await self.worker.__aenter__()
        return self.intruder

    async def __aexit__(self, *error):
        await self.worker.__aexit__(*error)

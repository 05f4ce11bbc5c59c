"""The attacker's list, on a sandbox: each way in, what was tried there, and what came of it.

Where decisions are signed nothing is changed in AWS, the reason is to be seen, and the way out works. Where they are not,
nothing comes of it beyond what the catalog allows. What is tried here with a real server, a real worker and its log of calls
is tried in more ways in ``tests/procedures/people/test_intruder_signed.py``.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import httpx
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.service import RPCError

from activities.authority.signers import read_signers
from activities.ecs.orders import DeployRelease, RegisterRelease
from activities.ecs.task_sizes import RegisterSized
from activities.registry import FENCED
from activities.runtime.change_guard import MARKS
from activities.temporal.holds import HoldRequest
from runbook_model.authority.order import Authority
from runbook_model.authority.statement import SignedStatement, Warrant
from runbook_model.names import ids
from runbook_model.releases.capacity import Capacity, TaskChange
from runbook_model.reports import Report, State
from runbook_model.sizes import ScaleOut, ScaleOutRun
from sandbox.machine.processes import free_port
from tests.integration.observing.webhook_process import WebhookProcess
from tests.integration.rollback.mallory import Mallory
from tests.integration.rollback.rollback_stage import seen
from tests.patience import PATIENCE
from tests.unit.authority.signing import SoftKey, new_key

READS = ("Describe", "List", "Get", "Filter")


@pytest.fixture(scope="module")
def shop(worked_world):
    """A service whose changes are signed for; it is attacked again and again, and changes only by a signed yes."""
    shop = worked_world.a_shop("signed")
    worked_world.keep(shop)
    yield shop
    shop.delete()


@pytest.fixture
async def mallory(worked_world, shop):
    mallory = Mallory(worked_world.client, worked_world.catalog, shop)
    async with mallory.worker:
        yield mallory


@pytest.fixture
def stage(worked_world):
    yield worked_world
    worked_world.close_shops()  # what was done to those without a signature, no checker agrees to


@pytest.fixture(autouse=True)
async def signed_changes(stage, shop):
    """Every test ends with the service as it was, as AWS and the log of its calls have it, but for what it says was signed."""
    signed: list[str] = []
    before, runs, signers = len(shop.calls()), shop.runs(), read_signers(stage.desk.file)
    yield signed
    with suppress(RPCError):  # there is one where a test failed
        await stage.client.get_workflow_handle(shop.id).terminate("the test is over")
    made = [call["action"] for call in shop.calls()[before:] if not call["action"].startswith(READS)]
    assert made == signed
    assert await shop.wrong(signers) == []
    assert signed or (shop.runs(), shop.service()["desiredCount"]) == (runs, 1)


async def refused(answer) -> str:
    """Why a decision was refused."""
    with pytest.raises(WorkflowUpdateFailedError) as raised:
        await answer
    return str(raised.value.__cause__)


async def shown(shop) -> dict:
    """What ``runbook show`` prints of the remediation."""
    return (await shop.cli("show", shop.id, "--json")).json


async def stop(shop, run):
    """The way out that is always free."""
    stopped = await shop.cli("abort", shop.short, "--reason", "an attack")
    assert stopped.code == 0, stopped.err
    return await run.result()


class TestFrontendReached:
    """Runs and activities of the intruder's own."""

    async def test_no_change_of_the_product_is_made_for_a_run_of_theirs_under_the_targets_lock(self, mallory):
        orders = await mallory.every_change()
        assert orders.keys() == {*FENCED, MARKS}
        came = await mallory.makes(*orders.items())
        assert all(
            why.startswith("NotWarrantedError: decisions are signed here, and nobody signed") for why in came
        )

    async def test_nor_with_a_yes_that_they_signed_themselves(self, mallory, stage, shop):
        run = await shop.start()
        gate = await shop.asked(run)
        await stop(shop, run)
        stage.desk.keys["mallory"] = SoftKey("ssh-ed25519")
        forged = stage.desk.answer(gate, "mallory", signer="bob")
        for requester in ("alice", "alertmanager"):
            came = await self.with_warrant(mallory, gate, forged, run.result_run_id, requester=requester)
            assert all("is not in" in why or "to another run" in why for why in came), came

    async def test_nor_with_one_that_was_stolen_from_a_history(self, mallory, stage, shop):
        run = await shop.start()
        gate = await shop.asked(run)
        theirs = stage.desk.answer(gate)
        await stop(shop, run)
        came = await self.with_warrant(mallory, gate, theirs, run.result_run_id)
        assert {why.partition(":")[0] for why in came} == {"NotWarrantedError"}
        assert all("the yes was given to another run" in why for why in came), came

    async def with_warrant(self, mallory, gate, answer, run_id, requester="alice"):
        """Every change, with a warrant of theirs."""
        signed = SignedStatement(statement=answer["statement"], signature=answer["signature"])
        authority = Authority(
            workflow_id=mallory.shop.id, run_id=run_id, procedure="rollback", gate=gate.asked_by.gate, requester=requester,
            automatic=True, warrant=Warrant(document=gate.document, statements=(signed,)),
        )  # fmt: skip
        orders = await mallory.every_change(authorities=(authority,))
        return await mallory.makes(*orders.items())

    @pytest.mark.parametrize("queue", ["runbooks-open", "runbooks-gated-watch"])
    async def test_nor_by_the_queue_of_another_environment(self, mallory, queue):
        orders = await mallory.every_change()
        here = "apply_terraform" if queue.endswith("watch") else "deploy_release"
        (came,) = await mallory.makes((here, orders[here]), queue=queue)
        assert came.startswith('PolicyError: this worker refuses work for the environment "signed"')

    async def test_nor_as_an_activity_without_a_run(self, mallory):
        orders = await mallory.every_change()
        came = await mallory.makes_alone("deploy_release", orders["deploy_release"])
        assert came.startswith("PolicyError: an activity without a run may not change signed/")

    @pytest.mark.parametrize("run", ["mallory", "plan/{}/x", "hold/{}", "incident/{}", "remediation/{}-2"])
    async def test_nor_for_a_run_of_another_id(self, mallory, shop, run):
        orders = await mallory.every_change()
        own = run.format(shop.short)
        came = await mallory.makes(*orders.items(), as_run=own)
        wrong = [why for why in came if f"PolicyError: the run {own} may not change {shop.short}" not in why]
        takes_back = 1 if run.startswith("hold") else 0
        assert len(wrong) == takes_back, wrong

    async def test_an_invented_hold_takes_nothing_away(self, stage, shop):
        asked = HoldRequest(
            service=shop.name, environment=shop.environment, requested_by="mallory", hold="0s",
            run=ScaleOutRun(workflow_id=shop.id, run_id=str(uuid.uuid4())),
        )  # fmt: skip
        invented = {"was": {"desired": 0, "running": 0}, "ours": {"desired": 1, "running": 1}}
        hold = await stage.client.start_workflow(
            "Hold", asked.model_dump(mode="json") | invented, id=ids.hold_id(shop.environment, shop.name),
            task_queue=ids.task_queue(shop.environment), result_type=Report,
        )  # fmt: skip
        report = await hold.result()
        page = (await shop.cli("show", hold.id, "--json")).json
        assert (report.outcome, page["outcome"]) == ("refused", "refused")
        assert "did not scale this target out" in page["summary"]

    async def test_a_squatter_on_a_queue_that_nobody_serves_is_replaced(self, stage, shop):
        theirs = await stage.client.start_workflow("Rollback", [], id=shop.id, task_queue="mallorys-own")
        squatter = stage.client.get_workflow_handle(shop.id, run_id=theirs.result_run_id)
        started = await shop.cli.start("--replace", "--json", "--reason", "the way out")
        assert started.code == 0, started.err
        run = stage.client.get_workflow_handle(shop.id, run_id=started.json["run_id"], result_type=Report)
        assert (await squatter.describe()).status.name == "TERMINATED"
        assert await shop.asked(run)
        await stop(shop, run)


class TestTheUIOnly:
    """Signals by hand, and Reset."""

    async def test_signals_that_nobody_signed_are_shown_with_the_reason_and_the_gate_stays_open(
        self, stage, shop
    ):
        run = await shop.start()
        gate = await shop.asked(run)
        for signal in (
            {"by": "bob", "plan_hash": gate.plan_hash},
            stage.desk.answer(gate) | {"signature": "-----BEGIN SSH SIGNATURE-----"},
            stage.desk.answer(gate) | {"by": "carol"},
            "yes",
        ):
            await run.signal("approve", signal)
        page = await seen(run, lambda page: len(page.rejected) == 4)
        whys = " ".join(item.why for item in page.rejected)
        assert "decisions are signed here, and this one is not" in whys
        assert "carol sent what bob signed" in whys
        assert (await shown(shop))["checkpoint"]["plan_hash"] == gate.plan_hash
        await run.signal("abort", {"by": "mallory", "reason": "undo it", "keep": False})
        report = await run.result()
        assert (report.outcome, report.changes) == ("aborted", ())


class TestBetweenYesAndChange:
    """A run that is paused after the yes, and what happens meanwhile: it asks again, and changes nothing."""

    async def decided(self, stage, shop):
        """A run after the yes, and before its change."""
        run = await shop.start()
        gate = await shop.asked(run)
        await run.execute_update("pause", {"by": "carol"})
        await run.execute_update("decide", stage.desk.answer(gate))
        return run, gate

    async def resumed(self, stage, shop, run, gate):
        """What it asks once it goes on, with the reason."""
        order = {"reason": None}
        resume = stage.desk.order("resume", (run.id, run.result_run_id), "carol", order, sequence=0)
        await run.execute_update("resume", resume)
        page = await seen(run, lambda page: page.checkpoint and page.checkpoint.subject != gate.subject)
        assert (await shown(shop))["checkpoint"]["question"] == page.checkpoint.question
        return page.checkpoint

    async def test_a_key_was_revoked_while_the_worker_was_dead(self, stage, shop):
        run, gate = await self.decided(stage, shop)
        stage.kill_worker()
        stage.desk.know("alice", "carol", "dave")
        stage.start_worker()
        try:
            again = await self.resumed(stage, shop, run, gate)
            assert "is not in" in again.question
            assert "is not in" in await refused(run.execute_update("decide", stage.desk.answer(again)))
            await stop(shop, run)
        finally:
            stage.desk.know("alice", "bob", "carol", "dave")

    async def test_the_catalog_was_edited(self, stage, shop):
        run, gate = await self.decided(stage, shop)
        with edited(
            stage, f'ecs_service = "{shop.name}"', f'ecs_service = "{shop.name}"\nhealth_path = "/other"'
        ):
            again = await self.resumed(stage, shop, run, gate)
            assert "changed after the yes" in again.question
            replayed = stage.desk.answer(gate) | {"plan_hash": again.plan_hash}
            await run.execute_update("decide", replayed)  # known, and of no use at this question
            page = await seen(run, lambda page: page.checkpoint)
            assert (page.checkpoint.subject, page.checkpoint.approvals) == (again.subject, ())
            renamed = stage.desk.answer(gate, decision_id="another") | {"plan_hash": again.plan_hash}
            assert "the statement's gate is" in await refused(run.execute_update("decide", renamed))
            await stop(shop, run)

    async def test_the_cluster_was_edited(self, stage, shop):
        run, _ = await self.decided(stage, shop)
        with edited(stage, 'cluster = "signed"', 'cluster = "elsewhere"'):
            order = {"reason": None}
            resume = stage.desk.order("resume", (run.id, run.result_run_id), "carol", order, sequence=0)
            await run.execute_update("resume", resume)
            report = await run.result()
        assert report.changes == ()
        assert "another cluster of" in (await shown(shop))["summary"]

    @pytest.mark.parametrize("to", ["before the yes", "after the yes"])
    async def test_a_run_that_was_reset_asks_again_and_still_holds_the_target(self, stage, shop, to):
        first, gate = await self.decided(stage, shop)
        if to == "after the yes":
            await first.execute_update("note", {"by": "carol", "observation": "a task after it"})
        run = await reset(stage.client, first)
        second = await shop.cli.start()
        assert (second.code, f"{shop.id} runs already" in second.err) == (5, True)
        resume = stage.desk.order(
            "resume", (run.id, run.result_run_id), "carol", {"reason": None}, sequence=0
        )
        await run.execute_update("resume", resume)
        again = await seen(run, lambda page: page.state is State.AWAITING_APPROVAL)
        assert again.checkpoint.asked_by.run_id == run.result_run_id != gate.asked_by.run_id
        why = again.checkpoint.question if to == "after the yes" else again.rejected[-1].why
        assert "another run" in why or "the statement's run_id is" in why
        replayed = stage.desk.answer(gate, decision_id="another") | {"plan_hash": again.checkpoint.plan_hash}
        assert "the statement's run_id is" in await refused(run.execute_update("decide", replayed))
        await stop(shop, run)


@contextmanager
def edited(stage, old, new):
    """Edit the catalog for a while."""
    was = stage.catalog.read_text()
    assert was.count(old) == 1
    stage.catalog.write_text(was.replace(old, new))
    yield
    stage.catalog.write_text(stage.catalog.read_text().replace(new, old))


async def reset(client, run):
    """Reset a run to the newest task of its that a worker finished, as the Temporal UI does."""
    done = [
        event.event_id
        for event in (await run.fetch_history()).events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    came = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=run.result_run_id),
            reason="tried",
            workflow_task_finish_event_id=done[-1],
            request_id=uuid.uuid4().hex,
        )
    )
    return client.get_workflow_handle(run.id, run_id=came.run_id, result_type=Report)


class TestStolenOrReplayed:
    async def test_a_statement_counts_at_its_own_run_and_gate_only(self, stage, shop):
        first = await shop.start()
        gate = await shop.asked(first)
        stolen = stage.desk.answer(gate)
        await stop(shop, first)
        run = await shop.start()
        now = await shop.asked(run)
        replayed = stolen | {"plan_hash": now.plan_hash}
        assert "the statement's run_id is" in await refused(run.execute_update("decide", replayed))
        other_gate = stage.desk.answer(now, gate=now.asked_by.gate + 1)
        assert "the statement's gate is" in await refused(run.execute_update("decide", other_gate))
        other_option = stage.desk.answer(now) | {"option": "anything"}
        assert await refused(run.execute_update("decide", other_option))
        assert len((await shown(shop))["rejected"]) == 2
        await stop(shop, run)

    async def test_an_order_counts_once(self, stage, shop):
        run = await shop.start()
        await shop.asked(run)
        await run.execute_update("pause", {"by": "carol"})
        name = (run.id, run.result_run_id)
        order = stage.desk.order("resume", name, "carol", {"reason": None}, sequence=0)
        await run.execute_update("resume", order)
        await run.execute_update("pause", {"by": "carol", "decision_id": "again"})
        why = await refused(run.execute_update("resume", order | {"decision_id": "another"}))
        assert "sequence" in why or "id is not the one" in why
        await run.execute_update("resume", order)
        page = await seen(run, lambda page: page.rejected)
        assert [item.kind for item in page.decisions] == ["pause", "resume", "pause"]
        await stop(shop, run)


class TestOneKeyOfTwo:
    """Where two people must agree, one key marks no release; the second one joins what the first one began."""

    async def test_a_mark_is_made_when_the_second_person_has_signed_it_too(
        self, stage, shop, signed_changes, tmp_path
    ):
        keys = {name: new_key(tmp_path, name=name) for name in ("bob", "carol")}
        known = stage.desk.file.read_text()
        lines = (
            f"{name} {' '.join(path.with_suffix('.pub').read_text().split()[:2])}\n"
            for name, path in keys.items()
        )
        stage.desk.file.write_text("".join(lines))
        try:
            with edited(stage, 'needed = 1, people = ["bob"', 'needed = 2, people = ["bob"'):
                mark = ("release", "mark", shop.short, "1.0.0", "good", "--reason", "r", "--json")
                first = await shop.cli.begin(*mark, "--sign", str(keys["bob"]), user="bob")
                waiting = re.search(rb"--with (\S+) ", await first.stderr.readuntil(b"--sign KEYFILE"))
                second = await shop.cli(
                    *mark, "--with", waiting[1].decode(), "--sign", str(keys["carol"]), user="carol"
                )
                await first.communicate()
        finally:
            stage.desk.file.write_text(known)
        assert (first.returncode, second.code) == (0, 0), second.err
        assert [item["judgement"] for item in second.json] == [None, "good"]
        signed_changes += ["TagResource"]


class TestTheWebhook:
    """What an alert starts stops at a question, and without a token there is no alert."""

    async def test_an_alert_starts_what_stops_at_a_question_and_without_a_token_nothing(
        self, stage, shop, tmp_path
    ):
        webhook = WebhookProcess(free_port(), tmp_path)
        webhook.start(stage.environment | {"RUNBOOK_WEBHOOK_TOKEN": "open-sesame-5f3a"})
        try:
            assert self.post(webhook, shop, None) == 401
            assert self.post(webhook, shop, "a-guess") == 401
            assert self.post(webhook, shop, "open-sesame-5f3a") == 200
            run = await until_open(stage.client, shop.id)
            gate = (await seen(run, lambda page: page.checkpoint)).checkpoint
            why = await refused(run.execute_update("decide", {"by": "bob", "plan_hash": gate.plan_hash}))
            assert "decisions are signed here" in why
            await stop(shop, run)
            incident = stage.client.get_workflow_handle(ids.incident_id(shop.environment, shop.name))
            await incident.terminate("the test is over")
        finally:
            webhook.kill()

    def post(self, webhook, shop, token):
        alert = {
            "status": "firing",
            "labels": {"alertname": "BadRelease", "severity": "critical", "service": shop.name, "environment": shop.environment},
            "annotations": {},
            "startsAt": datetime.now(UTC).isoformat(),
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": uuid.uuid4().hex[:16],
        }  # fmt: skip
        body = {"version": "4", "status": "firing", "receiver": "r", "groupKey": "g", "alerts": [alert]}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.post(f"{webhook.url}/alerts", json=body, headers=headers, trust_env=False).status_code


async def until_open(client, run_id):
    """Wait until there is an open run of an id."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(RPCError):
                found = await client.get_workflow_handle(run_id).describe()
                if found.status is WorkflowExecutionStatus.RUNNING:
                    return client.get_workflow_handle(run_id, run_id=found.run_id, result_type=Report)
            await asyncio.sleep(0.05)


class TestWithoutSignatures:
    """Where decisions are not signed, the intruder makes what the catalog allows, under any name, and nothing beyond it."""

    async def test_nothing_beyond_what_the_catalog_allows(self, stage, shop):
        other = shop
        shop = stage.a_shop("open")
        mallory = Mallory(stage.client, stage.catalog, shop)
        target = mallory.target
        async with mallory.worker:
            history = await mallory.history()
            foreign = history.current.model_copy(
                update={"task_definition": other.service()["taskDefinition"]}
            )
            fence, older = history.service.fence, mallory.older(history)
            image = older.images[0].model_copy(update={"name": "evil:1", "digest": None})
            as_it_is = Capacity(desired=1, running=1)
            huge = TaskChange(cpu=16384, memory=122880)
            hidden = TaskChange(variable="LD_PRELOAD", value="/evil.so", containers=("app",))
            elsewhere = target.model_copy(update={"cluster": "prod"})
            orders = [
                DeployRelease(target=target, release=foreign, fence=fence),
                DeployRelease(target=elsewhere, release=older, fence=fence),
                DeployRelease(target=target, release=older, fence=fence, registered=True),
                RegisterRelease(
                    target=target, release=older.model_copy(update={"images": (image,)}), run_id="r"
                ),
                RegisterRelease(target=target, release=foreign, run_id="r"),
                RegisterSized(target=target, release=older, change=huge, run_id="r"),
                RegisterSized(target=target, release=older, change=hidden, run_id="r"),
                ScaleOut(target=target, was=as_it_is, to=0),
                ScaleOut(target=target, was=as_it_is, to=1000),
            ]
            names = {DeployRelease: "deploy_release", RegisterRelease: "register_release"}
            names |= {RegisterSized: "register_sized", ScaleOut: "scale_out"}
            came = await mallory.makes(*((names[type(order)], order) for order in orders))
            assert [why for why in came if why.startswith("done")] == []
            assert shop.changes() == []
            allowed = DeployRelease(target=target, release=older, fence=fence)
            (came,) = await mallory.makes(("deploy_release", allowed))
        assert came.startswith("done")
        assert shop.changes() == ["UpdateService"]


class TestAfterAllOfIt:
    async def test_a_signed_yes_changes_what_was_shown_and_nothing_else(self, stage, shop, signed_changes):
        run = await shop.start()
        gate = await shop.asked(run)
        await run.execute_update("decide", stage.desk.answer(gate))
        assert (await run.result()).outcome == "recovered"
        assert shop.runs() == f"{shop.name}:1"
        signed_changes += ["UpdateService", "TagResource", "TagResource"]

"""Database issues: a pool that is too small is raised, an RDS instance that is down is rebooted; people do the rest."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

import pytest
from temporalio import activity

from activities.rds.activities import AwaitedInstance, Reboot, Rebooted
from runbook_model.catalog.policies import Approvals
from runbook_model.catalog.service_policies import Database, Pool
from runbook_model.catalog.target import Target
from runbook_model.errors import UnknownReplyError, UnreachableError
from runbook_model.measured.database import DatabaseRead, HeldConnections, Instance
from runbook_model.measured.readings import Quality
from runbook_model.releases.capacity import Capacity
from runbook_model.reports import Outcome
from tests.procedures.stage.messages import answer
from tests.procedures.stage.outside import STARTED
from tests.procedures.stage.outside_database import OutsideDatabase
from tests.procedures.stage.sizes import SizedOutside
from tests.procedures.test_database_issues import DatabaseRunbook, headings, working

GATED = Approvals(needed=1)
BY_ENVIRONMENT = Database(dsn_env="SHOP_DSN", pool=Pool(env="DB_POOL_SIZE", size=4))
BY_TERRAFORM = Database(
    dsn_env="SHOP_DSN", pool=Pool(terraform_variable="db_pool_size", env="DB_POOL_SIZE", size=4)
)
ON_RDS = Database(dsn_env="SHOP_DSN", rds_instance="shop-db")
RAISED = {"cpu": 256, "memory": 512, "pool": 4}


@dataclass
class EnvironmentGuard(OutsideDatabase, SizedOutside):
    """A database of 20 connections, that two tasks with pools of 2 use; on RDS where the catalog says so."""

    limit: int = 20
    ours: int = 4
    others: int = 3
    status: str = "available"
    reboots: bool = True
    """Whether a reboot helps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.forgotten, self.at_work = [], 0
        self.sizes["shop:2"] = {"pool": 2}

    @activity.defn
    async def read_database(self, _target: Target) -> DatabaseRead:
        await self._called("read_database")
        if self.standing != "serves":
            return DatabaseRead(standing=self.standing, why="as the test says", at=STARTED)
        held = (("shop:2", self.ours), ("web", self.others))
        return DatabaseRead(
            standing="serves", limit=self.limit, used=self.ours + self.others, at=STARTED,
            held=tuple(
                HeldConnections(owner=owner, database="shop", state="idle", count=count, longest=timedelta(0)) for owner, count in held
            ),
        )  # fmt: skip

    @activity.defn
    async def read_capacity(self, _target: Target) -> Capacity:
        await self._called("read_capacity")
        return Capacity(desired=self.desired, running=self.desired)

    @activity.defn
    async def read_instance(self, _target: Target) -> Instance:
        await self._called("read_instance")
        return Instance(name="shop-db", status=self.status, engine="postgres")

    @activity.defn
    async def reboot_instance(self, change: Reboot) -> Rebooted:
        await self._called("reboot_instance")
        self.status = "rebooting"
        self._changed("reboot_instance", f"reboot {change.was.name}")
        return Rebooted(name=change.was.name)

    @activity.defn
    async def await_instance(self, _awaited: AwaitedInstance) -> Instance:
        await self._called("await_instance")
        if self.reboots:
            self.status, self.standing = "available", "serves"
        return Instance(name="shop-db", status=self.status)

    @property
    def activities(self) -> list[object]:
        own = ["read_capacity", "read_instance", "reboot_instance", "await_instance"]
        return [*super().activities, *(getattr(self, name) for name in own)]


@pytest.fixture
async def runbook(temporal, outside, request):
    runbook = DatabaseRunbook(temporal.client, f"e{uuid.uuid4().hex[:12]}")
    async with working(temporal.client, runbook.environment, outside):
        yield runbook
        await runbook.leave_nothing_behind(outside)
    recorder = request.config.pluginmanager.get_plugin("recorder")
    ending = request.node.get_closest_marker("ending")
    if recorder and ending:
        await recorder.record(ending.args[0], runbook.runs[-1])


class TestReboot:
    """An RDS instance that takes no connections."""

    @pytest.fixture
    def outside(self) -> EnvironmentGuard:
        return EnvironmentGuard(database=ON_RDS, standing="down")

    @pytest.mark.ending("recovered-rebooted")
    async def test_an_instance_that_is_down_is_rebooted_once_and_it_is_verified(self, runbook, outside):
        report = await runbook.run()
        assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["reboot shop-db"])
        (call,) = report.plan.calls
        assert (call.service, call.action) == ("rds", "RebootDBInstance")
        assert call.parameters == {"DBInstanceIdentifier": "shop-db"}
        assert headings(report)[2:] == [
            "Ask before changing anything",
            "Restart the database",
            "Verify by connecting and by the service's health",
        ]

    async def test_nobodys_yes_reboots_nothing(self, runbook, outside):
        outside.approvals = GATED
        report = await runbook.run()
        assert (report.outcome, outside.changes) == (Outcome.NOT_APPROVED, [])

    async def test_a_database_that_serves_again_before_the_yes_is_not_rebooted(self, runbook, outside):
        outside.approvals = GATED
        run = await runbook.start()
        gate = await runbook.at_checkpoint(run)
        outside.standing = "serves"
        await answer(run, "bob", gate)
        report = await runbook.end(run)
        assert (report.outcome, outside.changes) == (Outcome.INCONCLUSIVE, [])
        assert "A reboot is no longer what helps" in report.summary

    async def test_an_instance_that_comes_up_by_itself_is_only_waited_for(self, runbook, outside):
        outside.status = "rebooting"
        report = await runbook.run()
        assert (report.outcome, outside.changes) == (Outcome.RECOVERED, [])
        assert "reboot_instance" not in outside.calls
        assert "shop-db is rebooting by itself" in report.summary

    async def test_an_instance_that_no_reboot_helps_is_a_persons_task(self, runbook, outside):
        outside.status = "storage-full"
        run = await runbook.start()
        gate = await runbook.at_checkpoint(run)
        assert gate.task.why.startswith("shop-db is storage-full, which a reboot does not fix")
        await answer(run, "bob", gate, option="skip")
        assert (await runbook.end(run)).outcome is Outcome.INCONCLUSIVE
        assert outside.changes == []

    async def test_a_plan_of_a_task_says_what_a_person_would_be_asked(self, runbook, outside):
        outside.status = "storage-full"
        report = await runbook.run(plan_only=True)
        assert (report.outcome, report.plan) == (Outcome.PLANNED, None)
        assert report.summary.startswith("A person would be asked: Bring the database back: restart it. ")

    async def test_an_instance_that_does_not_come_up_in_time_is_not_recovered(self, runbook, outside):
        outside.reboots = False
        report = await runbook.run()
        assert (report.outcome, outside.changes) == (Outcome.NOT_RECOVERED, ["reboot shop-db"])
        assert "shop-db is rebooting, not available in time" in report.summary

    async def test_a_reboot_that_nobody_can_tell_was_made_is_a_persons(self, runbook, outside):
        outside.fails["reboot_instance"] = [
            UnreachableError("no answer"),
            UnknownReplyError("it is not sent again"),
        ]
        report = await runbook.run()
        assert (report.outcome, report.changes[0].certain) == (Outcome.INCONCLUSIVE, False)
        assert "it is not sent again" in report.summary

    async def test_a_run_that_only_plans_shows_the_reboot(self, runbook, outside):
        report = await runbook.run(plan_only=True)
        assert (report.outcome, outside.changes) == (Outcome.PLANNED, [])
        assert report.plan.headline == "Reboot shop-db, the database of shop in prod"

    # After an abort the server skips no more time, so that nobody's answer comes before it.
    async def test_an_abort_after_the_reboot_says_that_it_cannot_be_taken_back(self, runbook, outside):
        outside.holds("await_instance")
        run = await runbook.start()
        await runbook.calls(outside, "await_instance")
        await run.signal("abort", {"by": "bob", "reason": "no", "keep": False})
        report = await runbook.end(run)
        assert (report.outcome, report.changes[0].undone) == (
            Outcome.ABORTED, "kept: a reboot cannot be taken back",
        )  # fmt: skip


class TestPool:
    """A service whose tasks hold all the connections that their pools allow."""

    @pytest.fixture
    def outside(self) -> EnvironmentGuard:
        return EnvironmentGuard(database=BY_ENVIRONMENT)

    @pytest.mark.ending("recovered-pool-raised")
    async def test_a_pool_that_is_used_up_is_raised_and_it_is_verified(self, runbook, outside):
        report = await runbook.run()
        assert (report.outcome, outside.changes) == (
            Outcome.RECOVERED,
            [f"register {RAISED}", "deploy shop:50"],
        )
        assert report.findings[0].startswith("pool: the database has room, but shop holds 4 connections")
        register = report.plan.calls[0]
        assert register.parameters["environment"] == {"app": {"DB_POOL_SIZE": "4"}}
        assert "2 tasks with 4 each and 3 of others are 11 of 20 connections" in report.plan.because
        assert headings(report)[2:] == [
            "Ask before changing anything",
            "Raise the connection pool",
            "Wait for steady state",
            "Verify by connecting and by the service's health",
        ]
        assert "connections" in outside.observations[-1].looks

    async def test_a_database_with_room_and_a_pool_with_room_is_left_to_a_person(self, runbook, outside):
        outside.ours = 3
        report = await runbook.run()
        assert (report.outcome, outside.changes) == (Outcome.INCONCLUSIVE, [])
        assert "Nothing that was read of the database is wrong" in report.summary

    async def test_a_bigger_pool_that_does_not_fit_is_a_task_about_max_connections(self, runbook, outside):
        outside.limit = 10
        run = await runbook.start()
        gate = await runbook.at_checkpoint(run)
        assert gate.task.what.startswith("Raise the database's max_connections")
        assert "a pool of 4 does not fit: 2 tasks with 4 each and 3 of others are 11 of 10" in gate.task.why
        await answer(run, "bob", gate, option="skip")
        report = await runbook.end(run)
        assert (report.outcome, outside.changes) == (Outcome.INCONCLUSIVE, [])

    async def test_a_full_database_with_room_for_the_pools_needs_a_yes_even_where_nobody_is_asked(
        self, runbook, outside
    ):
        outside.others = 12
        run = await runbook.start()
        gate = await runbook.at_checkpoint(run)
        assert "2 tasks with 4 each and 12 of others are 20 of 20 connections" in gate.question
        assert outside.changes == []
        await answer(run, "bob", gate)
        report = await runbook.end(run)
        assert report.findings[0].startswith("load: 16 of 20 connections")
        assert (report.outcome, outside.changes[-1]) == (Outcome.RECOVERED, "deploy shop:50")

    async def test_a_full_database_without_room_for_the_pools_is_a_task_about_max_connections(
        self, runbook, outside
    ):
        outside.others = 13
        run = await runbook.start()
        gate = await runbook.at_checkpoint(run)
        assert "13 of others are 21 of 20 connections. load: 17 of 20" in gate.task.why
        await answer(run, "bob", gate, option="done")
        report = await runbook.end(run)
        assert (report.outcome, outside.changes) == (Outcome.RECOVERED, [])

    async def test_a_bigger_pool_that_would_fill_the_database_needs_a_yes_even_where_nobody_is_asked(
        self, runbook, outside
    ):
        outside.limit = 12
        run = await runbook.start()
        gate = await runbook.at_checkpoint(run)
        assert "would fill the database: 2 tasks with 4 each and 3 of others are 11 of 12" in gate.question
        assert outside.changes == []

    async def test_a_pool_as_big_as_the_catalogs_is_not_made_smaller(self, runbook, outside):
        outside.sizes["shop:2"], outside.ours = {"pool": 6}, 12
        report = await runbook.run()
        assert (report.outcome, outside.changes) == (Outcome.INCONCLUSIVE, [])
        assert "the catalog's pool.size = 4 is no more than that" in report.summary

    async def test_a_run_that_only_plans_shows_the_pool(self, runbook, outside):
        report = await runbook.run(plan_only=True)
        assert (report.outcome, outside.changes) == (Outcome.PLANNED, [])
        assert (
            report.plan.headline == "Raise the connection pool of shop in prod from 2 to 4 connections a task"
        )

    async def test_when_the_pool_has_room_again_before_the_yes_nothing_is_changed(self, runbook, outside):
        outside.approvals = GATED
        run = await runbook.start()
        gate = await runbook.at_checkpoint(run)
        outside.ours = 1
        await answer(run, "bob", gate)
        report = await runbook.end(run)
        assert (report.outcome, outside.changes) == (Outcome.INCONCLUSIVE, [])

    async def test_a_pool_that_does_not_help_is_put_back_at_a_persons_word(self, runbook, outside):
        outside.quality = Quality.BAD
        run = await runbook.start()
        gate = await runbook.at_checkpoint(run)
        assert gate.options == ("verify-again", "put-back", "hand-over")
        await answer(run, "bob", gate, option="put-back")
        report = await runbook.end(run)
        assert (report.outcome, outside.changes[-1]) == (Outcome.NOT_RECOVERED, "deploy shop:2")

    async def test_an_abort_puts_the_pool_back_unless_it_says_otherwise(self, runbook, outside):
        outside.holds("observe")
        run = await runbook.start()
        await runbook.calls(outside, "observe")
        await run.signal("abort", {"by": "bob", "reason": "no"})
        report = await runbook.end(run)
        assert (report.outcome, outside.changes[-1]) == (Outcome.ABORTED, "deploy shop:2")
        assert report.changes[-1].undone == "undone"

    async def test_where_terraform_owns_the_service_its_variable_is_raised(self, runbook, outside):
        outside.database, outside.owned, outside.module = BY_TERRAFORM, True, {"pool": 2}
        report = await runbook.run()
        assert (report.outcome, outside.changes) == (Outcome.RECOVERED, [f"apply {RAISED}"])
        assert report.plan.calls[0].parameters["variables"] == {"image_tag": "1.2.0", "db_pool_size": "4"}

    async def test_a_stale_plan_of_terraforms_is_made_again(self, runbook, outside):
        outside.database, outside.owned, outside.module, outside.moves = BY_TERRAFORM, True, {"pool": 2}, 1
        report = await runbook.run()
        assert (report.outcome, outside.changes) == (Outcome.RECOVERED, [f"apply {RAISED}"])
        assert outside.calls.count("apply_terraform") == 2

    async def test_an_abort_brings_the_pool_back_by_terraform(self, runbook, outside):
        outside.database, outside.owned, outside.module = BY_TERRAFORM, True, {"pool": 2}
        outside.holds("observe")
        run = await runbook.start()
        await runbook.calls(outside, "observe")
        await run.signal("abort", {"by": "bob", "reason": "no", "keep": False})
        report = await runbook.end(run)
        assert outside.changes[-1] == "apply {'cpu': 256, 'memory': 512, 'pool': 2}"
        assert report.changes[-1].undone == "undone"

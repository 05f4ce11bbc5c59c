"""A drill's course: checks, plans by the procedures themselves, compares, and tells only what changed."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from temporalio import activity
from temporalio.worker import Worker

from activities.doctor.activities import DoctorActivities
from activities.runtime.interceptors import TranslateErrors
from runbook_model.checks import Check, DrillRequest, LastDrill, TargetChecks
from runbook_model.errors import PolicyError, RejectedError
from runbook_model.names import ids
from tests.ecs_facts import bad
from tests.patience import PATIENCE
from tests.procedures.stage.outside_compose import OutsideCompose
from tests.procedures.stage.sick import Sick
from worker import WORKFLOWS, served_queues
from workflows.drill import AT_ONCE, Drill
from workflows.page.sandbox import sandbox_runner

CATALOG = """
[environments.{environment}]
cluster = "prod"
"""
BY_COMPOSE = """
[environments.{environment}]
platform = "compose"
compose = {{ project = "shop" }}
"""
PLANNED = ("service-down", "high-error-rate", "high-latency", "resource-issues")
"""What is planned of every service; a rollback on ECS only, and database issues only of a service with a database."""
SERVICE = """
[services.{name}.{environment}]
{ecs_service}
"""


class Ground:
    """A worker with a catalog of its own, on the small outside world of the procedures' tests."""

    def __init__(self, client, folder, outside) -> None:
        self.client, self.outside = client, outside
        self.environment = f"e{uuid.uuid4().hex[:12]}"
        self.catalog = folder / "catalog.toml"
        self.last = LastDrill()
        self.run = None
        self.under_way = self.most = 0
        self.has("shop")

    def has(self, *names, head=CATALOG) -> None:
        ecs_service = 'ecs_service = "{}"' if head is CATALOG else ""
        services = (
            SERVICE.format(name=name, environment=self.environment, ecs_service=ecs_service.format(name))
            for name in names
        )
        self.catalog.write_text(head.format(environment=self.environment) + "".join(services))

    def loses_its_last_known_good(self) -> None:
        self.outside.history = [
            item.model_copy(update={"release": bad(item.release)}) for item in self.outside.history
        ]

    async def at_place(self, place, _):
        return (Check(environment=place.environment, name="cluster", ok=True, detail="seen"),)

    async def at_target(self, target):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        history = await self.outside.read_history(target)
        await asyncio.sleep(0.05)  # as long as others would take to start next to it
        self.under_way -= 1
        seen = Check(
            environment=target.environment, service=target.service, name="tasks", ok=True, detail="seen"
        )
        if target.platform != "ecs":
            return TargetChecks(checks=(seen,))
        return TargetChecks(checks=(seen,), service=history.service, history=history)

    @activity.defn
    async def read_last_drill(self, _request: DrillRequest) -> LastDrill:
        return self.last

    async def drill(self):
        """Drill once; the next drill is compared with it."""
        doctor = DoctorActivities(self.catalog, self, served_queues([self.environment]))
        short = Worker(
            self.client,
            task_queue=ids.task_queue(self.environment),
            workflows=WORKFLOWS,
            workflow_runner=sandbox_runner(),
            activities=[*self.outside.activities, doctor.find_targets, self.read_last_drill],
            interceptors=[TranslateErrors()],
        )
        long = Worker(
            self.client,
            task_queue=ids.watch_queue(self.environment),
            activities=[*self.outside.activities, doctor.examine_place, doctor.examine_target],
            interceptors=[TranslateErrors()],
        )
        async with short, long:
            self.run = await self.client.start_workflow(
                Drill.run,
                DrillRequest(environment=self.environment),
                id=ids.drill_id(self.environment),
                task_queue=ids.task_queue(self.environment),
            )
            found = await asyncio.wait_for(self.run.result(), PATIENCE)
        self.last = LastDrill(drill=found)
        return found


@pytest.fixture
def outside():
    return Sick()


@pytest.fixture
async def ground(temporal, tmp_path, outside, request):
    ground = Ground(temporal.client, tmp_path, outside)
    yield ground
    recorder = request.config.pluginmanager.get_plugin("recorder")
    ending = request.node.get_closest_marker("history")
    if recorder and ending:
        await recorder.record(ending.args[0], ground.run)


def wording(drill):
    return {(check.service, check.name): check.ok for check in drill.checks}


def plans(drill):
    """What is said of each plan, by service and procedure."""
    found = (check for check in drill.checks if check.name.endswith("-plan"))
    return {(item.service, item.name.removesuffix("-plan")): item for item in found}


async def children(run):
    """The ids of the runs that a run started."""
    events = (await run.fetch_history()).events
    started = (event.start_child_workflow_execution_initiated_event_attributes for event in events)
    return [item.workflow_id for item in started if item.workflow_id]


async def test_every_service_is_looked_at_and_planned_for_by_the_procedures_themselves(ground):
    drill = await ground.drill()
    assert wording(drill) == {
        (None, "worker-catalog"): True,
        (None, "cluster"): True,
        ("shop", "controller"): True,
        ("shop", "last-known-good"): True,
        ("shop", "tasks"): True,
        ("shop", "rollback-plan"): True,
        **{("shop", f"{procedure}-plan"): True for procedure in PLANNED},
        ("shop", "database-issues-plan"): None,
    }
    assert drill.would_work
    started = {item.rpartition("/drill-")[0] for item in await children(ground.run)}
    assert started == {f"plan/{ground.environment}/shop/{item}" for item in (*PLANNED, "rollback")}
    assert ground.outside.changes == []
    assert ground.outside.notices == []


@pytest.mark.history("notified")
async def test_what_no_longer_works_is_reported_once_and_again_when_it_does(ground):
    await ground.drill()
    good = ground.outside.history
    ground.loses_its_last_known_good()
    drill = await ground.drill()
    assert [item.name for item in drill.broke] == ["last-known-good"]
    assert not drill.would_work
    (notice,) = ground.outside.notices
    assert (notice.target, notice.urgent) == (ground.environment, True)
    assert "no longer in place: shop: last-known-good" in notice.text

    assert (await ground.drill()).broke == ()
    assert len(ground.outside.notices) == 1

    ground.outside.history = good
    assert [item.name for item in (await ground.drill()).restored] == ["last-known-good"]
    assert "in place again: shop: last-known-good" in ground.outside.notices[-1].text
    assert ground.outside.notices[-1].urgent is False


async def test_what_nobody_could_be_notified_of_is_reported_by_the_next_drill(ground):
    await ground.drill()
    ground.loses_its_last_known_good()
    ground.outside.fails["notify"] = [RejectedError("no such channel")]
    drill = await ground.drill()
    assert drill.not_notified == "no such channel"
    assert ground.outside.notices == []
    await ground.drill()
    assert len(ground.outside.notices) == 1


async def test_a_plan_that_cannot_be_made_is_red_and_keeps_no_other_from_being_made(ground):
    ground.has("shop", "till")
    ground.outside.fails["resolve_target"] = [PolicyError("not from this queue")]
    made = plans(await ground.drill())
    assert sum(item.ok is True for item in made.values()) == 2 * len((*PLANNED, "rollback")) - 1
    (((service, procedure), red),) = [(key, item) for key, item in made.items() if item.ok is False]
    assert red.detail == "refused: not from this queue"
    assert red.fix == f"runbook start {procedure} {ground.environment}/{service} --plan shows it again"


class TestByCompose:
    @pytest.fixture
    def outside(self):
        return OutsideCompose()

    async def test_no_rollback_is_planned_and_the_other_procedures_are(self, ground):
        ground.has("shop", head=BY_COMPOSE)
        drill = await ground.drill()
        assert wording(drill)["shop", "tasks"] is True
        made = plans(drill)
        assert made.pop(("shop", "rollback")).detail == "it does not run on ECS"
        assert made.pop(("shop", "database-issues")).ok is None
        assert {procedure: item.ok for (_, procedure), item in made.items()} == dict.fromkeys(PLANNED, True)

    async def test_what_puts_a_database_right_is_planned_where_the_catalog_names_one(self, ground):
        ground.has("shop", head=BY_COMPOSE)
        ground.catalog.write_text(
            ground.catalog.read_text() + 'database = { compose_service = "postgres" }\n'
        )
        assert plans(await ground.drill())["shop", "database-issues"].ok is True


async def test_a_catalog_that_cannot_be_read_is_reported_and_forgets_nothing(ground):
    await ground.drill()
    ground.catalog.write_text("environments = 3")
    blind = await ground.drill()
    assert [item.name for item in blind.broke] == ["worker-catalog"]
    ground.has("shop")
    ground.loses_its_last_known_good()
    drill = await ground.drill()
    assert [item.name for item in drill.broke] == ["last-known-good"]
    assert [item.name for item in drill.restored] == ["worker-catalog"]


async def test_few_services_are_looked_at_together(ground):
    ground.has(*(f"shop-{number}" for number in range(3 * AT_ONCE)))
    await ground.drill()
    assert ground.most <= AT_ONCE
    assert len(await children(ground.run)) == 3 * AT_ONCE * len((*PLANNED, "rollback"))

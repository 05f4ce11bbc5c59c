"""``runbook drill`` for real: with the environment's own role, a message when a release to go back to is gone, on a schedule."""

import asyncio

import pytest
from temporalio.client import Client, ScheduleOverlapPolicy

from activities.runtime.converter import data_converter
from activities.runtime.processes import kill_child
from runbook_model.checks import Drilled
from starter.exits import Exit
from tests.integration.cli.command_line import CommandLine
from tests.integration.rollback.rollback_stage import CHANGES, Stage
from tests.patience import PATIENCE
from tests.programs import Program
from tests.sandbox_under_test import until

pytestmark = pytest.mark.rare  # tests/procedures/test_drill.py has the facts; these are on the sandbox

ENVIRONMENT = "drilled"
ROLE = "arn:aws:iam::123456789012:role/incident-runbooks-drilled"
CATALOG = """
[environments.{environment}]
cluster = "{cluster}"
assume_role = {{ role_arn = "{role}", external_id_env = "DRILLED_EXTERNAL_ID", session = "15m" }}

[services.{service}.{environment}]
ecs_service = "{ecs_service}"
url = "{url}"
rollback = {{ soak = "0s" }}
verify = {{ rate_window = "2s" }}
"""


class Field:
    """A shop in an environment of its own, a worker for nothing else, and the command line."""

    def __init__(self, world, folder, client, shop):
        self.world, self.client, self.shop = world, client, shop
        self.catalog = folder / "catalog.toml"
        self.log = folder / "worker.log"
        self.catalog.write_text(
            CATALOG.format(
                environment=ENVIRONMENT,
                role=ROLE,
                cluster=shop.cluster,
                service=shop.name,
                ecs_service=shop.ecs_service,
                url=shop.url,
            )
        )
        self.settings = world.addresses.env | {
            "RUNBOOK_CATALOG": str(self.catalog),
            "DRILLED_EXTERNAL_ID": "not for everybody",
        }

    def start_worker(self):
        with self.log.open("wb") as log:
            settings = self.world.environment | self.settings
            worker = Program("worker", "--environment", ENVIRONMENT, environment=settings, log=log)
        until(lambda: b"worker ready" in self.log.read_bytes())
        return worker

    async def drill(self, *words):
        return await self.run("drill", *words)

    async def run(self, *words):
        return await CommandLine(self.world.addresses.temporal, ENVIRONMENT)(*words, **self.settings)

    async def warm_up(self):
        """Have every check answered once: the first call to each service of AWS reads its models, for seconds on a busy machine."""
        for _ in range(10):
            said = await self.run("doctor", "--environment", ENVIRONMENT, "--json")
            if "no answer within" not in said.out:
                return

    def messages(self):
        """What people were sent: without a channel in the catalog that is the worker's log."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if "All of it: runbook drill" in line]


@pytest.fixture(scope="module")
async def field(world, tmp_path_factory):
    client = await Client.connect(world.addresses.temporal, data_converter=data_converter)
    stage = Stage(world, tmp_path_factory.mktemp("stage"), client)
    shop = stage.open_shop(ENVIRONMENT, "1.0.0", "1.1.0")
    field = Field(world, tmp_path_factory.mktemp("field"), client, shop)
    worker = field.start_worker()
    await field.warm_up()
    yield field
    kill_child(worker)
    stage.close_shops()


def red(said):
    (drill,) = said.json["drills"]
    return {
        (group["service"], item["name"]): item["fix"]
        for group in drill["services"]
        for item in group["checks"]
        if item["ok"] is False
    }


def check(said, name):
    (drill,) = said.json["drills"]
    (found,) = (item for group in drill["services"] for item in group["checks"] if item["name"] == name)
    return found


async def test_a_drill_finds_a_release_that_is_gone_and_the_next_one_that_it_is_back(field):
    shop, before = field.shop, len(field.world.calls())

    first = await field.drill("--json")
    assert (first.code, red(first)) == (Exit.DONE, {}), first.err
    assert f"{shop.family}:1" in check(first, "rollback-plan")["detail"]
    (drill,) = first.json["drills"]
    assert (drill["since"], drill["broke"], drill["restored"]) == (None, [], [])
    assert (drill["mended"], drill["untold"]) == (drill["restored"], drill["not_notified"]), "old names"

    shop.mark(f"{shop.family}:1", "bad")
    second = await field.drill("--json")
    assert second.code == Exit.NOT_DONE
    assert list(red(second)) == [(shop.name, "last-known-good")]
    assert f"runbook release mark {shop.short} RELEASE good" in red(second)[shop.name, "last-known-good"]
    (drill,) = second.json["drills"]
    assert drill["since"] is not None
    assert {item["name"] for item in drill["broke"]} >= {"last-known-good"}
    (messages,) = field.messages()
    assert f"no longer in place: {shop.name}: last-known-good" in messages

    third = await field.drill()
    assert (third.code, len(field.messages())) == (Exit.NOT_DONE, 1)
    assert "nothing changed" in third.err

    shop.mark(f"{shop.family}:1", "good")
    fourth = await field.drill("--json")
    assert (fourth.code, red(fourth)) == (Exit.DONE, {})
    assert f"in place again: {shop.name}: last-known-good" in field.messages()[-1]

    made = {call["action"] for call in field.world.calls(since=before)}
    assert made & CHANGES == set()


async def test_it_works_by_the_role_that_the_environment_names(field):
    before = len(field.world.calls())
    said = await field.drill("--json")
    who = check(said, "aws-identity")["detail"]
    assert (
        who == "arn:aws:sts::123456789012:assumed-role/incident-runbooks-drilled/runbook-drilled in us-east-1"
    )
    every = field.world.calls()
    assumed = [call["parameters"] for call in every if call["action"] == "AssumeRole"]
    assert {(item["RoleArn"], item["RoleSessionName"], item["ExternalId"]) for item in assumed} == {
        (ROLE, "runbook-drilled", "not for everybody")
    }
    assert assumed[0]["DurationSeconds"] == "900"
    assert len(assumed) == 1 < len(every) - before, "one session for all calls of these drills"


async def test_drills_are_scheduled_moved_made_and_ended(field):
    made = await field.drill("--schedule", "0 6 * * *", "--json")
    assert made.code == Exit.DONE, made.err
    (scheduled,) = made.json["schedules"]
    assert (scheduled["environment"], scheduled["was_there"]) == (ENVIRONMENT, False)
    assert all(at.endswith("T06:00:00Z") for at in scheduled["next"])
    assert len(scheduled["next"]) > 2

    (moved,) = (await field.drill("--schedule", "30 7 * * 1", "--json")).json["schedules"]
    assert moved["was_there"] is True
    assert {at[-10:] for at in moved["next"]} == {"T07:30:00Z"}

    handle = field.client.get_schedule_handle(f"drill/{ENVIRONMENT}")
    assert (await handle.describe()).schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
    await handle.trigger()
    drilled = await asyncio.wait_for(scheduled_drill(field.client, handle), PATIENCE)
    assert (drilled.environment, drilled.services) == (ENVIRONMENT, (field.shop.name,))
    assert drilled.since is not None, "it is compared with the drills by hand before it"

    said = await field.drill("--schedule", "off")
    assert said.out == f"{ENVIRONMENT}: no longer scheduled\n"
    assert (await field.drill("--schedule", "off")).out == f"{ENVIRONMENT}: was not scheduled\n"
    assert [
        schedule.id async for schedule in await field.client.list_schedules() if schedule.id == handle.id
    ] == []


async def scheduled_drill(client, schedule):
    """The result of the run that a schedule started."""
    while not (actions := (await schedule.describe()).info.recent_actions):
        await asyncio.sleep(0.1)
    run = actions[0].action
    return await client.get_workflow_handle(run.workflow_id, result_type=Drilled).result()


async def test_what_is_no_cron_expression_is_refused(field):
    said = await field.drill("--schedule", "every morning")
    assert said.code == Exit.BAD_INPUT
    assert "every morning" in said.err


async def test_without_a_worker_nothing_is_claimed_to_work(field):
    field.catalog.write_text(field.catalog.read_text() + '[environments.nobody]\ncluster = "nobody"\n')
    said = await field.drill("--environment", "nobody", "--json")
    (drill,) = said.json["drills"]
    assert (said.code, drill["would_work"]) == (Exit.NOT_DONE, False)
    assert "runbook worker --environment nobody" in drill["error"]
